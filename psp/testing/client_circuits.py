"""Circuits that exist only in memory, for tests of what a client does over them.

`MemoryBuilder` has the shape of `psp.client.circuits.CircuitBuilder`: each circuit it
opens ends at a relay whose answers a test gives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import cast

import structlog

from psp.client.circuit import Circuit, CircuitError, RequestHandler
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.crypto.primitives import sha256
from psp.directory.registry import Registry
from psp.errors import PspError
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.selection import Purpose
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.relay_message import RelayCommand

Answers = Callable[["MemoryClientCircuit", RelayCommand, bytes], Awaitable[bytes]]
"""What the relay at the end of a circuit answers; may raise `PspError`."""


def client_context(
    hub: SimHub, registry: Registry, seed: int | str = 0
) -> ClientContext:
    """Return what the parts of a client share, in virtual time."""
    log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    return ClientContext(registry, SeededEntropy(seed), hub.unix_time, log)


class MemoryClientCircuit:
    """One circuit, in the shape of `psp.client.circuit.Circuit`.

    Attributes:
        purpose: What it was opened for.
        path: One relay, the last.
        closed: Done once it has ended.
        joined: As of a real one.
        handshake_hash: 32 bytes, its own.
        asked: Every request so far.
        is_silent: Whether pings and requests stay unanswered.
    """

    build_time = Seconds(0.1)

    def __init__(self, purpose: Purpose, last: NodeRecord, answers: Answers) -> None:
        self.purpose = purpose
        self.path = (last,)
        self.closed: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        self.joined = asyncio.Event()
        self.handshake_hash = sha256(b"circuit", id(self).to_bytes(8))
        self.asked: list[RelayCommand] = []
        self.is_silent = False
        self.on_handshake_block: Callable[[bytes], None] = lambda _: None
        self._answers = answers
        self._handlers: dict[RelayCommand, RequestHandler] = {}

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return not self.closed.done()

    async def request(self, command: RelayCommand, data: bytes) -> bytes:
        """Ask the last hop.

        Raises:
            PspError: As the test's answers do, or when the circuit has ended.
        """
        self.asked.append(command)
        if not self.is_open:
            raise CircuitError(Reason.LINK_CLOSED)
        answering = asyncio.ensure_future(self._answer(command, data))
        either: list[asyncio.Future[bytes] | asyncio.Future[Reason]]
        either = [answering, self.closed]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        answering.cancel()
        raise CircuitError(self.closed.result())

    async def ping(self, hop: int, within: Seconds) -> Seconds | None:  # noqa: ARG002
        """Return 0.1 s, or None after the whole time when it is silent or ended."""
        await asyncio.sleep(within if self.is_silent else 0.1)
        return None if self.is_silent or not self.is_open else Seconds(0.1)

    def serve(self, command: RelayCommand, handler: RequestHandler) -> None:
        """Answer the relay's requests."""
        self._handlers[command] = handler

    async def told(self, command: RelayCommand, data: bytes) -> bytes:
        """Ask the client, as the relay."""
        return await self._handlers[command](data)

    def close(self, reason: Reason = Reason.REQUESTED) -> None:
        """End it; twice is fine."""
        if self.is_open:
            self.closed.set_result(reason)

    async def _answer(self, command: RelayCommand, data: bytes) -> bytes:
        if self.is_silent:
            await asyncio.get_running_loop().create_future()
        return await self._answers(self, command, data)


class MemoryBuilder:
    """Opens circuits, in the shape of `psp.client.circuits.CircuitBuilder`.

    Attributes:
        dead: Relays to which no circuit can be built.
        opened: Every circuit so far.
        avoided: What each was to avoid.
        lengths: How many hops each was to have; None for the purpose's.
        endpoints: The last hop's that each was to use; None for any.
        blamed: Circuits whose silence was looked into.
    """

    def __init__(self, registry: Registry, answers: Answers) -> None:
        self.dead: set[NodeId] = set()
        self.opened: list[MemoryClientCircuit] = []
        self.avoided: list[frozenset[NodeId]] = []
        self.lengths: list[int | None] = []
        self.endpoints: list[Endpoint | None] = []
        self.blamed: list[MemoryClientCircuit] = []
        self._registry = registry
        self._answers = answers

    def as_builder(self) -> CircuitBuilder:
        """Return itself under the type that the client's parts ask for."""
        return cast("CircuitBuilder", self)

    async def open(
        self,
        purpose: Purpose,
        *,
        last: NodeId | None = None,
        endpoint: Endpoint | None = None,
        avoid: Collection[NodeId] = (),
        second_guard: bool = False,  # noqa: ARG002
        length: int | None = None,
    ) -> Circuit:
        """Open a circuit to ``last``, or to the first relay that may be used.

        Raises:
            CircuitError: If it is dead.
        """
        await asyncio.sleep(0.2)
        self.avoided.append(frozenset(avoid))
        self.lengths.append(length)
        self.endpoints.append(endpoint)
        nodes = self._registry.nodes()
        free = [node for node in nodes if node not in self.dead and node not in avoid]
        chosen = last if last is not None else (free or list(nodes))[0]
        if chosen in self.dead:
            await asyncio.sleep(1.0)
            raise CircuitError(Reason.TIMEOUT, 3)
        circuit = MemoryClientCircuit(purpose, nodes[chosen], self._answers)
        self.opened.append(circuit)
        return cast("Circuit", circuit)

    def rendezvous(self, avoid: Collection[NodeId]) -> NodeRecord:
        """Return the first relay that need not be avoided."""
        nodes = self._registry.nodes()
        return next(node for key, node in nodes.items() if key not in avoid)

    async def blame_silence(self, circuit: Circuit) -> None:
        """Note the circuit."""
        self.blamed.append(cast("MemoryClientCircuit", circuit))

    def open_for(self, purpose: Purpose) -> list[MemoryClientCircuit]:
        """Return the circuits of a purpose that are open."""
        return [c for c in self.opened if c.purpose is purpose and c.is_open]


async def nobody_answers(
    circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
) -> bytes:
    """Refuse everything."""
    raise PspError(f"{command.name} to {len(circuit.path)} hop, {len(data)} bytes")
