"""One link: its keys, its queue, its clocks, and the cells that concern only itself.

A link does not know handshakes; its machine gives it keys (`Link.adopt`) and tends it at
its deadlines (psp.link.upkeep).

::

             adopt                  keys older than 180 s
    waiting -------> up --------------------------------> waiting
       |             |                                       |
       | gave up     | peer silent, or closed it     gave up |
       +-----------> closed <--------------------------------+

Source: SPEC.md sections 1 and 2; WireGuard section 6.
"""

from collections import deque
from collections.abc import Sequence

from psp.entropy import Entropy
from psp.errors import RemoteProtocolError
from psp.ids import LinkId, NodeId
from psp.link.config import QUEUED_CELLS, LinkConfig
from psp.link.events import LinkInfo, PeerKind
from psp.link.initiator import NEW_LINK, CookieJar, Dial
from psp.link.keypair import Keypair
from psp.link.liveness import Liveness
from psp.link.roaming import Candidate
from psp.link.stats import LinkStats
from psp.sansio import MAX_TRAIN, Address, Train
from psp.units import Monotonic
from psp.wire.cell import HEADER, CellCommand
from psp.wire.link_cells import (
    PATH_NONCE_SIZE,
    Repair,
    decode_path_nonce,
    link_cell,
)

PADDING_CELL = link_cell(CellCommand.PADDING)
NEVER = Monotonic(float("inf"))


class Link:
    """The session with one peer, over any number of keys.

    Attributes:
        link_id: Its name in this process.
        peer: The relay at the other end; None for a client.
        is_initiator: Whether we started it.
        address: Where we send; validated.
        endpoints: Where the peer may be reached; empty when it started the link.
        cookies: What its endpoints gave us.
        current: Keys in use; None while waiting for some.
        previous: Keys before those; they only open.
        dial: The handshake under way, if we started the link.
        wake: When `upkeep` was promised to be called.
        liveness: Signs of life.
        retired: Keys that are of no use any more; the machine takes them.
        is_closed_by_peer: The peer said that the link is over.
        opened_at: When it came up first.
        resume_token: Continues the link in the next handshake; zeros before the first.
        candidate: Where the peer seems to have moved.
        interval: How long we may be quiet before we send padding.
        config: Times and limits.
        stats: Counters of the machine.
        tokens: Hashes of the resume tokens that continue it, newest last.
    """

    __slots__ = (
        "_entropy",
        "_is_demanding",
        "_outgoing",
        "_queue",
        "_ready",
        "_received",
        "_repaired",
        "_sent",
        "address",
        "candidate",
        "config",
        "cookies",
        "current",
        "dial",
        "endpoints",
        "interval",
        "is_client",
        "is_closed_by_peer",
        "is_initiator",
        "link_id",
        "liveness",
        "opened_at",
        "peer",
        "previous",
        "resume_token",
        "retired",
        "stats",
        "tokens",
        "wake",
    )

    def __init__(
        self,
        link_id: LinkId,
        *,
        peer: NodeId | None,
        is_initiator: bool,
        is_client: bool,
        endpoints: Sequence[Address],
        config: LinkConfig,
        entropy: Entropy,
        stats: LinkStats,
        now: Monotonic,
    ) -> None:
        """Make a link that waits for keys.

        Args:
            link_id: Its name in this process.
            peer: The relay at the other end; None for a client.
            is_initiator: Whether we start it.
            is_client: Whether one end is a client: then idle time is padded.
            endpoints: Where to reach the peer, 1 or more.
            config: Times and limits.
            entropy: Randomness.
            stats: Counters of the machine.
            now: The time.
        """
        self.link_id = link_id
        self.peer = peer
        self.is_initiator = is_initiator
        self.is_client = is_client
        self.endpoints = list(endpoints)
        self.address = self.endpoints[0]
        self.cookies: CookieJar = {}
        self.current: Keypair | None = None
        self.previous: Keypair | None = None
        self.dial: Dial | None = None
        self.wake = NEVER
        self.liveness = Liveness(config, now)
        self.retired: list[Keypair] = []
        self.is_closed_by_peer = False
        self.opened_at: Monotonic | None = None
        self.resume_token = NEW_LINK
        self.tokens: deque[bytes] = deque()
        self.candidate: Candidate | None = None
        self.config = config
        self.stats = stats
        self._entropy = entropy
        self._queue: deque[bytes] = deque()
        self._outgoing: list[bytes] = []
        self._ready: list[Train] = []
        self._is_demanding = False
        self._sent = self._received = self._repaired = 0
        self.interval = self.draw_interval()

    @property
    def has_output(self) -> bool:
        """Whether `flush` would give anything."""
        return bool(self._ready or self._outgoing)

    @property
    def is_good(self) -> bool:
        """Whether it has keys and the peer answers."""
        return self.current is not None and not self.liveness.is_doubtful

    def info(self, now: Monotonic) -> LinkInfo:
        """Return what status pages show."""
        keypairs = [pair for pair in (self.current, self.previous) if pair]
        return LinkInfo(
            link=self.link_id,
            kind=PeerKind.CLIENT if self.peer is None else PeerKind.RELAY,
            peer=self.peer,
            is_initiator=self.is_initiator,
            is_up=self.current is not None,
            is_silent=self.liveness.is_silent(now),
            opened_at=self.opened_at,
            rtt=self.liveness.rtt,
            sent_cells=self._sent,
            received_cells=self._received,
            repaired_cells=self._repaired
            + sum(pair.gaps.repaired for pair in keypairs),
        )

    # Keys.

    def adopt(self, keypair: Keypair, address: Address, now: Monotonic) -> None:
        """Use new keys from now on; the old ones still open what is under way."""
        if self.previous is not None:
            self.retire(self.previous)
        self.previous = self.current
        self.current = keypair
        self.resume_token = keypair.resume_token
        self.address = address
        self.candidate = None
        self.dial = None
        self.liveness.heard(now)
        if self.opened_at is None:
            self.opened_at = now
        if self.is_initiator:
            # The responder uses the keys only after it has heard them from us.
            self.challenge(now)
        else:
            keypair.is_confirmed = True
            self._outgoing.append(PADDING_CELL)
        if self._queue:
            self._outgoing.extend(self._queue)
            self._queue.clear()
            self._is_demanding = True

    def retire(self, keypair: Keypair) -> None:
        """Put keys away; the machine releases their index."""
        self._repaired += keypair.gaps.repaired
        self.retired.append(keypair)

    # Sending.

    def push(self, cells: list[bytes]) -> None:
        """Take cells of the owner for the next `flush`."""
        if self.current is not None:
            self._outgoing.extend(cells)
            self._is_demanding = True
            return
        queue = self._queue
        queue.extend(cells)
        while len(queue) > QUEUED_CELLS:
            queue.popleft()
            self.stats.drop_queue += 1

    def say(self, cell: bytes) -> None:
        """Take a cell of the link itself for the next `flush`."""
        self._outgoing.append(cell)

    def flush(self, now: Monotonic) -> list[Train]:
        """Seal what was pushed; return all that is to be sent."""
        trains, self._ready = self._ready, []
        cells, self._outgoing = self._outgoing, []
        keypair = self.current
        if keypair is None or not cells:
            return trains
        if len(cells) > keypair.room:
            self.stats.drop_key_limit += len(cells) - keypair.room
            del cells[keypair.room :]
        for start in range(0, len(cells), MAX_TRAIN):
            chunk = (
                cells[start : start + MAX_TRAIN] if len(cells) > MAX_TRAIN else cells
            )
            first = keypair.next_counter
            packets = keypair.seal(chunk)
            keypair.sent.append(first, packets, now)
            count = len(chunk)
            address = self.address if self.candidate is None else self._path_for(count)
            trains.append(Train(address, [packets], count))
        self._sent += len(cells)
        self.liveness.sent(now, is_demanding=self._is_demanding)
        self._is_demanding = False
        return trains

    def _path_for(self, packets: int) -> Address:
        candidate = self.candidate
        if candidate is not None and candidate.spend(packets):
            return candidate.address
        return self.address

    def challenge(self, now: Monotonic) -> None:
        """Ask the peer for a sign of life."""
        nonce = self._entropy.token(PATH_NONCE_SIZE)
        self.liveness.probe(nonce, now)
        self._outgoing.append(link_cell(CellCommand.PATH_CHALLENGE, nonce))
        self._is_demanding = True

    # Receiving.

    def note_received(
        self,
        keypair: Keypair,
        packets: int,
        source: Address,
        now: Monotonic,
        *,
        is_newest: bool,
    ) -> None:
        """Note authentic packets.

        Args:
            keypair: What opened them.
            packets: How many.
            source: Where they came from.
            now: The time.
            is_newest: Whether one of them is newer than all before.
        """
        self._received += packets
        keypair.gaps.received += packets
        keypair.is_confirmed = True
        if source != self.address:
            if is_newest and not self.is_initiator:
                self._roam(source, packets, now)
        elif is_newest:
            self.candidate = None
        current = self.current
        if current is not None and not current.is_confirmed:
            # Under older keys: that says nothing about whether the peer has the new.
            return
        self.liveness.heard(now)
        dial = self.dial
        if dial is not None and dial.is_failover and current is not None:
            dial.end()
            self.dial = None

    def read_control(
        self, cells: list[bytes], source: Address, now: Monotonic
    ) -> list[bytes]:
        """Act on cells with circuit id 0.

        Returns:
            Those that are the owner's.

        Raises:
            RemoteProtocolError: If the peer may not send one of them.
        """
        services: list[bytes] = []
        for cell in cells:
            body = cell[HEADER.size :]
            match cell[HEADER.size - 1]:
                case CellCommand.PADDING:
                    self.stats.padding_received += 1
                case CellCommand.PATH_CHALLENGE:
                    nonce = decode_path_nonce(body)
                    self.say(link_cell(CellCommand.PATH_RESPONSE, nonce))
                case CellCommand.PATH_RESPONSE:
                    self._read_path_response(decode_path_nonce(body), source, now)
                case CellCommand.REPAIR:
                    self._repair(Repair.decode(body), now)
                case CellCommand.DESTROY:
                    self.is_closed_by_peer = True
                case CellCommand.SERVICE if not self.is_client:
                    services.append(cell)
                case command:
                    raise RemoteProtocolError(f"command {command} on circuit 0")
        return services

    def _roam(self, source: Address, packets: int, now: Monotonic) -> None:
        candidate = self.candidate
        if candidate is None or candidate.address != source:
            nonce = self._entropy.token(PATH_NONCE_SIZE)
            candidate = self.candidate = Candidate(source, nonce, now)
        candidate.earn(packets)
        if candidate.due <= now and not candidate.is_spent:
            self.challenge_candidate(candidate, now)

    def challenge_candidate(self, candidate: Candidate, now: Monotonic) -> None:
        """Ask whether the peer receives what is sent to its new address."""
        if not candidate.challenge(now) or self.current is None:
            return
        cell = link_cell(CellCommand.PATH_CHALLENGE, candidate.nonce)
        packet = self.current.seal([cell])
        self._sent += 1
        self._ready.append(Train(candidate.address, [packet], 1))

    def _read_path_response(
        self, nonce: bytes, source: Address, now: Monotonic
    ) -> None:
        candidate = self.candidate
        if (
            candidate is not None
            and candidate.address == source
            and candidate.nonce == nonce
        ):
            self.address = source
            self.candidate = None
            self.stats.roamed += 1
        else:
            self.liveness.answered(nonce, now)

    def _repair(self, repair: Repair, now: Monotonic) -> None:
        for keypair in (self.current, self.previous):
            if keypair is None or keypair.remote_index != repair.receiver_index:
                continue
            packets: list[bytes] = []
            for counter in repair.counters:
                found = keypair.sent.take(counter, now)
                if found is None:
                    self.stats.repairs_missed += 1
                else:
                    packets.append(found)
            self.stats.repairs_sent += len(packets)
            for start in range(0, len(packets), MAX_TRAIN):
                chunk = packets[start : start + MAX_TRAIN]
                count = len(chunk)
                self._ready.append(Train(self._path_for(count), chunk, count))

    def draw_interval(self) -> float:
        """Return how long we may be quiet: drawn anew each time for clients."""
        config = self.config
        if not self.is_client:
            return config.keepalive
        span = config.padding_high - config.padding_low
        draws = (self._entropy.uniform(), self._entropy.uniform())
        return config.padding_low + span * max(draws)
