"""Keeping a user announced (psp/client/announcing/announcer.py, registration.py)."""

import asyncio

from psp.client.announcing.announcer_config import AnnouncerConfig
from psp.path.selection import Purpose
from psp.wire.cell import Reason
from psp.wire.presence import IntroductionAnswer, IntroductionStatus
from psp.wire.relay_message import RelayCommand
from tests.unit.psp.client.announcing.rig import Points, announced


def test_the_slots_use_points_that_differ_though_all_start_at_once():
    points = Points(5)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        return [point.node_id for point in announcer.points()]

    assert len(set(announced(points, then))) == 3
    slots = sorted(asked.head.slot for _, asked in points.registrations[:3])
    assert slots == [0, 1, 2]


def test_with_fewer_relays_than_slots_a_point_serves_twice():
    points = Points(2)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        return {point.node_id for point in announcer.points()}

    assert announced(points, then) == set(points.keys)


def test_a_registration_is_renewed_over_the_same_circuit_with_a_higher_sequence():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        before = len(points.builder.opened)
        await asyncio.sleep(1250.0)
        return before, len(points.builder.opened)

    before, after = announced(points, then, AnnouncerConfig(slots=1))

    assert before == after == 1
    online = [record.head for record in points.records[:3]]
    assert [head.sequence for head in online] == sorted(h.sequence for h in online)
    assert len({head.sequence for head in online}) == 3
    assert [round(h.issued - online[0].issued, -1) for h in online] == [0, 600, 1200]


def test_when_the_circuit_ends_the_slot_moves_to_a_point_that_can_be_reached():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        (lost,) = announcer.points()
        points.builder.dead.add(lost.node_id)
        points.builder.opened[0].close(Reason.LINK_CLOSED)
        await asyncio.sleep(30.0)
        (found,) = announcer.points()
        return lost, found

    lost, found = announced(points, then, AnnouncerConfig(slots=1))

    assert lost != found


def test_a_point_that_falls_silent_is_blamed_and_left():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        first = points.builder.opened[0]
        first.is_silent = True
        points.builder.dead.add(first.path[-1].node_id)
        await asyncio.sleep(40.0)
        return first, announcer.points()

    first, now = announced(points, then, AnnouncerConfig(slots=1))

    assert points.builder.blamed == [first]
    assert not first.is_open
    assert now != [first.path[-1]]
    assert len(now) == 1


def test_one_missed_ping_moves_nothing():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        circuit = points.builder.opened[0]
        for is_silent in (True, False) * 5:
            circuit.is_silent = is_silent
            await asyncio.sleep(6.0)
        return circuit

    assert announced(points, then, AnnouncerConfig(slots=1)).asked.count(
        RelayCommand.REGISTER
    )
    assert points.builder.blamed == []


def test_refusing_forging_and_forgetful_points_announce_nobody():
    for fault in ("refusing", "forging", "forgetful"):
        points = Points(2)
        getattr(points, fault).update(points.keys)

        async def then(announcer, _):
            await asyncio.sleep(100.0)
            return announcer.registrations

        assert announced(points, then, AnnouncerConfig(slots=1)) == {}
        assert 4 <= len(points.builder.opened) <= 20, "pauses grow"
        assert points.builder.open_for(Purpose.REGISTRATION) == []


def test_introductions_are_handed_on_with_their_answer():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        circuit = points.builder.opened[0]
        return await circuit.told(RelayCommand.INTRODUCTION, b"introduction")

    answer = announced(points, then, AnnouncerConfig(slots=1))

    assert IntroductionAnswer.decode(answer).status is IntroductionStatus.BUSY
