"""Link machines on an in-memory wire, in virtual time.

A packet takes `LinkWire.latency` seconds unless a `Tamper` decides otherwise; every
packet is logged, and counted per pair of addresses for the amplification ledger.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from psp.crypto.keys import SigningKey, link_public
from psp.ids import LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.events import LinkClosed, LinkEvent, LinkOpened
from psp.link.machine import LinkMachine
from psp.sansio import Address, Train
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic
from psp.wire.cell import CellCommand
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from psp.wire.packet import PACKET_SIZE

NETWORK = Network(31337, bytes(20))
START_UNIX_TIME = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Packet:
    """One datagram on the wire.

    Attributes:
        source: Who sent it.
        destination: Where it goes.
        data: The UDP payload.
    """

    source: Address
    destination: Address
    data: bytes


Tamper = Callable[[Packet], Iterable[tuple[float, Packet]]]
"""Maps a packet to what arrives instead, each after so many seconds."""


@dataclass(slots=True, eq=False)
class Host:
    """A machine at an address, with all that it handed to its owner.

    Attributes:
        address: Where it is; may be changed.
        machine: The machine.
        node_id: Its identity; None for a client.
        cells: Cells received, by link.
        events: Every event so far.
    """

    address: Address
    machine: LinkMachine
    node_id: NodeId | None
    cells: dict[LinkId, list[bytes]] = field(default_factory=dict)
    events: list[LinkEvent] = field(default_factory=list)

    @property
    def endpoint(self) -> Endpoint:
        """Where others reach it."""
        return Endpoint(*self.address)

    @property
    def all_cells(self) -> list[bytes]:
        """Every cell received, link by link."""
        return [cell for cells in self.cells.values() for cell in cells]

    @property
    def opened(self) -> list[LinkOpened]:
        """Links that came up."""
        return [event for event in self.events if isinstance(event, LinkOpened)]

    @property
    def closed(self) -> list[LinkClosed]:
        """Links that ended."""
        return [event for event in self.events if isinstance(event, LinkClosed)]


class LinkWire:
    """Hosts, the packets between them, and the time.

    Attributes:
        now: Virtual monotonic seconds.
        latency: Seconds one way.
        tamper: What happens to packets; None lets them pass.
        log: The latest packets, as sent.
        bytes_between: Bytes delivered, by (source, destination).
        unix_offset: Added to virtual time for the hosts' wall clocks.
    """

    def __init__(self, seed: int | str = 0, *, latency: float = 0.02) -> None:
        self.now = Monotonic(1000.0)
        self.latency = latency
        self.tamper: Tamper | None = None
        self.log: deque[Packet] = deque(maxlen=2_000)
        self.bytes_between: Counter[tuple[Address, Address]] = Counter()
        self.unix_offset = START_UNIX_TIME
        self.entropy = SeededEntropy(seed)
        self._hosts: list[Host] = []
        self._known: dict[bytes, NodeId] = {}
        self._flying: list[tuple[float, int, Packet]] = []
        self._serial = 0

    # Hosts.

    def relay(
        self,
        address: Address,
        config: LinkConfig | None = None,
        *,
        name: str = "",
        network: Network = NETWORK,
        is_registered: bool = True,
        timestamps: bytes = b"",
    ) -> Host:
        """Put a relay on the wire; one ``name`` is one identity."""
        key = SigningKey.generate(self.entropy.child(f"key {name or address}"))
        node_id = NodeId(key.public)
        if is_registered:
            self._known[link_public(node_id)] = node_id
        machine = LinkMachine(
            config or LinkConfig(),
            network=network,
            entropy=self.entropy.child(f"relay {address} {len(self._hosts)}"),
            identity=key,
            own_port=address[1],
            peer_of_static=self._known.get,
            unix_time=self._unix_time,
            timestamps=timestamps,
        )
        return self._add(Host(address, machine, node_id))

    def client(
        self,
        address: Address,
        config: LinkConfig | None = None,
        *,
        network: Network = NETWORK,
    ) -> Host:
        """Put a client on the wire."""
        machine = LinkMachine(
            config or LinkConfig(),
            network=network,
            entropy=self.entropy.child(f"client {address} {len(self._hosts)}"),
            identity=None,
            own_port=0,
            peer_of_static=self._known.get,
            unix_time=self._unix_time,
        )
        return self._add(Host(address, machine, None))

    def remove(self, host: Host) -> None:
        """Take a host off the wire, as when its process dies."""
        self._hosts.remove(host)

    def _add(self, host: Host) -> Host:
        self._hosts.append(host)
        return host

    def _unix_time(self) -> float:
        return self.unix_offset + self.now

    # What owners do.

    def open(self, host: Host, peer: Host, *others: Endpoint) -> LinkId:
        """Have ``host`` open a link to ``peer``, which may have other endpoints."""
        assert peer.node_id is not None  # noqa: S101 - a test opens links to relays
        endpoints = [peer.endpoint, *others]
        link = host.machine.open(peer.node_id, endpoints, self.now)
        self.flush(host)
        return link

    def send(self, host: Host, link: LinkId, cells: list[bytes]) -> None:
        """Have ``host`` send cells at once."""
        host.machine.send(link, cells, self.now)
        self.flush(host)

    def close(self, host: Host, link: LinkId) -> None:
        """Have ``host`` close a link."""
        host.machine.close(link, self.now)
        self.flush(host)

    def inject(self, packet: Packet, delay: float = 0.0) -> None:
        """Put a packet of nobody's on the wire; it is not tampered with."""
        self._fly(packet, delay)

    def forget_flying(self) -> None:
        """Lose every packet that is under way."""
        self._flying.clear()

    def flush(self, host: Host) -> list[Packet]:
        """Send what a host has to send and read its events; return the packets."""
        packets: list[Packet] = []
        for train in host.machine.trains_to_send(self.now):
            packets += split(train, host.address)
        for packet in packets:
            self.log.append(packet)
            tampered = [(self.latency, packet)]
            if self.tamper is not None:
                tampered = list(self.tamper(packet))
            for delay, changed in tampered:
                self._fly(changed, delay)
        while (event := host.machine.next_event()) is not None:
            host.events.append(event)
        return packets

    def _fly(self, packet: Packet, delay: float) -> None:
        self._serial += 1
        heapq.heappush(self._flying, (self.now + delay, self._serial, packet))

    # Time.

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(lambda: False, within=seconds)

    def run_until(self, condition: Callable[[], bool], within: float = 10.0) -> bool:
        """Let time pass until ``condition`` holds; tell whether it does."""
        end = self.now + within
        while not condition():
            when = self._next_moment()
            if when > end:
                self.now = Monotonic(end)
                return condition()
            self.now = Monotonic(max(self.now, when))
            self._step()
        return True

    def _next_moment(self) -> float:
        moments = [self._flying[0][0]] if self._flying else []
        for host in self._hosts:
            due = host.machine.next_timeout()
            if due is not None:
                moments.append(due)
        return min(moments, default=float("inf"))

    def _step(self) -> None:
        for host in self._hosts:
            due = host.machine.next_timeout()
            if due is not None and due <= self.now:
                host.machine.handle_timeout(self.now)
                self.flush(host)
                due = host.machine.next_timeout()
                if due is not None and due <= self.now:
                    raise AssertionError("a deadline was left behind in the past")
        while self._flying and self._flying[0][0] <= self.now:
            self._deliver(heapq.heappop(self._flying)[2])

    def _deliver(self, first: Packet) -> None:
        # Neighbours of one flow that arrive together form a train, as with UDP GRO.
        train = [first.data]
        flying = self._flying
        while flying and flying[0][0] <= self.now and len(train) < 50:
            packet = flying[0][2]
            is_same_flow = (packet.source, packet.destination) == (
                first.source,
                first.destination,
            )
            if not is_same_flow or len(packet.data) != len(first.data):
                break
            train.append(heapq.heappop(flying)[2].data)
        self.bytes_between[first.source, first.destination] += sum(map(len, train))
        host = self._host_at(first.destination)
        if host is None:
            return
        buffer = memoryview(bytearray(b"".join(train)))
        size = len(first.data)
        for link, cells in host.machine.receive(buffer, size, first.source, self.now):
            host.cells.setdefault(link, []).extend(cells)
        self.flush(host)

    def _host_at(self, address: Address) -> Host | None:
        for host in self._hosts:
            if host.address == address:
                return host
        return None


def split(train: Train, source: Address) -> list[Packet]:
    """Return the packets of a train of link packets."""
    joined = b"".join(train.parts)
    return [
        Packet(source, train.destination, joined[start : start + PACKET_SIZE])
        for start in range(0, len(joined), PACKET_SIZE)
    ]


def circuit_cell(number: int) -> bytes:
    """Return a RELAY cell that carries ``number``."""
    return bytes([0x40, 0, 0, 2, CellCommand.RELAY]) + number.to_bytes(8) + bytes(1187)


def cell_number(cell: bytes) -> int:
    """Return what `circuit_cell` was given."""
    return int.from_bytes(cell[5:13])
