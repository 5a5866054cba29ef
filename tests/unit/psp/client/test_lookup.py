"""Looking users up (psp/client/lookup.py)."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from psp.client.circuit import RequestError
from psp.client.lookup import MAX_REMEMBERED, Lookup, LookupResult, PresenceState
from psp.crypto.keys import SigningKey
from psp.errors import DecodeError
from psp.ids import NodeId, UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_record import MAX_LIFETIME, parse
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.presence import MemoryRegistry, PresenceUser, random_value
from psp.testing.simloop import run_simulation
from psp.wire.cell import Reason
from psp.wire.network import Network
from psp.wire.presence import Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand

if TYPE_CHECKING:
    from psp.client.directory import Directory

NOON = EPOCH + 43_200


class MemoryRegistryWithoutRandom(MemoryRegistry):
    """Of a day whose random value nobody knows."""

    def random_value(self, period: int) -> bytes | None:
        return None


class Gateways:
    """Discovery nodes with records of their own each, and a directory of them."""

    def __init__(self, count: int = 8, registry: type = MemoryRegistry) -> None:
        entropy = SeededEntropy("gateways")
        self.point = SigningKey.generate(entropy)
        keys = [SigningKey.generate(entropy) for _ in range(count)]
        self.ids = [NodeId(key.public) for key in keys]
        self.registry = registry([NodeId(self.point.public), *self.ids], self.ids)
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.held: dict[NodeId, list[bytes]] = {node: [] for node in self.ids}
        self.slow: set[NodeId] = set()
        self.failing: set[NodeId] = set()
        self.judged: list[tuple[NodeId, bool]] = []
        self.asked: list[NodeId] = []

    def sources(self, count: int, besides: list[NodeId]) -> list[NodeId]:
        return [node for node in self.ids if node not in besides][:count]

    def record(self, node: NodeId, *, is_good: bool) -> None:
        self.judged.append((node, is_good))

    def give(self, record: bytes, *numbers: int) -> None:
        for number in numbers or range(len(self.ids)):
            self.held[self.ids[number]].append(record)

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        gateway = circuit.path[-1].node_id
        self.asked.append(gateway)
        await asyncio.sleep(5.0 if gateway in self.slow else 0.1)
        if gateway in self.failing:
            raise RequestError(command, Reason.TIMEOUT)
        request = LookupRequest.decode(data)
        for raw in self.held[gateway]:
            if self._lies_at(raw, request):
                return Found(FoundState.RECORD, raw).encode()
        return Found(FoundState.NO_RECORD, b"").encode()

    def _lies_at(self, raw: bytes, request: LookupRequest) -> bool:
        if raw[:1] == b"?":
            return True  # rubbish, handed out for everything
        outer = parse(
            raw,
            network=self.registry.network,
            random_value=random_value,
            unix_now=NOON,
        )
        return (outer.location, outer.head.slot) == (request.location, request.slot)


class Alice(PresenceUser):
    """Somebody to look up."""

    def __init__(self) -> None:
        super().__init__(SeededEntropy("alice"))

    @property
    def card(self) -> ContactCard:
        return ContactCard(MemoryRegistry.network, self.user_id, self.secret)


def find(gateways: Gateways, *cards: ContactCard, lookup=None) -> list[LookupResult]:
    async def main(hub: SimHub) -> list[LookupResult]:
        await asyncio.sleep(43_200)
        context = client_context(hub, gateways.registry)
        directory = cast("Directory", gateways)
        looking = Lookup(context, gateways.builder.as_builder(), directory)
        if lookup is not None:
            looking.highest = lookup
        return [await looking.find(card) for card in cards]

    return run_simulation(main)


def test_a_user_on_line_is_found_at_every_point_newest_first():
    gateways, alice = Gateways(), Alice()
    for slot in range(3):
        record = alice.agreed_record(gateways.point, NOON, slot=slot)
        gateways.give(record)

    (result,) = find(gateways, alice.card)

    assert result.state is PresenceState.ONLINE
    assert [presence.head.slot for presence in result.points] == [2, 1, 0]
    assert result.answers == 2
    assert set(gateways.asked) == set(gateways.ids[:2])
    assert all(not circuit.is_open for circuit in gateways.builder.opened)


def test_a_signed_absence_is_off_line():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON, slot=0))
    gateways.give(
        alice.agreed_record(gateways.point, NOON, slot=1, lifetime=MAX_LIFETIME)
    )

    (result,) = find(gateways, alice.card)

    assert (result.state, result.points) == (PresenceState.OFFLINE, ())


def test_five_empty_answers_are_off_line_and_fewer_are_not():
    gateways, alice = Gateways(), Alice()

    (result,) = find(gateways, alice.card)
    assert result.state is PresenceState.OFFLINE
    assert result.answers == 5
    assert set(gateways.asked) == set(gateways.ids[:5])

    (result,) = find(Gateways(4), alice.card)
    assert result.state is PresenceState.UNKNOWN


def test_when_nobody_can_be_asked_nothing_is_known():
    gateways, alice = Gateways(), Alice()
    gateways.builder.dead.update(gateways.ids[:3])
    gateways.failing.update(gateways.ids[3:])

    (result,) = find(gateways, alice.card)

    assert (result.state, result.answers) == (PresenceState.UNKNOWN, 0)
    assert {node for node, is_good in gateways.judged if not is_good} == set(
        gateways.ids[:5]
    )


def test_without_the_days_random_value_nothing_is_known():
    gateways = Gateways(registry=MemoryRegistryWithoutRandom)

    (result,) = find(gateways, Alice().card)

    assert result.state is PresenceState.UNKNOWN


def test_more_gateways_are_asked_when_the_first_have_nothing_valid():
    gateways, alice = Gateways(), Alice()
    gateways.give(b"?" * 450, 0, 1)
    gateways.give(alice.agreed_record(gateways.point, NOON), 4)

    (result,) = find(gateways, alice.card)

    assert result.state is PresenceState.ONLINE
    assert gateways.ids[4] in gateways.asked


def test_a_second_gateway_with_a_newer_record_wins_if_it_is_quick():
    gateways, alice = Gateways(), Alice()
    old = alice.agreed_record(gateways.point, NOON - 60)
    new = alice.agreed_record(gateways.point, NOON)
    gateways.give(old, 0)
    gateways.give(new, 1)

    (result,) = find(gateways, alice.card)

    (point,) = result.points
    assert point.head.issued == NOON


def test_a_slow_second_gateway_does_not_hold_the_look_up_up():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    gateways.slow.add(gateways.ids[1])

    async def main(hub: SimHub) -> float:
        await asyncio.sleep(43_200)
        context = client_context(hub, gateways.registry)
        lookup = Lookup(
            context, gateways.builder.as_builder(), cast("Directory", gateways)
        )
        started = hub.unix_time()
        await lookup.find(alice.card)
        return hub.unix_time() - started

    assert run_simulation(main) < 1.0
    assert all(not circuit.is_open for circuit in gateways.builder.opened)


def test_a_record_older_than_one_seen_before_is_refused():
    gateways, alice = Gateways(), Alice()
    old = alice.agreed_record(gateways.point, NOON - 60)
    gateways.give(old)
    seen: dict[UserId, dict[int, int]] = {}

    (first,) = find(gateways, alice.card, lookup=seen)
    assert first.state is PresenceState.ONLINE
    seen[alice.user_id][0] += 1
    (second,) = find(gateways, alice.card, lookup=seen)

    assert second.state is PresenceState.UNKNOWN
    assert second.points == ()


def test_records_of_others_and_of_relays_that_left_do_not_count():
    gateways, alice = Gateways(), Alice()
    stranger = SigningKey.generate(SeededEntropy("stranger"))
    gateways.give(alice.agreed_record(stranger, NOON))

    (result,) = find(gateways, alice.card)

    assert result.points == ()


def test_another_users_card_finds_nothing():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    wrong = ContactCard(MemoryRegistry.network, alice.user_id, b"w" * 32)

    (result,) = find(gateways, wrong)

    assert result.points == ()


def test_a_card_of_another_network_is_refused():
    card = ContactCard(Network(1, bytes(20)), Alice().user_id, bytes(32))

    with pytest.raises(DecodeError, match="another network"):
        find(Gateways(), card)


def test_no_more_users_are_remembered_than_allowed():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    seen = {UserId(number.to_bytes(32)): {0: 1} for number in range(MAX_REMEMBERED)}

    find(gateways, alice.card, lookup=seen)

    assert len(seen) == MAX_REMEMBERED
    assert UserId(bytes(32)) not in seen
    assert alice.user_id in seen
