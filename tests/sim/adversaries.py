"""Thirty-two discovery nodes, some of them malicious, and a client that looks users up.

The malicious work together: they keep what they knew at one moment and refuse whatever
comes later, know each other's voices, and differ in what they do with that. Links and
circuits are memory; services, DHT and the client's look-ups are the real ones.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import cast

import structlog

from presence.config import PresenceConfig
from presence.dht.messages import (
    FindValue,
    Nodes,
    Refused,
    Store,
    Stored,
    Value,
    decode_request,
    encode,
)
from presence.service import PresenceService
from psp.client.circuit import Circuit, CircuitError
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.client.lookups.lookup import Lookup, LookupResult, PresenceState
from psp.client.lookups.spare_circuits import SpareCircuits, SpareConfig
from psp.crypto.keys import SigningKey
from psp.directory.dht_id import dht_id
from psp.ids import NodeId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.node_record import NodeRecord
from psp.netdoc.voice import Question, Voice
from psp.path.selection import Purpose
from psp.runtime.ports import CircuitPeer, RefusedError
from psp.testing.clock import WallClock
from psp.testing.entropy import SeededEntropy
from psp.testing.memory_ports import MemoryCircuit, MemoryCircuits, MemoryLinks
from psp.testing.presence import TEST_NETWORK, MemoryRegistry, PresenceUser
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.lookup import MAX_VOICES, Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand

NOON = 43_200
BEHAVIOURS = ("garbage", "stale", "refuse", "lie")


@dataclass(frozen=True)
class Place:
    """One relay."""

    identity: SigningKey
    circuits: MemoryCircuits
    service: PresenceService

    @property
    def node_id(self) -> NodeId:
        """Who it is."""
        return NodeId(self.identity.public)


class _ClientCircuit:
    """A circuit that ends at a relay, as far as a look-up uses one."""

    def __init__(self, node: NodeRecord, circuit: MemoryCircuit) -> None:
        self.path = (node,)
        self.is_open = True
        self._circuit = circuit

    async def request(self, command: RelayCommand, data: bytes) -> bytes:
        """Ask the relay; what it refuses is an error of the circuit here."""
        try:
            return await self._circuit.request(command, data)
        except RefusedError as error:
            raise CircuitError(error.reason) from None

    def close(self) -> None:
        """End it."""
        if self.is_open:
            self.is_open = False
            self._circuit.close()


class Town:
    """The network. Corrupt some nodes between two publications of everybody.

    Attributes:
        places: The discovery nodes, then the others.
        users: Who is looked for.
        links: Between the relays; kill nodes here.
        evil: The malicious nodes, by behaviour.
    """

    def __init__(
        self, seed: int, *, nodes: int = 32, others: int = 4, users: int = 40
    ) -> None:
        self.dice = random.Random(f"town/{seed}")
        self.links = MemoryLinks()
        self.links.latency = lambda: self.dice.lognormvariate(-4.5, 0.4)
        self.clock = WallClock(asyncio.get_running_loop().time)
        self.clock.jump(Seconds(NOON))
        entropy = SeededEntropy(f"town/{seed}")
        keys = [SigningKey.generate(entropy) for _ in range(nodes + others)]
        ids = [NodeId(key.public) for key in keys]
        self.registry = MemoryRegistry(ids, ids[:nodes])
        self.users = [PresenceUser(entropy) for _ in range(users)]
        self.registry.users = {user.user_id for user in self.users}
        self.places = {NodeId(key.public): self._settle(key) for key in keys}
        self.evil: dict[NodeId, str] = {}
        self._points = ids[nodes : nodes + 4]
        self._frozen: dict[NodeId, dict[bytes, list[bytes]]] = {}
        context = ClientContext(
            self.registry,
            entropy,
            self.clock,
            structlog.wrap_logger(structlog.ReturnLogger(), processors=[]),
        )
        self._directory = _Directory(self)
        directory = cast("Directory", self._directory)
        # Every trial is another client's: no pace, and nothing known of gateways.
        spares = SpareCircuits(
            context,
            cast("CircuitBuilder", self),
            directory,
            SpareConfig(per_second=1e9, burst=10**9),
        )
        self.lookup = Lookup(context, spares, directory)

    def _settle(self, key: SigningKey) -> Place:
        circuits = MemoryCircuits()
        service = PresenceService(
            PresenceConfig(),
            identity=key,
            registry=self.registry,
            circuits=circuits,
            links=self.links.port(NodeId(key.public)),
            unix_time=self.clock,
        )
        service.start()
        return Place(key, circuits, service)

    async def close(self) -> None:
        """Stop everything."""
        for place in self.places.values():
            await place.service.close()

    @property
    def discovery(self) -> list[NodeId]:
        """The discovery nodes."""
        return list(self.registry.discovery_nodes())

    async def publish_all(self) -> None:
        """Let every user appear anew."""
        for number, user in enumerate(self.users):
            place = self.places[self._points[number % len(self._points)]]
            circuit = place.circuits.open()
            await user.appear(circuit, place.node_id, self.clock())
            circuit.close()

    async def seek(self, user: PresenceUser) -> str:
        """Look a user up as a new client; return what is wrong with the answer."""
        return _problem(await self.look_up(user), user)

    async def look_up(self, user: PresenceUser) -> LookupResult:
        """Look a user up as a new client."""
        self.lookup.highest.clear()
        card = ContactCard(TEST_NETWORK, user.user_id, user.secret)
        return await self.lookup.find(card)

    # -- in the shape of a CircuitBuilder

    async def open(
        self, purpose: Purpose, *, last: NodeId, avoid: Collection[NodeId] = ()
    ) -> Circuit:
        """Open a circuit to a gateway.

        Raises:
            CircuitError: If it is dead.
        """
        del purpose, avoid
        if last in self.links.dead:
            await asyncio.sleep(1.0)
            raise CircuitError(Reason.TIMEOUT, 3)
        await asyncio.sleep(0.03)
        record = self.registry.nodes()[last]
        circuit = _ClientCircuit(record, self.places[last].circuits.open())
        return cast("Circuit", circuit)

    # -- malice

    def corrupt(self, nodes: Collection[NodeId], behaviour: str) -> None:
        """Let nodes behave badly from now on, as replica and as gateway, together."""
        for number, node in enumerate(sorted(nodes)):
            own = BEHAVIOURS[number % 4] if behaviour == "mixed" else behaviour
            self.evil[node] = own
        for node in nodes:
            self._frozen[node] = frozen = {}
            store = self.places[node].service.records
            for location, held in store.snapshot():
                frozen[location] = [each.raw for each in held]
            self.links.tampers[node] = self._as_replica(node)
            self.places[node].circuits.serve(
                RelayCommand.LOOKUP, self._as_gateway(node)
            )

    def _as_replica(
        self, node: NodeId
    ) -> Callable[[NodeId, bytes, bytes | None], bytes | None]:
        behaviour = self.evil[node]
        friends = tuple(dht_id(each, TEST_NETWORK) for each in sorted(self.evil))[:8]

        def tamper(asker: NodeId, data: bytes, answer: bytes | None) -> bytes | None:
            del asker
            message = decode_request(data)
            if isinstance(message, Store):
                return encode(Stored(""))
            if behaviour == "refuse":
                return encode(Refused("not_member"))
            if not isinstance(message, FindValue):
                return encode(Nodes(friends)) if behaviour == "lie" else answer
            if behaviour == "garbage":
                return encode(Value(b"\x01" * 450, ((0, 2**63),), (), 0, bytes(64)))
            voice = self._voice(node, message.location, message.nonce)
            old = None if behaviour == "lie" else self._old(node, message.location)
            held = tuple((s, n) for s, n in enumerate(voice.sequences) if n)
            return encode(Value(old, held, friends, voice.time, voice.signature))

        return tamper

    def _as_gateway(
        self, node: NodeId
    ) -> Callable[[CircuitPeer, bytes], Awaitable[bytes]]:
        behaviour = self.evil[node]

        async def found(peer: CircuitPeer, data: bytes) -> bytes:
            del peer
            request = LookupRequest.decode(data)
            if behaviour == "refuse":
                raise RefusedError(Reason.REFUSED)
            if behaviour == "garbage":
                junk = self.dice.randbytes(450)
                return Found(FoundState.RECORD, junk, (bytes(108),) * 6).encode()
            target = int.from_bytes(request.location)
            friends = sorted(
                (each for each, own in self.evil.items() if own == behaviour),
                key=lambda n: int.from_bytes(dht_id(n, TEST_NETWORK)) ^ target,
            )
            voices = tuple(
                self._voice(each, request.location, request.nonce).encode()
                for each in friends[:MAX_VOICES]
            )
            olds = (self._old(each, request.location) for each in friends)
            old = next((each for each in olds if each is not None), None)
            if behaviour == "lie" or old is None:
                return Found(FoundState.NO_RECORD, voices=voices).encode()
            return Found(FoundState.RECORD, old, voices).encode()

        return found

    def _old(self, node: NodeId, location: bytes) -> bytes | None:
        return next(iter(self._frozen[node].get(location, ())), None)

    def _voice(self, node: NodeId, location: bytes, nonce: bytes) -> Voice:
        old = None if self.evil[node] == "lie" else self._old(node, location)
        says = (int.from_bytes(old[134:142]) if old else 0, 0, 0, 0)
        question = Question(TEST_NETWORK, location, nonce)
        return Voice.of(self.places[node].identity, question, self.clock(), says)


class _Directory:
    """Whom the client asks: all discovery nodes, in random order."""

    def __init__(self, town: Town) -> None:
        self._town = town

    def sources(self, count: int, besides: Collection[NodeId]) -> list[NodeId]:
        """Return some that have not been asked."""
        free = [node for node in self._town.discovery if node not in besides]
        return self._town.dice.sample(free, min(count, len(free)))

    def record(self, node_id: NodeId, *, is_good: bool) -> None:
        """Forget it at once."""


async def trials(town: Town, count: int, at_once: int = 20) -> Counter[str]:
    """Look users up ``count`` times; return what went wrong, by kind."""
    problems: Counter[str] = Counter()
    for start in range(0, count, at_once):
        users = [
            town.users[number % len(town.users)]
            for number in range(start, min(count, start + at_once))
        ]
        problems.update(await asyncio.gather(*map(town.seek, users)))
    del problems[""]
    return problems


def _problem(result: LookupResult, user: PresenceUser) -> str:
    if result.state is not PresenceState.ONLINE:
        return result.state.value
    is_newest = result.points[0].head.sequence == user.sequence
    return "" if is_newest else "older"
