"""A user who leaves says so at every point, and nothing can prevent it."""

from psp.client.announcing.announcer_config import AnnouncerConfig
from psp.client.announcing.registration import ABSENCE_LIFETIME
from psp.errors import ConfigError
from psp.path.selection import Purpose
from psp.units import Seconds
from tests.unit.psp.client.announcing.rig import Points, announced


def test_leaving_tells_everybody_who_looks_the_user_up():
    points = Points(4)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)

    announced(points, then)

    absences = points.lives().count(ABSENCE_LIFETIME)
    assert absences >= 3
    assert points.builder.open_for(Purpose.REGISTRATION) == []


def test_leaving_takes_no_longer_than_allowed():
    points = Points(4)

    async def then(announcer, hub):
        await announcer.wait_until_announced(3)
        for circuit in points.builder.opened:
            circuit.is_silent = True
        started = hub.unix_time()
        await announcer.stop()
        return hub.unix_time() - started

    config = AnnouncerConfig(leave_within=Seconds(2.0))

    assert announced(points, then, config) <= 2.0


def test_who_leaves_says_where_it_was_agreed_to():
    points = Points(4)
    left = []

    async def then(announcer, _):
        announcer.on_absence = lambda at, lifetime: left.append((at.slot, lifetime))
        await announcer.wait_until_announced(3)

    announced(points, then)

    assert sorted(left) == [(slot, ABSENCE_LIFETIME) for slot in range(3)]


def test_a_full_disk_keeps_nobody_on_line():
    points = Points(4)

    def full(at, lifetime):
        raise ConfigError("no space left on device")

    async def then(announcer, _):
        announcer.on_absence = full
        await announcer.wait_until_announced(3)

    announced(points, then)

    assert points.lives().count(ABSENCE_LIFETIME) >= 3
    assert points.builder.open_for(Purpose.REGISTRATION) == []
