"""Whole circuits in memory: real origins and real hops, without links.

Relays here do what a relay must for its circuits to work and nothing else. Every cell
on its way is shown to a *fate*, which says when it arrives, how often, and changed or
not; so a test can lose, double, delay, reorder or corrupt any cell of a build.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from psp.circuit.admission import accept
from psp.circuit.config import CircuitConfig
from psp.circuit.create import CreateTable, Creation
from psp.circuit.events import (
    ExtendRequested,
    HopClosed,
    HopEvent,
    OriginEvent,
    RequestReceived,
    TruncateRequested,
)
from psp.circuit.hop import HopCircuit
from psp.circuit.origin import HopSpec, OriginCircuit
from psp.circuit.stats import CreateStats, HopStats
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.errors import RemoteProtocolError
from psp.ids import CircuitId, NodeId
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic, Seconds
from psp.wire.cell import HEADER, Cell, CellCommand, Reason
from psp.wire.endpoint import Endpoint
from psp.wire.relay_message import RelayCommand

LATENCY = Seconds(0.02)
"""Of one link, one way."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A cell about to cross a link.

    Attributes:
        number: How many cells were sent before it, anywhere.
        sender: A relay's number, or a negative one for an origin.
        receiver: Likewise.
        cell: 1,200 bytes.
    """

    number: int
    sender: int
    receiver: int
    cell: bytes


Fate: TypeAlias = Callable[[Passage], Sequence[tuple[float, bytes]]]
"""Delays and bytes of what arrives: none, one, or several."""


def fair(passage: Passage) -> Sequence[tuple[float, bytes]]:
    """Let every cell arrive, once, in order."""
    return [(LATENCY, passage.cell)]


def foul(
    seed: int, *, loss: float = 0.0, double: float = 0.0, jitter: float = 0.0
) -> Fate:
    """Return a fate that loses, doubles and delays by chance, the same each run."""
    dice = random.Random(f"psp.testing.circuits/{seed}")

    def fate(passage: Passage) -> Sequence[tuple[float, bytes]]:
        copies = 2 if dice.random() < double else 1
        return [
            (LATENCY + jitter * dice.random(), passage.cell)
            for _ in range(copies)
            if dice.random() >= loss
        ]

    return fate


@dataclass(slots=True)
class Route:
    """One circuit at one relay.

    Attributes:
        hop: The relay's end.
        previous: Neighbour towards the origin, and circuit id on that link.
        following: Neighbour and circuit id on the other side, once extending.
        creation: The handshake with that neighbour.
        stream_id: The EXTEND that waits for it.
        blocks: Session blocks that arrived for this hop.
        events: What happened besides extending and truncating.
    """

    hop: HopCircuit
    previous: tuple[int, CircuitId]
    following: tuple[int, CircuitId] | None = None
    creation: Creation | None = None
    stream_id: int = 0
    blocks: list[bytes] = field(default_factory=list)
    events: list[HopEvent] = field(default_factory=list)


class RigRelay:
    """A relay that serves circuits and answers requests from a table.

    Attributes:
        spec: What an origin needs to know of it.
        answers: Data given for each request; requests not in it are left alone.
        routes: Circuits by neighbour and circuit id, on the side of the origin.
        created: How many circuits were ever made here.
        stats: Of its hops.
        create_stats: Of its CREATE cells.
    """

    def __init__(self, rig: "CircuitRig", number: int, entropy: SeededEntropy) -> None:
        self._rig = rig
        self._number = number
        self._entropy = entropy
        self._onion_private = x25519_generate(entropy)
        self._tables: dict[int, CreateTable] = {}
        self._by_next: dict[tuple[int, CircuitId], Route] = {}
        self.spec = HopSpec(
            NodeId(entropy.token(32)),
            x25519_public(self._onion_private),
            (Endpoint(f"192.0.2.{number + 1}", 9000),),
        )
        self.answers = {RelayCommand.ESTABLISH: b"", RelayCommand.JOIN: b""}
        self.routes: dict[tuple[int, CircuitId], Route] = {}
        self.created = 0
        self.stats = HopStats()
        self.create_stats = CreateStats()

    @property
    def route(self) -> Route:
        """The only circuit here."""
        (route,) = self.routes.values()
        return route

    def receive(self, peer: int, cell: bytes) -> None:
        """Take in a cell from a neighbour."""
        circuit_id, command = HEADER.unpack_from(cell)
        key = (peer, CircuitId(circuit_id))
        if command == CellCommand.CREATE:
            self._receive_create(key, cell)
        elif key in self.routes:
            self._receive_forward(self.routes[key], command, cell)
        elif key in self._by_next:
            self._receive_backward(self._by_next[key], command, cell)

    def flush(self) -> None:
        """Send everything and handle every event."""
        now = self._rig.now
        for peer, table in self._tables.items():
            for cell in table.cells_to_send():
                self._rig.send(self._number, peer, cell)
        for route in list(self.routes.values()):
            while (event := route.hop.next_event()) is not None:
                self._handle(route, event)
            for cell in route.hop.cells_to_send(now):
                self._rig.send(self._number, route.previous[0], cell)
            if route.creation is not None and route.following is not None:
                for cell in route.creation.cells_to_send(now):
                    self._rig.send(self._number, route.following[0], cell)

    def next_timeout(self) -> Monotonic | None:
        """Return the earliest deadline of any circuit."""
        due: list[Monotonic] = []
        for route in self.routes.values():
            creation = route.creation.next_timeout() if route.creation else None
            due += [t for t in (route.hop.next_timeout(), creation) if t is not None]
        return min(due, default=None)

    def handle_timeout(self) -> None:
        """Act on deadlines."""
        now = self._rig.now
        for table in self._tables.values():
            table.expire(now)
        for route in list(self.routes.values()):
            route.hop.handle_timeout(now)
            if route.creation is not None and route.creation.has_failed(now):
                route.hop.extend_failed(route.stream_id, Reason.TIMEOUT, now)
                self._drop_following(route)

    def destroy_next(self, route: Route) -> None:
        """As if the next hop, or the link to it, had gone away."""
        self._drop_following(route)
        route.hop.next_closed(Reason.LINK_CLOSED, self._rig.now)

    def _receive_create(self, key: tuple[int, CircuitId], cell: bytes) -> None:
        peer, circuit_id = key
        now = self._rig.now
        table = self._tables.setdefault(peer, CreateTable(self.create_stats))
        received = table.receive(circuit_id, cell[5:], now)
        if received is None:
            return
        try:
            hop, reply = accept(
                received,
                node_id=self.spec.node_id,
                onion_privates=[self._onion_private],
                entropy=self._entropy,
                stats=self.stats,
                now=now,
            )
        except RemoteProtocolError:
            table.forget(circuit_id)
            self._destroy(key)
            return
        self.created += 1
        self.routes[key] = Route(hop, key)
        table.answer(circuit_id, reply, now)

    def _receive_forward(self, route: Route, command: int, cell: bytes) -> None:
        if command == CellCommand.DESTROY:
            self._forget(route)
            return
        plaintext = route.hop.open_forward(cell, self._rig.now)
        if plaintext is None:
            return
        if plaintext[0] & 1:
            route.blocks.append(route.hop.block_of(plaintext))
        elif route.following is not None:
            out = route.hop.forward_cell(plaintext)
            self._rig.send(self._number, route.following[0], out)

    def _receive_backward(self, route: Route, command: int, cell: bytes) -> None:
        now = self._rig.now
        if command == CellCommand.RELAY:
            out = route.hop.backward_cell(cell)
            self._rig.send(self._number, route.previous[0], out)
        elif command == CellCommand.CREATED and route.creation and route.following:
            try:
                reply = route.creation.receive(cell[5:])
            except RemoteProtocolError:
                return
            if reply is not None:
                next_id = route.following[1]
                route.hop.extended(route.stream_id, next_id, reply, now)
        elif command == CellCommand.DESTROY:
            reason = Reason.from_wire(cell[5])
            route.hop.extend_failed(route.stream_id, reason, now)
            route.hop.next_closed(reason, now)
            self._drop_following(route)

    def _handle(self, route: Route, event: HopEvent) -> None:
        now = self._rig.now
        match event:
            case ExtendRequested():
                self._extend(route, event)
            case TruncateRequested():
                if route.following is not None:
                    self._destroy(route.following)
                self._drop_following(route)
            case HopClosed():
                self._destroy(route.previous)
                self._forget(route)
                route.events.append(event)
            case RequestReceived(stream_id=stream_id, command=command):
                route.events.append(event)
                if command in self.answers:
                    route.hop.answer(stream_id, self.answers[command], now)
            case _:
                route.events.append(event)

    def _extend(self, route: Route, event: ExtendRequested) -> None:
        now = self._rig.now
        number = self._rig.find(event.node_id, event.endpoint)
        if number is None:
            route.hop.extend_failed(event.stream_id, Reason.NO_SUCH_NODE, now)
            return
        circuit_id = self._rig.new_circuit_id()
        route.following = number, circuit_id
        route.stream_id = event.stream_id
        route.creation = Creation(
            circuit_id, route.hop.hop + 1, event.client_handshake, now
        )
        self._by_next[route.following] = route

    def _drop_following(self, route: Route) -> None:
        if route.following is not None:
            self._by_next.pop(route.following, None)
        route.following = route.creation = None

    def _forget(self, route: Route) -> None:
        if route.following is not None:
            self._destroy(route.following)
        self._drop_following(route)
        route.hop.close()
        self.routes.pop(route.previous, None)
        self._tables[route.previous[0]].forget(route.previous[1])

    def _destroy(self, key: tuple[int, CircuitId]) -> None:
        peer, circuit_id = key
        body = bytes([Reason.NONE])
        cell = Cell(circuit_id, CellCommand.DESTROY, body).encode()
        self._rig.send(self._number, peer, cell)


class CircuitRig:
    """Some relays, some origins, and a clock.

    Attributes:
        now: The time.
        relays: By number.
        origins: Circuits begun by `build`, in order.
        events: What each of them told, in order.
        fate: What becomes of cells from now on.
        cells: How many were sent so far.
    """

    def __init__(self, relays: int, *, seed: int = 0, fate: Fate = fair) -> None:
        self._entropy = SeededEntropy(seed)
        self._queue: list[tuple[float, int, Passage]] = []
        self._last_circuit_id = 0
        self.now = Monotonic(0.0)
        self.fate = fate
        self.cells = 0
        self.relays = [
            RigRelay(self, number, self._entropy.child(f"relay {number}"))
            for number in range(relays)
        ]
        self.origins: list[OriginCircuit] = []
        self.events: list[list[OriginEvent]] = []

    def build(
        self, path: Sequence[int], config: CircuitConfig | None = None
    ) -> OriginCircuit:
        """Begin a circuit over the relays of these numbers."""
        circuit = OriginCircuit(
            self.new_circuit_id(),
            [self.relays[number].spec for number in path],
            self._entropy.child(f"origin {len(self.origins)}"),
            config or CircuitConfig(),
            self.now,
        )
        self.origins.append(circuit)
        self.events.append([])
        self.flush()
        return circuit

    def built(self, hops: int) -> OriginCircuit:
        """Return a finished circuit over relays 0 … hops - 1; forget its events."""
        circuit = self.build(range(hops))
        self.run(Seconds(2.0))
        if not circuit.is_open:
            raise AssertionError("the circuit was not built")
        self.events[-1].clear()
        return circuit

    def run(self, seconds: Seconds) -> None:
        """Let time pass."""
        self.flush()
        end = self.now + seconds
        while (due := self._next_due()) is not None and due <= end:
            self._step(due)
        self.now = Monotonic(end)

    def run_until(self, is_true: Callable[[], bool], within: Seconds) -> bool:
        """Let time pass until something is true; tell whether it ever was."""
        self.flush()
        end = self.now + within
        while not is_true():
            due = self._next_due()
            if due is None or due > end:
                return False
            self._step(due)
        return True

    def send(self, sender: int, receiver: int, cell: bytes) -> None:
        """Put a cell on its way."""
        passage = Passage(self.cells, sender, receiver, cell)
        self.cells += 1
        for serial, (delay, data) in enumerate(self.fate(passage)):
            arrival = Passage(passage.number, sender, receiver, data)
            number = passage.number * 16 + serial
            heapq.heappush(self._queue, (self.now + delay, number, arrival))

    def send_blocks(self, circuit: OriginCircuit, blocks: Sequence[bytes]) -> None:
        """Send session blocks over a circuit."""
        self.send_cells(circuit, circuit.send_blocks(blocks))

    def send_cells(self, circuit: OriginCircuit, cells: Sequence[bytes]) -> None:
        """Send cells of a circuit to its first relay."""
        number = self.origins.index(circuit)
        first = self.find(circuit.path[0].node_id, circuit.path[0].endpoints[0])
        if first is not None:
            for cell in cells:
                self.send(-1 - number, first, cell)

    def flush(self) -> None:
        """Let everybody send and tell."""
        for relay in self.relays:
            relay.flush()
        for number, circuit in enumerate(self.origins):
            self.send_cells(circuit, circuit.cells_to_send(self.now))
            while (event := circuit.next_event()) is not None:
                self.events[number].append(event)

    def find(self, node_id: NodeId, endpoint: Endpoint) -> int | None:
        """Return the relay with this id and endpoint."""
        for number, relay in enumerate(self.relays):
            if relay.spec.node_id == node_id and endpoint in relay.spec.endpoints:
                return number
        return None

    def new_circuit_id(self) -> CircuitId:
        """Return an id not used before."""
        self._last_circuit_id += 1
        return CircuitId(self._last_circuit_id)

    def _next_due(self) -> float | None:
        due: list[float] = [self._queue[0][0]] if self._queue else []
        timeouts = [relay.next_timeout() for relay in self.relays]
        timeouts += [circuit.next_timeout() for circuit in self.origins]
        return min([*due, *(t for t in timeouts if t is not None)], default=None)

    def _step(self, due: float) -> None:
        self.now = Monotonic(max(self.now, due))
        while self._queue and self._queue[0][0] <= self.now:
            _, _, passage = heapq.heappop(self._queue)
            if passage.receiver < 0:
                circuit = self.origins[-1 - passage.receiver]
                circuit.receive([passage.cell], self.now)
            else:
                self.relays[passage.receiver].receive(passage.sender, passage.cell)
        for relay in self.relays:
            relay.handle_timeout()
        self.flush()
