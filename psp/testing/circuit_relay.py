"""A relay with nothing but circuits, for `psp.testing.circuits`.

It does what a relay must for its circuits to work: create, extend, pass on, destroy.
"""

from dataclasses import dataclass, field
from typing import Protocol

from psp.circuit.admission import accept, read_handshake
from psp.circuit.create import CreateTable, Creation
from psp.circuit.events import (
    ExtendRequested,
    HopClosed,
    HopEvent,
    RequestReceived,
    TruncateRequested,
)
from psp.circuit.hop import HopCircuit
from psp.circuit.origin import HopSpec
from psp.circuit.stats import CreateStats, HopStats
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.errors import RemoteProtocolError
from psp.ids import CircuitId, NodeId
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic
from psp.wire.cell import HEADER, Cell, CellCommand, Reason
from psp.wire.endpoint import Endpoint
from psp.wire.relay_message import RelayCommand


class Surroundings(Protocol):
    """What a rig gives its relays."""

    @property
    def now(self) -> Monotonic:
        """The time."""
        ...

    def send(self, sender: int, receiver: int, cell: bytes) -> None:
        """Put a cell on its way."""

    def find(self, node_id: NodeId, endpoint: Endpoint) -> int | None:
        """Return the relay with this id and endpoint."""
        ...

    def new_circuit_id(self) -> CircuitId:
        """Return an id not used before."""
        ...


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

    def __init__(self, rig: Surroundings, number: int, entropy: SeededEntropy) -> None:
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
            handshake = read_handshake(
                received,
                node_id=self.spec.node_id,
                onion_privates=[self._onion_private],
            )
            hop, reply = accept(
                received,
                handshake,
                handshake.bandwidth.wanted_kbit_per_s,
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
