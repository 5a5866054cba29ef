"""A relay without I/O: links, circuits, rendezvous, requests and limits in one machine.

::

    datagrams -> LinkMachine -> cells -> Forwarding ----------------> LinkMachine
                                  |         (all RELAY cells passing)      ^
                                  +-> Circuits, Extending (CREATE … ) -----+
                                  +-> Requests (cookies; events for services)
                                  +-> ServiceExchange (SERVICE)

Owners follow `psp.sansio.Machine`. Work is done per train; what happened to circuits is
settled once after it, and everything leaves at `trains_to_send`. Circuits are killed for
memory in `handle_timeout` only, before anything else (R-RES-3).
"""

from collections import deque
from collections.abc import Iterable, Sequence

from psp.entropy import Entropy
from psp.ids import CircuitId, LinkId, NodeId
from psp.link.events import LinkClosed
from psp.link.machine import LinkMachine
from psp.sansio import Address, Train
from psp.units import Monotonic, Seconds
from psp.wire.cell import HEADER, CellCommand, Reason
from psp.wire.relay_message import RelayCommand
from relay.bandwidth_budget import BandwidthBudget
from relay.circuit_table import CircuitTable, RelayCircuit
from relay.circuits import Circuits
from relay.config import RelayConfig
from relay.congestion import Congestion
from relay.events import LinkDown, LinkUp, RelayEvent
from relay.extending import Extending, NodeLookup
from relay.forwarding import Forwarding
from relay.link_ends import LinkEnds
from relay.link_keeper import LinkKeeper
from relay.mesh import Mesh
from relay.policy import Memory
from relay.rendezvous_point import RendezvousPoint
from relay.requests import Requests
from relay.scheduler import Scheduler
from relay.service_exchange import ServiceExchange
from relay.stats import RelayStats
from relay.upkeep import Upkeep

HOUSEKEEPING = Seconds(1.0)


class RelayMachine:
    """One relay on one socket.

    Attributes:
        config: Its limits.
        stats: Its counters.
        links: Its links.
        note_backlog: Takes in how much of the receive buffer is in use, 0 … 1.
    """

    def __init__(
        self,
        links: LinkMachine,
        *,
        node_id: NodeId,
        onion_privates: Sequence[bytes],
        node: NodeLookup,
        entropy: Entropy,
        config: RelayConfig | None = None,
    ) -> None:
        """Start without links.

        Args:
            links: A new link machine with this node's identity.
            node_id: Our own.
            onion_privates: Onion keys, the current one first (R-CIR-5).
            node: The registry.
            entropy: Where random bytes come from.
            config: Limits; None for the defaults.
        """
        self.config = config or RelayConfig()
        self.stats = RelayStats()
        self.links = links
        self._table = CircuitTable()
        self._scheduler = Scheduler(self.config.bandwidth_bytes_per_s, self.stats)
        self._congestion = Congestion(self.stats)
        self.note_backlog = self._congestion.note_backlog
        self._forwarding = Forwarding(
            self._table, self._scheduler, self._congestion, self.stats
        )
        self._ends = LinkEnds(
            self.config, links, self.stats, node_id=node_id, entropy=entropy
        )
        self._extending = Extending(
            links,
            self._ends,
            self._table,
            self._forwarding,
            self.stats,
            node_id=node_id,
            node=node,
        )
        self._circuits = Circuits(
            self._ends,
            self._extending,
            self._table,
            self._forwarding,
            self.stats,
            budget=BandwidthBudget(self.config.media_budget, self._congestion),
            node_id=node_id,
            onion_privates=onion_privates,
            entropy=entropy,
        )
        self._rendezvous = RendezvousPoint(self.config, self.stats)
        self._events: deque[RelayEvent] = deque()
        self._requests = Requests(
            self.config, self._table, self._rendezvous, self._events, self.stats
        )
        self._services = ServiceExchange(self.config, entropy, self.stats)
        self._mesh = Mesh(self.config, node_id)
        self._keeper = LinkKeeper(
            links, self._mesh, self._extending, node_id=node_id, node=node
        )
        self._upkeep = Upkeep(
            config=self.config,
            table=self._table,
            circuits=self._circuits,
            extending=self._extending,
            forwarding=self._forwarding,
            scheduler=self._scheduler,
            congestion=self._congestion,
            rendezvous=self._rendezvous,
            requests=self._requests,
            keeper=self._keeper,
            events=self._events,
            stats=self.stats,
        )
        self._memory = Memory(self.config)
        self._housekeeping = Monotonic(0.0)
        self._now = Monotonic(0.0)
        self._is_stale = True
        self._own_due: Monotonic | None = None

    # -- the contract of machines

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> None:
        """Take in one train; never raises."""
        self._now = now
        for link, cells in self.links.receive(buffer, segment_size, source, now):
            for cell in self._forwarding.take(link, cells, now):
                self._is_stale = True
                self._control(link, cell, now)
        if self._forwarding.touched or self._circuits.ended:
            self._settle(now)

    def trains_to_send(self, now: Monotonic) -> list[Train]:
        """Return everything that must go out now, oldest first."""
        self._now = now
        self._read_links(now)
        for node_id, cell in self._services.cells_to_send():
            self._send_service(node_id, cell, now)
        self._upkeep.tell_origins(now)
        if self._forwarding.touched or self._circuits.ended:
            self._settle(now)
        for link, cells in self._forwarding.flush(now):
            self.links.send(link, cells, now)
        return self.links.trains_to_send(now)

    def next_event(self) -> RelayEvent | None:
        """Return the oldest unread event, or None."""
        if self._events:
            return self._events.popleft()
        return self._services.next_event()

    def next_timeout(self) -> Monotonic | None:
        """Return when to call ``handle_timeout``, or None for never."""
        if self._is_stale or self._scheduler.is_limited:
            self._is_stale = False
            self._own_due = self._next_own()
        due, own_due = self.links.next_timeout(), self._own_due
        if due is None or own_due is None:
            return own_due if due is None else due
        return min(due, own_due)

    def _next_own(self) -> Monotonic | None:
        """Return our earliest deadline, the links' apart.

        Asked again only after something else happened than cells passing through: they
        are most wakes, and change none of these.
        """
        used = self.memory_used()
        self._circuits.may_admit = not self._memory.is_pressed(used)
        if self._memory.is_critical(used):
            return self._now
        deadlines = [
            self._upkeep.next_timeout(),
            self._extending.next_timeout(),
            self._rendezvous.next_timeout(),
            self._services.next_timeout(),
            self._keeper.next_timeout(),
            self._scheduler.next_timeout(),
            self._housekeeping if len(self._table) else None,
        ]
        return min((due for due in deadlines if due is not None), default=None)

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on every deadline at or before ``now``."""
        self._now = now
        self._is_stale = True
        if self._memory.is_critical(self.memory_used()):
            self._upkeep.kill_hogs(
                lambda: self._memory.is_relieved(self.memory_used()), now
            )
        self.links.handle_timeout(now)
        self._read_links(now)
        self._extending.handle_timeout(now)
        self._rendezvous.handle_timeout(now)
        self._services.handle_timeout(now)
        self._upkeep.handle_timeout(now)
        self._keeper.handle_timeout(now)
        if now >= self._housekeeping:
            self._housekeeping = Monotonic(now + HOUSEKEEPING)
            self._ends.expire(now)
            self._congestion.handle_timeout(now)
        self._settle(now)

    # -- what services use

    def answer(self, key: int, stream_id: int, data: bytes, now: Monotonic) -> None:
        """Answer a `relay.events.RequestReceived`; late answers are dropped.

        Raises:
            LocalProtocolError: If the data does not fit the answer.
        """
        self._touch(self._requests.answer(key, stream_id, data, now))

    def refuse(self, key: int, stream_id: int, reason: Reason, now: Monotonic) -> None:
        """Refuse a `relay.events.RequestReceived`; late refusals are dropped."""
        self._touch(self._requests.refuse(key, stream_id, reason, now))

    def ask(self, key: int, command: RelayCommand, data: bytes, now: Monotonic) -> int:
        """Ask the origin of a circuit; return the token of `RequestAnswered`."""
        token, circuit = self._requests.ask(key, command, data, now)
        self._touch(circuit)
        return token

    def cells_from(self, key: int) -> int | None:
        """Return how many cells came from a circuit's origin; None if it is gone."""
        circuit = self._table.by_key(key)
        return None if circuit is None else circuit.cells_forward

    def service_request(
        self,
        node_id: NodeId,
        service: int,
        data: bytes,
        within: Seconds,
        now: Monotonic,
    ) -> int:
        """Ask another relay; return the token of `ServiceAnswered`.

        Raises:
            LocalProtocolError: If the data is longer than 1,183 bytes.
        """
        self._is_stale = True
        return self._services.request(node_id, service, data, within, now)

    def service_answer(self, token: int, data: bytes | None) -> None:
        """Answer a `ServiceRequested`; None ends it in silence."""
        self._is_stale = True
        self._services.answer(token, data)

    def draw_neighbours(
        self, seed: bytes, nodes: Iterable[NodeId], now: Monotonic
    ) -> None:
        """Draw the mesh of an epoch from its random value and its members."""
        self._is_stale = True
        self._keeper.draw(seed, nodes, now)

    def set_onion_keys(self, onion_privates: Sequence[bytes]) -> None:
        """Use new onion keys, the current one first."""
        self._circuits.set_onion_keys(onion_privates)

    def close(self, reason: Reason, now: Monotonic) -> None:
        """End every circuit and every link; the relay is of no use afterwards."""
        for circuit in self._table:
            self._circuits.close(circuit, reason, now)
        self._settle(now)
        for link, cells in self._forwarding.flush(now):
            self.links.send(link, cells, now)
        for info in self.links.links(now):
            self.links.close(info.link, now)

    def memory_used(self) -> int:
        """Return the bytes that the tables stand for."""
        return self._memory.used(
            circuits=len(self._table),
            cells=self._scheduler.size,
            cookies=len(self._rendezvous),
            requests=self._requests.size + self._services.size,
        )

    def gauges(self) -> dict[str, int]:
        """Return what goes up and down, by metric name."""
        return {
            "circuits": len(self._table),
            "cookies": len(self._rendezvous),
            "cells_queued": self._scheduler.size,
            "requests_open": self._requests.size + self._services.size,
            "memory_used_bytes": self.memory_used(),
            "neighbours": len(self._mesh.neighbours),
            "media_granted_kbit_per_s": self._circuits.budget.granted,
            "is_congested": int(self._congestion.is_active),
        }

    def status(self) -> dict[str, int]:
        """Return what an operator wants to see at a glance."""
        return self.gauges() | self.stats.at_a_glance()

    def audit(self) -> bool:
        """Recompute everything that is kept twice; return whether it agrees."""
        return all(
            part.audit()
            for part in (
                self._table,
                self._circuits,
                self._forwarding,
                self._extending,
                self._scheduler,
                self._rendezvous,
                self._requests,
                self._services,
                self._upkeep,
            )
        )

    # -- cells

    def _control(self, link: LinkId, cell: bytes, now: Monotonic) -> None:
        """Handle one cell that is not a RELAY cell of a known circuit."""
        number, command = HEADER.unpack_from(cell)
        circuit_id = CircuitId(number)
        body = cell[HEADER.size :]
        match command:
            case CellCommand.CREATE:
                circuit = self._circuits.create(link, circuit_id, body, now)
                if circuit is not None:
                    self._upkeep.opened(circuit, now)
            case CellCommand.CREATED:
                self._touch(self._extending.created(link, circuit_id, body, now))
            case CellCommand.DESTROY:
                reason = Reason.from_wire(body[0])
                self._circuits.destroyed(link, circuit_id, reason, now)
                self._keeper.touch(link, now)
            case CellCommand.RELAY:
                self._circuits.unknown(link, circuit_id, now)
            case CellCommand.SERVICE:
                self._receive_service(link, body, now)
            case _:
                self.stats.cells_malformed += 1

    def _receive_service(self, link: LinkId, body: bytes, now: Monotonic) -> None:
        peer = self.links.peer(link)
        if peer is None:
            self.stats.cells_malformed += 1
        else:
            self._services.receive(peer, body, now)
            self._keeper.touch(link, now)

    def _send_service(self, node_id: NodeId, cell: bytes, now: Monotonic) -> None:
        link = self._keeper.link_to(node_id, now)
        if link is None:
            self._services.unreachable(node_id)
        else:
            self._forwarding.send(link, (cell,))
            self._keeper.touch(link, now)

    def _settle(self, now: Monotonic) -> None:
        self._is_stale = True
        self._upkeep.settle(now)

    def _touch(self, circuit: RelayCircuit | None) -> None:
        if circuit is not None:
            self._forwarding.touched[circuit.key] = circuit

    # -- links

    def _read_links(self, now: Monotonic) -> None:
        while (event := self.links.next_event()) is not None:
            self._is_stale = True
            if isinstance(event, LinkClosed):
                count = self._circuits.link_closed(event.link, now)
                self._settle(now)
                self._keeper.closed(event.link)
                self._events.append(
                    LinkDown(event.link, event.peer, str(event.reason), count)
                )
            else:
                self._keeper.touch(event.link, now)
                self._events.append(LinkUp(event.link, event.peer))
