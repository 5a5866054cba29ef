"""The two ends of a measured path, in the benchmark's own process.

A `Source` is a client: real links, real circuits, cells as fast as the path takes them.
A `Sink` is a relay whose circuits end there. Both are driven by hand, without an event
loop: `pump` moves packets until something is true.
"""

import select
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from cli.bench.processes import HOST, NETWORK, Node, bench_relay
from psp.circuit.config import CircuitConfig
from psp.circuit.events import CircuitBuilt, CircuitClosed
from psp.circuit.origin import HopSpec, OriginCircuit
from psp.ids import CircuitId, LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.machine import LinkMachine
from psp.runtime.entropy import SystemEntropy
from psp.runtime.udp import UdpSocket
from psp.sansio import Address, Train
from psp.units import Monotonic
from psp.wire.cell import HEADER
from psp.wire.network import Network
from relay.config import RelayConfig


class Party(Protocol):
    """One end: a machine with a socket."""

    @property
    def udp(self) -> UdpSocket:
        """Its socket."""
        ...

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> None:
        """Take in a train."""

    def trains_to_send(self, now: Monotonic) -> list[Train]:
        """Return what is due."""
        ...

    def next_timeout(self) -> Monotonic | None:
        """Return the earliest deadline."""

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on deadlines."""


def clock() -> Monotonic:
    """Return the time."""
    return Monotonic(time.monotonic())


def pump(parties: Sequence[Party], is_done: Callable[[], bool], within: float) -> bool:
    """Move packets until ``is_done`` or out of time; return whether it is done."""
    give_up = clock() + within
    while not is_done():
        now = clock()
        if now >= give_up:
            return False
        waits = [give_up - now]
        for party in parties:
            due = party.next_timeout()
            if due is not None and due <= now:
                party.handle_timeout(now)
            flush(party)
            if due is not None:
                waits.append(max(0.0, due - now))
        sockets = [party.udp.fileno() for party in parties]
        ready = select.select(sockets, [], [], min(*waits, 0.05))[0]
        for party in parties:
            if party.udp.fileno() in ready:
                drain(party)
    return True


def drain(party: Party) -> None:
    """Take in everything that waits at a party's socket."""
    now = clock()
    while (batch := party.udp.receive_batch()) is not None:
        party.receive(*batch, now)
    flush(party)


def flush(party: Party) -> None:
    """Send what is due."""
    for train in party.trains_to_send(clock()):
        party.udp.send(train)


class Sink:
    """A relay at which circuits end; blocks that arrive are checked and counted.

    Attributes:
        node: Its entry.
        udp: Its socket.
    """

    def __init__(self, config: RelayConfig) -> None:
        self.udp = UdpSocket((HOST, 0))
        self._nodes: dict[NodeId, Node] = {}
        self._machine, self.node = bench_relay(self.udp, self._nodes, config)
        self.receive = self._machine.receive
        self.trains_to_send = self._machine.trains_to_send
        self.next_timeout = self._machine.next_timeout

    def introduce(self, nodes: Sequence[Node]) -> None:
        """Tell it who is registered."""
        self._nodes.update({node.node_id: node for node in nodes})

    @property
    def blocks(self) -> int:
        """Whole, fresh, unchanged blocks that arrived."""
        return self._machine.stats.blocks_unjoined

    @property
    def bad(self) -> int:
        """Cells that were changed or replayed behind the measured relay."""
        hops = self._machine.stats.hops
        return hops.bad_tag + hops.replayed

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on deadlines; nobody reads the events."""
        self._machine.handle_timeout(now)
        while self._machine.next_event() is not None:
            pass


class Source:
    """A client with any number of circuits over one link.

    Attributes:
        udp: Its socket.
        circuits: Those that are open or being built.
        build_times: Seconds that each took.
        failures: Circuits that ended unbuilt, or later.
    """

    def __init__(self, *, batched: bool = True, network: Network = NETWORK) -> None:
        self._entropy = SystemEntropy()
        self.udp = UdpSocket((HOST, 0), gso=batched, gro=batched)
        self.links = LinkMachine(
            LinkConfig(),
            network=network,
            entropy=self._entropy,
            identity=None,
            own_port=0,
            peer_of_static=lambda _: None,
            unix_time=time.time,
        )
        self.circuits: list[OriginCircuit] = []
        self.build_times: list[float] = []
        self.failures = 0
        self._link = LinkId(0)
        self._by_id: dict[int, OriginCircuit] = {}
        self._building: list[OriginCircuit] = []

    @property
    def link(self) -> LinkId:
        """The link that its circuits run over."""
        return self._link

    @property
    def is_building(self) -> bool:
        """Whether a circuit is neither open nor closed yet."""
        return bool(self._building)

    def open(self, path: Sequence[HopSpec]) -> OriginCircuit:
        """Begin a circuit."""
        now = clock()
        self._link = self.links.open(path[0].node_id, path[0].endpoints, now)
        circuit_id = CircuitId(int.from_bytes(self._entropy.token(4)) & ~1 or 2)
        circuit = OriginCircuit(circuit_id, path, self._entropy, CircuitConfig(), now)
        self.circuits.append(circuit)
        self._by_id[circuit_id] = circuit
        self._building.append(circuit)
        return circuit

    def prepare(self, cells: list[bytes]) -> None:
        """Let cells of any of our circuits leave at the next flush."""
        self.links.send(self._link, cells, clock())

    def send(self, cells: list[bytes]) -> None:
        """Send cells of any of our circuits, now."""
        self.prepare(cells)
        flush(self)

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> None:
        """Take in a train."""
        for _, cells in self.links.receive(buffer, segment_size, source, now):
            for cell in cells:
                circuit = self._by_id.get(HEADER.unpack_from(cell)[0])
                if circuit is not None:
                    circuit.receive([cell], now)
        self._note(now)

    def trains_to_send(self, now: Monotonic) -> list[Train]:
        """Return what is due."""
        self._note(now)
        return self.links.trains_to_send(now)

    def next_timeout(self) -> Monotonic | None:
        """Return the earliest deadline of the link and of what is being built."""
        due = [self.links.next_timeout()]
        due += [circuit.next_timeout() for circuit in self._building]
        return min((time for time in due if time is not None), default=None)

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on deadlines."""
        self.links.handle_timeout(now)
        for circuit in self._building:
            circuit.handle_timeout(now)

    def _note(self, now: Monotonic) -> None:
        while self.links.next_event() is not None:
            pass
        for circuit in list(self._building):
            if cells := circuit.cells_to_send(now):
                self.links.send(self._link, cells, now)
            while (event := circuit.next_event()) is not None:
                if isinstance(event, CircuitBuilt):
                    self.build_times.append(event.build_time)
                elif isinstance(event, CircuitClosed):
                    self.failures += 1
                else:
                    continue
                self._building.remove(circuit)
                break
