"""Keeping a user announced (psp/client/announcer.py, registration.py)."""

import asyncio
from collections.abc import Awaitable, Callable

from psp.client.announcer import Announcer, AnnouncerConfig
from psp.client.circuit import RequestError
from psp.client.identity import ClientIdentity
from psp.client.registration import ABSENCE_LIFETIME, PresenceRegistration
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.presence_inner import ONLINE_LIFETIME, Place
from psp.netdoc.presence_record import OuterRecord, parse
from psp.netdoc.registration import Registration
from psp.path.selection import Purpose
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.presence import MemoryRegistry, random_value
from psp.testing.simloop import run_simulation
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.presence import IntroductionStatus, Published, Registered
from psp.wire.relay_message import RelayCommand

NOON = EPOCH + 43_200


class Points:
    """Presence points that agree to everything, unless told otherwise."""

    def __init__(self, count: int) -> None:
        entropy = SeededEntropy("points")
        keys = [SigningKey.generate(entropy) for _ in range(count)]
        self.keys = {NodeId(key.public): key for key in keys}
        self.registry = MemoryRegistry(self.keys, list(self.keys)[:1])
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.refusing: set[NodeId] = set()
        self.forging: set[NodeId] = set()
        self.forgetful: set[NodeId] = set()
        self.registrations: list[tuple[float, Registration]] = []
        self.records: list[OuterRecord] = []
        self.unix_time: Callable[[], float] = lambda: NOON

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        await asyncio.sleep(0.1)
        point = circuit.path[-1].node_id
        if point in self.refusing:
            raise RequestError(command, Reason.REFUSED)
        if command is RelayCommand.PUBLISH:
            record = parse(
                data,
                network=self.registry.network,
                random_value=random_value,
                unix_now=self.unix_time(),
            )
            self.records.append(record)
            return Published(0 if point in self.forgetful else 8).encode()
        asked = Registration.decode(data)
        asked.check_signatures(self.registry.network)
        assert asked.channel == circuit.handshake_hash
        self.registrations.append((self.unix_time(), asked))
        is_absence = asked.head.lifetime > ONLINE_LIFETIME
        endpoints = () if is_absence else circuit.path[-1].endpoints
        place = Place(point, asked.contact_key, asked.tag, endpoints)
        text = place.consent_text(self.registry.network, asked.head.encode())
        key = self.keys[point]
        return Registered(
            key.sign(b"other" if point in self.forging else text), endpoints
        ).encode()

    def lives(self) -> list[int]:
        return [record.head.lifetime for record in self.records]


def announced(
    points: Points,
    then: Callable[[Announcer, SimHub], Awaitable[object]],
    config: AnnouncerConfig | None = None,
):
    """Announce from noon on, and run ``then``."""

    async def main(hub: SimHub):
        await asyncio.sleep(43_200)
        points.unix_time = hub.unix_time
        context = client_context(hub, points.registry)
        announcer = Announcer(
            context,
            ClientIdentity.generate(SeededEntropy("alice")),
            points.builder.as_builder(),
            busy,
            config,
        )
        announcer.start()
        try:
            return await then(announcer, hub)
        finally:
            await announcer.stop()

    return run_simulation(main)


async def busy(_: PresenceRegistration, data: bytes) -> IntroductionStatus:
    assert data == b"introduction"
    return IntroductionStatus.BUSY


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


def test_a_record_that_lives_past_midnight_is_announced_under_both_days():
    points = Points(3)

    async def then(announcer, _):
        await asyncio.sleep(42_600)  # a quarter to midnight and more renewals

    announced(points, then, AnnouncerConfig(slots=1))

    late = [r.head for r in points.records if r.head.lifetime == ONLINE_LIFETIME][-2:]
    assert late[0].sequence == late[1].sequence
    assert late[0].period + 1 == late[1].period


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


def test_introductions_are_handed_on_with_their_answer():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        circuit = points.builder.opened[0]
        return await circuit.told(RelayCommand.INTRODUCTION, b"introduction")

    answer = announced(points, then, AnnouncerConfig(slots=1))

    assert IntroductionStatus.decode(answer) is IntroductionStatus.BUSY
