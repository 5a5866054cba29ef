"""What a user says of itself: found at once, renewed, bounded, taken back."""

import asyncio
import itertools

import pytest

from psp.errors import ConfigError
from psp.netdoc.presence_inner import ONLINE_LIFETIME
from psp.netdoc.presence_record import STATUS_SLOT
from psp.wire.cell import Reason
from tests.unit.psp.client.announcing.rig import ONE_SLOT, Points, announced


def test_a_status_is_found_as_soon_as_it_is_said():
    points = Points(3)

    async def then(announcer, hub):
        await announcer.wait_until_announced(3)
        said = hub.unix_time()
        await announcer.set_status("at lunch", ["audio"])
        took = hub.unix_time() - said
        await announcer.set_status("back")
        return took

    took = announced(points, then)

    assert took < 1.0
    first, second = points.statuses()
    assert (first.text, first.capabilities) == ("at lunch", {"audio"})
    assert (second.text, second.capabilities) == ("back", frozenset())
    assert second.sequence > first.sequence


def test_a_status_is_renewed_and_survives_the_point_it_was_said_at():
    points = Points(4)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        await announcer.set_status("here")
        for _ in range(3):
            await asyncio.sleep(600.0)
            lost = points.builder.opened[-1]
            points.builder.dead = {lost.path[-1].node_id}
            lost.close(Reason.LINK_CLOSED)
        await asyncio.sleep(700.0)

    announced(points, then, ONE_SLOT)

    issued = [r.head.issued for r in points.records if r.head.slot == STATUS_SLOT]
    gaps = [later - earlier for earlier, later in itertools.pairwise(issued)]
    assert len(gaps) >= 4
    assert max(gaps) < ONLINE_LIFETIME


def test_changes_in_quick_succession_are_bounded_and_the_last_one_counts():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        changes = [announcer.set_status(f"change {n}") for n in range(100)]
        await asyncio.gather(*changes)
        for number in range(100):
            saying = asyncio.create_task(announcer.set_status(f"more {number}"))
            await asyncio.sleep(1.0)
        await saying

    announced(points, then)

    said = points.statuses()
    assert len(said) <= 4 * (130 // 30 + 1)
    assert said[-1].text == "more 99"


def test_a_status_that_is_taken_back_is_not_renewed():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        await announcer.set_status("")
        await announcer.set_status("here")
        await announcer.set_status("")
        await asyncio.sleep(3_000.0)

    announced(points, then, ONE_SLOT)

    assert [status.text for status in points.statuses()] == ["here", ""]


def test_a_status_that_cannot_be_said_is_refused_at_once():
    points = Points(3)

    async def then(announcer, _):
        with pytest.raises(ConfigError, match="180"):
            await announcer.set_status("x" * 181)

    announced(points, then)
