"""A user is announced around midnight, and by a clock that is wrong."""

import asyncio
from dataclasses import replace

import pytest

from psp.client.announcing.announcer import Announcer
from psp.client.announcing.announcer_config import AnnouncerConfig
from psp.client.errors import ClockError
from psp.netdoc.presence_inner import ONLINE_LIFETIME, read_records
from psp.netdoc.presence_record import locations_at, period_at
from psp.testing.client_circuits import client_context
from psp.testing.clock import EPOCH
from psp.testing.hub import SimHub
from psp.testing.presence import random_value
from psp.testing.simloop import run_simulation
from tests.unit.psp.client.announcing.rig import (
    ALICE,
    NOON,
    ONE_SLOT,
    Points,
    announced,
    busy,
)


def test_a_record_that_lives_past_midnight_is_announced_under_both_days():
    points = Points(3)

    async def then(announcer, _):
        await asyncio.sleep(42_600)  # a quarter to midnight and more renewals

    announced(points, then, AnnouncerConfig(slots=1))

    late = [r.head for r in points.records if r.head.lifetime == ONLINE_LIFETIME][-2:]
    assert late[0].sequence == late[1].sequence
    assert late[0].period + 1 == late[1].period


@pytest.mark.parametrize("skew", [-100, 0, 100])
def test_around_midnight_every_reader_finds_the_user_at_every_moment(skew):
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        await asyncio.sleep(43_200 + 2_000)

    announced(points, then, ONE_SLOT)

    midnight = EPOCH + 86_400
    for moment in range(midnight - 1_500, midnight + 1_500, 10):
        held = [record for when, record in points.published if when <= moment]
        unix_now = moment + skew
        places = locations_at(ALICE.credential, unix_now, random_value)
        # Each discovery node holds the newest of a location; it serves no other.
        newest = {r.location: r.raw for r in held if r.location in places.values()}
        found = read_records(
            newest.values(),
            credential=ALICE.credential,
            network=points.registry.network,
            random_value=random_value,
            unix_now=unix_now,
            is_relay=lambda _: True,
        )
        assert found, moment - midnight
        assert not found[0].is_absence


def test_a_day_that_becomes_known_late_is_published_under_within_a_minute():
    points = Points(3)
    known: set[int] = {period_at(NOON)}
    points.registry.random_value = lambda period: (
        random_value(period) if period in known else None
    )
    tomorrow = period_at(NOON) + 1

    async def then(announcer, _):
        await asyncio.sleep(43_200 - 500)
        await announcer.publish_now()  # so that no renewal is due for ten minutes
        await asyncio.sleep(1.0)
        assert {record.head.period for record in points.records} == known
        known.add(tomorrow)
        await asyncio.sleep(70.0)
        return {record.head.period for record in points.records}

    assert tomorrow in announced(points, then, ONE_SLOT)


def test_nodes_that_do_not_know_tomorrow_yet_are_asked_again_and_not_left():
    points = Points(3)
    tomorrow = period_at(NOON) + 1
    points.unknown_periods.add(tomorrow)

    async def then(announcer, _):
        await asyncio.sleep(43_200 - 500)
        await announcer.publish_now()  # so that no renewal is due for ten minutes
        await asyncio.sleep(1.0)
        asked = sum(r.head.period == tomorrow for r in points.records)
        points.unknown_periods.clear()
        await asyncio.sleep(70.0)
        return asked, sum(r.head.period == tomorrow for r in points.records)

    asked, later = announced(points, then, ONE_SLOT)

    assert asked < later
    assert len(points.builder.opened) == 1


def test_a_clock_that_is_set_back_a_day_makes_nobody_unfindable():
    points = Points(3)

    async def main(hub: SimHub):
        await asyncio.sleep(43_200)
        wrong = [86_400.0]
        points.unix_time = lambda: hub.unix_time() + wrong[0]
        context = replace(
            client_context(hub, points.registry), unix_time=points.unix_time
        )
        builder = points.builder.as_builder()
        announcer = Announcer(context, ALICE, builder, busy, ONE_SLOT)
        announcer.start()
        await announcer.wait_until_announced(1)
        wrong[0] = 0.0
        # What the points and stores parse is refused when it is ahead of its time.
        points.records.clear()
        await announcer.publish_now()
        await asyncio.sleep(5.0)
        heads = [record.head for record in points.records]
        await announcer.stop()
        return heads, hub.unix_time()

    heads, now = run_simulation(main)

    assert heads
    assert all(head.sequence <= now * 1_000 for head in heads)


def test_who_is_refused_everywhere_looks_into_the_clock_and_goes_on():
    points = Points(3)
    points.refusing.update(points.keys)
    asked: list[float] = []

    async def then(announcer, hub):
        async def wrong() -> None:
            asked.append(hub.unix_time())
            raise ClockError("an hour fast")

        announcer.check_clock = wrong
        with pytest.raises(ClockError):
            await announcer.wait_until_announced(1)
        points.refusing.clear()
        await announcer.wait_until_announced(3)

    announced(points, then)

    assert 1 <= len(asked) <= 3


def test_a_few_refusals_cast_no_doubt_on_the_clock():
    points = Points(5)
    points.refusing.add(next(iter(points.keys)))
    checks: list[int] = []

    async def then(announcer, _):
        async def check() -> None:
            checks.append(1)

        announcer.check_clock = check
        await announcer.wait_until_announced(2)
        points.refusing.clear()
        await announcer.wait_until_announced(3)

    announced(points, then)

    assert checks == []
