"""Links and circuits in memory: the two ports, for tests of services.

Nothing here knows the services: a test gives each relay its `MemoryLinks.port` and
`MemoryCircuits`, and talks to it over circuits of its own. All of it runs in virtual
time (`psp.testing.simloop`) as well as on a real loop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from psp.crypto.primitives import sha256
from psp.ids import NodeId
from psp.runtime.ports import CircuitHandler, CircuitPeer, LinkHandler
from psp.units import Seconds
from psp.wire.relay_message import RelayCommand

Tamper = Callable[[NodeId, bytes, bytes | None], bytes | None]
"""Takes the asker, its request and the honest answer; returns what is sent instead."""


class MemoryLinks:
    """Links between any number of relays.

    Attributes:
        dead: Relays that neither answer nor are heard.
        tampers: By relay, what it does to its own answers.
        latency: Returns the seconds of one way; None for no time at all.
        requests: How many were made.
        longest: Length of the longest message so far, in bytes.
    """

    def __init__(self) -> None:
        self.dead: set[NodeId] = set()
        self.tampers: dict[NodeId, Tamper] = {}
        self.latency: Callable[[], float] | None = None
        self.requests = 0
        self.longest = 0
        self._handlers: dict[tuple[NodeId, int], LinkHandler] = {}

    def port(self, node_id: NodeId) -> "MemoryLinkPort":
        """Return one relay's `LinkPort`."""
        return MemoryLinkPort(self, node_id)

    def serve(self, node_id: NodeId, service: int, handler: LinkHandler) -> None:
        """Call ``handler`` for requests to a relay's service."""
        self._handlers[node_id, service] = handler

    async def carry(
        self, source: NodeId, target: NodeId, service: int, data: bytes
    ) -> bytes | None:
        """Bring a request over and its answer back; wait for ever if there is none."""
        self.requests += 1
        self.longest = max(self.longest, len(data))
        await self._travel()
        answer = None
        handler = self._handlers.get((target, service))
        if handler is not None and not self.dead & {source, target}:
            answer = await handler(source, data)
            if target in self.tampers:
                answer = self.tampers[target](source, data, answer)
        if answer is None:
            await asyncio.get_running_loop().create_future()
            return None
        self.longest = max(self.longest, len(answer))
        await self._travel()
        return answer

    async def _travel(self) -> None:
        if self.latency is not None:
            await asyncio.sleep(self.latency())


class MemoryLinkPort:
    """A `psp.runtime.ports.LinkPort` of one relay."""

    def __init__(self, links: MemoryLinks, node_id: NodeId) -> None:
        self._links = links
        self._node_id = node_id

    def serve(self, service: int, handler: LinkHandler) -> None:
        """Call ``handler`` for every request to this service."""
        self._links.serve(self._node_id, service, handler)

    async def request(
        self, node_id: NodeId, service: int, data: bytes, within: Seconds
    ) -> bytes | None:
        """Ask another relay; None without an answer in time."""
        try:
            async with asyncio.timeout(within):
                return await self._links.carry(self._node_id, node_id, service, data)
        except TimeoutError:
            return None


Answering = Callable[[RelayCommand, bytes], Awaitable[bytes | None]]
"""How an origin answers what a relay asks it."""


class MemoryCircuits:
    """A `psp.runtime.ports.CircuitPort` of one relay, and the circuits that end there."""

    def __init__(self) -> None:
        self._handlers: dict[RelayCommand, CircuitHandler] = {}
        self._open: dict[int, MemoryCircuit] = {}
        self._listeners: list[Callable[[int], None]] = []
        self._next_key = 1

    def open(self, answering: Answering | None = None) -> "MemoryCircuit":
        """Return a new circuit that ends at this relay."""
        key = self._next_key
        self._next_key += 1
        peer = CircuitPeer(
            key, sha256(b"channel", id(self).to_bytes(8), key.to_bytes(8))
        )
        self._open[key] = MemoryCircuit(self, peer, answering)
        return self._open[key]

    def serve(self, command: RelayCommand, handler: CircuitHandler) -> None:
        """Call ``handler`` for every request of this command."""
        self._handlers[command] = handler

    def handler(self, command: RelayCommand) -> CircuitHandler | None:
        """Return who serves a command, or None."""
        return self._handlers.get(command)

    async def ask(self, key: int, command: RelayCommand, data: bytes) -> bytes | None:
        """Ask a circuit's origin."""
        circuit = self._open.get(key)
        if circuit is None or circuit.answering is None:
            return None
        return await circuit.answering(command, data)

    def cells_from(self, key: int) -> int | None:
        """Return how many cells a test says have come over a circuit."""
        circuit = self._open.get(key)
        return None if circuit is None else len(circuit.cells)

    def on_circuit_closed(self, listener: Callable[[int], None]) -> None:
        """Call ``listener(key)`` whenever a circuit ends."""
        self._listeners.append(listener)

    async def handle(
        self, peer: CircuitPeer, command: RelayCommand, data: bytes
    ) -> bytes:
        """Let the relay answer an origin's request."""
        return await self._handlers[command](peer, data)

    def close(self, key: int) -> None:
        """End a circuit."""
        if self._open.pop(key, None) is not None:
            for listener in self._listeners:
                listener(key)


@dataclass(frozen=True, slots=True)
class MemoryCircuit:
    """A circuit as its origin sees it.

    Attributes:
        circuits: Of the relay at its end.
        peer: What that relay knows it by.
        answering: How the origin answers; None for never.
        cells: As many as have come from the origin, as far as anybody counts.
    """

    circuits: MemoryCircuits = field(repr=False)
    peer: CircuitPeer
    answering: Answering | None = None
    cells: list[None] = field(default_factory=list)

    async def request(self, command: RelayCommand, data: bytes) -> bytes:
        """Ask the relay at the end.

        Raises:
            RefusedError: If it refuses.
        """
        return await self.circuits.handle(self.peer, command, data)

    def close(self) -> None:
        """End the circuit."""
        self.circuits.close(self.peer.key)
