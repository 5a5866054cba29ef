"""Discovery nodes that a test plays: replicas that sign, and gateways that may lie."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import cast

from psp.client.circuit import RequestError
from psp.client.directory import Directory
from psp.client.lookups.lookup import Lookup, LookupResult
from psp.client.lookups.spare_circuits import SpareCircuits, SpareConfig
from psp.crypto.keys import SigningKey
from psp.directory.dht_id import dht_id
from psp.ids import NodeId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_record import SLOTS, parse, sequence_of
from psp.netdoc.voice import Question, Voice
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
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.lookup import ANY_SLOT, MAX_VOICES, Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand

NOON = EPOCH + 43_200


class Alice(PresenceUser):
    """Somebody to look up."""

    def __init__(self, seed: str = "alice") -> None:
        super().__init__(SeededEntropy(seed))

    @property
    def card(self) -> ContactCard:
        return ContactCard(MemoryRegistry.network, self.user_id, self.secret)


class Gateways:
    """Discovery nodes, the directory that lists them, and circuits to them.

    Attributes:
        point: A relay that is none of them.
        ids: The nodes, in the order in which they are asked.
        held: What each holds as replica.
        mute: Replicas that do not answer gateways.
        conspiracy: Gateways that know the replicas among themselves only, and show what
            these hold.
        slow: Gateways that take 5 s.
        failing: Gateways that refuse.
        clocks: Seconds by which nodes' clocks are off.
        judged: What the client noted of them.
        asked: Every request, by gateway.
    """

    def __init__(self, count: int = 8, registry: type = MemoryRegistry) -> None:
        entropy = SeededEntropy("gateways")
        self.point = SigningKey.generate(entropy)
        keys = [SigningKey.generate(entropy) for _ in range(count)]
        self.keys = {NodeId(key.public): key for key in keys}
        self.ids = list(self.keys)
        self.registry = registry([NodeId(self.point.public), *self.ids], self.ids)
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.held: dict[NodeId, list[bytes]] = {node: [] for node in self.ids}
        self.mute: set[NodeId] = set()
        self.conspiracy: set[NodeId] = set()
        self.slow: set[NodeId] = set()
        self.failing: set[NodeId] = set()
        self.junk: set[NodeId] = set()
        self.clocks: dict[NodeId, float] = {}
        self.judged: list[tuple[NodeId, bool]] = []
        self.asked: list[NodeId] = []
        self.slots_asked: list[int] = []
        self.nonces: dict[bytes, set[bytes]] = {}
        self.unix_now: Callable[[], float] = lambda: NOON

    def sources(self, count: int, besides: Collection[NodeId]) -> list[NodeId]:
        return [node for node in self.ids if node not in besides][:count]

    def record(self, node: NodeId, *, is_good: bool) -> None:
        self.judged.append((node, is_good))

    @property
    def blamed(self) -> set[NodeId]:
        return {node for node, is_good in self.judged if not is_good}

    def as_directory(self) -> Directory:
        return cast("Directory", self)

    def nearest(self, where: bytes, count: int = 8) -> list[NodeId]:
        """Return who is to hold what lies at a location, nearest first."""
        target = int.from_bytes(where)

        def distance(node: NodeId) -> int:
            return int.from_bytes(dht_id(node, MemoryRegistry.network)) ^ target

        return sorted(self.ids, key=distance)[:count]

    def give(self, record: bytes, *nodes: NodeId) -> None:
        """Let replicas hold a record instead of those of its slot; all by default."""
        slot = record[1]
        for node in nodes or self.ids:
            kept = [raw for raw in self.held[node] if raw[1] != slot]
            self.held[node] = [*kept, record]

    def where(self, record: bytes) -> bytes:
        """Return the location of a record."""
        return parse(
            record,
            network=self.registry.network,
            random_value=random_value,
            unix_now=NOON,
        ).location

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        gateway = circuit.path[-1].node_id
        request = LookupRequest.decode(data)
        self.asked.append(gateway)
        self.slots_asked.append(request.slot)
        self.nonces.setdefault(request.location, set()).add(request.nonce)
        await asyncio.sleep(5.0 if gateway in self.slow else 0.1)
        if gateway in self.failing:
            raise RequestError(command, Reason.TIMEOUT)
        if gateway in self.junk:
            return Found(FoundState.RECORD, b"?" * 450, (b"!" * 108,)).encode()
        return self._found(gateway, request).encode()

    def _found(self, gateway: NodeId, request: LookupRequest) -> Found:
        heard = [
            node for node in self.nearest(request.location) if self._may(gateway, node)
        ]
        voices = tuple(self._voice(node, request).encode() for node in heard)
        fitting = [
            raw
            for node in heard
            for raw in self._at(node, request.location)
            if raw[1] == request.slot or (request.slot == ANY_SLOT and raw[1] < SLOTS)
        ]
        newest = max(fitting, key=sequence_of, default=None)
        if newest is None:
            return Found(FoundState.NO_RECORD, voices=voices[:MAX_VOICES])
        return Found(FoundState.RECORD, newest, voices[:MAX_VOICES])

    def _may(self, gateway: NodeId, node: NodeId) -> bool:
        if gateway in self.conspiracy:
            return node in self.conspiracy
        return node not in self.mute

    def _at(self, node: NodeId, where: bytes) -> list[bytes]:
        return [raw for raw in self.held[node] if self.where(raw) == where]

    def _voice(self, node: NodeId, request: LookupRequest) -> Voice:
        question = Question(self.registry.network, request.location, request.nonce)
        held = {raw[1]: sequence_of(raw) for raw in self._at(node, request.location)}
        says = [held.get(slot, 0) for slot in range(4)]
        clock = self.unix_now() + self.clocks.get(node, 0.0)
        return Voice.of(self.keys[node], question, clock, says)


def make_lookup(hub: SimHub, gateways: Gateways, **spare: float) -> Lookup:
    """Return a look-up over these gateways, without circuits built ahead."""
    context = client_context(hub, gateways.registry)
    gateways.unix_now = hub.unix_time
    spares = SpareCircuits(
        context,
        gateways.builder.as_builder(),
        gateways.as_directory(),
        SpareConfig(**spare),  # type: ignore[arg-type]  # numbers all
    )
    return Lookup(context, spares, gateways.as_directory())


def at_noon(main: Callable[[SimHub], Awaitable[object]]) -> object:
    """Run something in virtual time at noon."""

    async def run(hub: SimHub) -> object:
        await asyncio.sleep(43_200)
        return await main(hub)

    return run_simulation(run, within=Seconds(200_000.0))


def find(gateways: Gateways, *cards: ContactCard, highest=None) -> list[LookupResult]:
    """Look users up, one after the other."""

    async def main(hub: SimHub) -> list[LookupResult]:
        looking = make_lookup(hub, gateways)
        if highest is not None:
            looking.highest = highest
        return [await looking.find(card) for card in cards]

    return cast("list[LookupResult]", at_noon(main))
