"""All links of one socket: the pure machine behind it (psp.sansio).

A packet finds its owner by its first 8 bytes, and trains stay trains: the packets of a
train belong to one pair of keys as a rule, and are opened in one go::

    receive --> Session           --> Keypair.open_run --> cells
            --> anything else     --> Strangers (handshakes), or silence

    send --> Link (queue) --> trains_to_send --> Keypair.seal --> trains

Nothing is sent to anybody unauthenticated but one packet for one packet (R-LNK-6).
"""

from collections.abc import Callable, Sequence

from psp.crypto.keys import SigningKey
from psp.entropy import Entropy
from psp.errors import LocalProtocolError, RemoteProtocolError
from psp.ids import LinkId, NodeId
from psp.link.config import REORDER_TOLERANCE, REPAIR_AGE, LinkConfig
from psp.link.events import CellBatch, CloseReason, LinkEvent, LinkInfo
from psp.link.keypair import PREFIX_SIZE
from psp.link.lifecycle import Lifecycle, Session
from psp.link.link import NEVER, Link
from psp.link.stats import LinkStats
from psp.link.strangers import Strangers
from psp.sansio import Address, Train
from psp.units import Monotonic
from psp.wire.cell import CellCommand, Reason
from psp.wire.endpoint import Endpoint
from psp.wire.link_cells import link_cell
from psp.wire.network import Network
from psp.wire.packet import PACKET_SIZE


class LinkMachine:
    """Every link of one socket.

    Attributes:
        stats: Counters.
    """

    def __init__(
        self,
        config: LinkConfig,
        *,
        network: Network,
        entropy: Entropy,
        identity: SigningKey | None,
        own_port: int,
        peer_of_static: Callable[[bytes], NodeId | None],
        unix_time: Callable[[], float],
        timestamps: bytes = b"",
    ) -> None:
        """Make a machine without links.

        Args:
            config: Times and limits.
            network: Which chain and registry; machines of others never connect.
            entropy: Randomness.
            identity: The node's key; None for a client, which answers no handshake.
            own_port: The port that peers know this machine by; any for a client.
            peer_of_static: Maps a relay's X25519 key to a registered node; None
                refuses it.
            unix_time: The wall clock, for the times in our handshakes.
            timestamps: What `export_timestamps` gave before the restart.

        Raises:
            DecodeError: If ``timestamps`` is damaged.
        """
        self.stats = LinkStats()
        self._life = Lifecycle(
            config,
            network=network,
            entropy=entropy,
            identity=identity,
            own_port=own_port,
            peer_of_static=peer_of_static,
            unix_time=unix_time,
            stats=self.stats,
        )
        self._strangers = Strangers(self._life, self.stats)
        if self._life.responder is not None:
            self._life.responder.timestamps.load(timestamps)

    # The owner's side.

    def open(
        self,
        peer: NodeId,
        endpoints: Sequence[Endpoint],
        now: Monotonic,
        *,
        port: int | None = None,
    ) -> LinkId:
        """Return a link to a relay at once; it may still have to come up.

        Cells sent before wait, at most 128. An existing link is taken if there is one,
        and learns the endpoints.

        Args:
            peer: The relay.
            endpoints: Where it may be reached, 1 or more, in the order to try.
            now: The time.
            port: Of the one worker of the relay to reach, if it has several: then all
                endpoints are that worker's, and links with others do not count.

        Raises:
            LocalProtocolError: If there is no endpoint.
            DecodeError: If ``peer`` is no usable key.
        """
        if not endpoints:
            raise LocalProtocolError("a link needs an endpoint")
        addresses = [endpoint.address for endpoint in endpoints]
        link = self._life.table.best_with(peer, port)
        if link is None:
            return self._life.start(peer, addresses, now)
        if link.is_initiator:
            link.endpoints = addresses
        return link.link_id

    def send(
        self,
        link_id: LinkId,
        cells: list[bytes],
        now: Monotonic,  # noqa: ARG002 - sealing waits for trains_to_send, which has it
    ) -> None:
        """Send cells of circuits or services; those for a closed link are dropped.

        They are sealed by `trains_to_send`, together with others for the same link.
        """
        link = self._life.table.get(link_id)
        if link is None:
            self.stats.drop_no_link += len(cells)
            return
        self.stats.sent_cells += len(cells)
        link.push(cells)
        self._life.unflushed[link_id] = link

    def close(self, link_id: LinkId, now: Monotonic) -> None:
        """End a link and tell the peer; an unknown one is fine."""
        link = self._life.table.get(link_id)
        if link is None:
            return
        if link.current is not None:
            reason = bytes([Reason.REQUESTED])
            link.say(link_cell(CellCommand.DESTROY, reason))
            self._life.trains += link.flush(now)
        self._life.bury(link, CloseReason.REQUESTED)

    def peer(self, link_id: LinkId) -> NodeId | None:
        """Return the relay at the other end; None for a client or a closed link."""
        link = self._life.table.get(link_id)
        return None if link is None else link.peer

    def link_to(self, peer: NodeId, port: int | None = None) -> LinkId | None:
        """Return the best link with a relay, or with its worker at a port.

        It may be waiting for keys.
        """
        link = self._life.table.best_with(peer, port)
        return None if link is None else link.link_id

    def is_up(self, link_id: LinkId) -> bool:
        """Tell whether a link has keys."""
        link = self._life.table.get(link_id)
        return link is not None and link.current is not None

    def endpoint_of(self, link_id: LinkId) -> Address | None:
        """Return where a link's cells go; None for a closed link."""
        link = self._life.table.get(link_id)
        return None if link is None else link.address

    def links(self, now: Monotonic) -> list[LinkInfo]:
        """Return what status pages show of each link, oldest first."""
        return [link.info(now) for link in self._life.table.all()]

    def export_timestamps(self) -> bytes:
        """Return what must survive a restart for old handshakes to stay refused."""
        responder = self._life.responder
        return b"" if responder is None else responder.timestamps.encode()

    def next_event(self) -> LinkEvent | None:
        """Return the oldest unread event, or None."""
        events = self._life.events
        return events.popleft() if events else None

    # The socket's side.

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> list[CellBatch]:
        """Take in one train; return the cells in it that are not the links' own."""
        batches: list[CellBatch] = []
        if segment_size == PACKET_SIZE and len(buffer) % PACKET_SIZE == 0:
            self._read_packets(buffer, source, now, batches)
            return batches
        size = segment_size if segment_size > 0 else max(1, len(buffer))
        for start in range(0, len(buffer), size):
            packet = buffer[start : start + size]
            if len(packet) == PACKET_SIZE:
                self._read_packets(packet, source, now, batches)
            else:
                self.stats.received_packets += 1
                self.stats.drop_malformed += 1
        return batches

    def trains_to_send(self, now: Monotonic) -> list[Train]:
        """Return everything that must go out now, oldest first."""
        life = self._life
        if life.unflushed:
            for link in life.unflushed.values():
                life.trains += link.flush(now)
                life.wake_within(link, REPAIR_AGE, now)
            life.unflushed.clear()
        trains, life.trains = life.trains, []
        for train in trains:
            self.stats.sent_packets += train.packets
        return trains

    def next_timeout(self) -> Monotonic | None:
        """Return when to call `handle_timeout`, or None for never."""
        due = self._life.deadlines.next()
        responder = self._life.responder
        half_open = None if responder is None else responder.due
        if due is None or half_open is None:
            return half_open if due is None else due
        return min(due, half_open)

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on every deadline at or before ``now``. Early calls do nothing."""
        life = self._life
        if life.responder is not None:
            life.responder.handle_timeout(now)
        for link_id in life.deadlines.pop_expired(now):
            link = life.table.get(link_id)
            if link is not None:
                link.wake = NEVER
                life.tend(link, now)

    # Packets.

    def _read_packets(
        self,
        buffer: memoryview,
        source: Address,
        now: Monotonic,
        batches: list[CellBatch],
    ) -> None:
        owners = self._life.indexes.owners
        end = len(buffer)
        self.stats.received_packets += end // PACKET_SIZE
        position, size = 0, end
        while position < end:
            packets = buffer[position : position + size] if position else buffer
            owner = owners.get(bytes(packets[:PREFIX_SIZE]))
            if type(owner) is Session:
                taken = self._open(owner, packets, source, now, batches)
                position += taken * PACKET_SIZE
                # What is left has another owner, perhaps each packet its own: taken
                # together, it would be unpacked anew for each of them.
                size = PACKET_SIZE
            else:
                packet = packets[:PACKET_SIZE]
                position += PACKET_SIZE
                session = self._strangers.read(packet, owner, source, now)
                if session is not None:
                    self._open(session, packet, source, now, batches)

    def _open(
        self,
        session: Session,
        packets: memoryview,
        source: Address,
        now: Monotonic,
        batches: list[CellBatch],
    ) -> int:
        keypair, link = session
        cells: list[bytes] = []
        control: list[bytes] = []
        highest = keypair.window.highest
        taken = keypair.open_run(packets, cells, control, now)
        count = len(cells) + len(control)
        if not count:
            return taken
        is_newest = keypair.window.highest > highest
        link.note_received(keypair, count, source, now, is_newest=is_newest)
        is_alive = True
        if control:
            is_alive = self._read_control(link, control, cells, source, now)
        if cells:
            self.stats.received_cells += len(cells)
            batches.append(CellBatch(link.link_id, cells))
        if not is_alive:
            return taken
        if keypair.gaps:
            self._life.wake_within(link, REORDER_TOLERANCE, now)
        if link.has_output:
            self._life.unflushed[link.link_id] = link
        if source != link.address:
            self._life.arm(link)
        return taken

    def _read_control(
        self,
        link: Link,
        control: list[bytes],
        cells: list[bytes],
        source: Address,
        now: Monotonic,
    ) -> bool:
        try:
            cells += link.read_control(control, source, now)
        except RemoteProtocolError:
            self.stats.drop_protocol += 1
            self._life.bury(link, CloseReason.PROTOCOL)
            return False
        if link.is_closed_by_peer:
            self._life.bury(link, CloseReason.REMOTE)
            return False
        return True
