"""From video packets to whole frames in order, without ever a damaged one.

A frame is released on its marker, not on the next frame's first packet. Behind a
missing packet everything waits until it comes or its patience ends; then the frame is
skipped, a key frame is asked for, and nothing is released before one is whole::

    in step ──hole older than patience──▶ needs key ──first packet of a key frame──▶ …
       ▲     or an outage, or the decoder        │      what came before is forgotten
       └──────────── key frame whole ────────────┘

A whole key frame behind a hole that links have not repaired by now is as good: the sender
makes one when its own end has dropped packets.
"""

from collections.abc import Iterator
from typing import NamedTuple

from psp.media.codec import Opening
from psp.media.missing import MissingPackets
from psp.media.pipe import RoundTrip
from psp.media.sequence import Unwrapper
from psp.media.stats import TrackStats
from psp.units import Monotonic, Seconds

MAX_HELD = 1024
"""Packets held behind a hole. When full, the frame with the hole is skipped."""

MAX_GAP = 256
"""Missing at a time: more is an outage. Fresh beats complete, so nothing is asked for.
Bounds what a far end with wild sequence numbers can make us keep and search."""

OUTAGE = Seconds(0.5)
OUTAGE_GAP = 16
"""Missing in a row after `OUTAGE` seconds of silence: an outage too."""

MAX_LATE = 100
"""Packets in a row older than what was released: the sender has started over."""

KEY_FRAME_PAUSE = Seconds(0.4)
"""Between two requests at least: a sender makes no key frames sooner."""

KEY_FRAME_PAUSE_OF_ROUND_TRIP = 1.25
"""On a long path: a round trip, a frame's encoding and its many packets."""

PATIENCE_OF_ROUND_TRIP = 1.5
"""How long a frame waits on a long path: until links had their try at repairing
(`psp.media.missing`), a request and its answer."""


class VideoPacket(NamedTuple):
    """One packet of a video stream.

    Attributes:
        sequence: Its 16-bit number.
        timestamp: Of its frame, 32 bits, 90 kHz.
        is_last: Marker bit: the frame ends here.
        opening: What the payload says about being a frame's first.
        data: Bytes of the frame, the codec's packet header removed.
    """

    sequence: int
    timestamp: int
    is_last: bool
    opening: Opening
    data: bytes


class EncodedFrame(NamedTuple):
    """One whole frame.

    Attributes:
        timestamp: 90 kHz (audio: 48 kHz) ticks since the stream's first packet, never
            wrapping.
        data: The frame's bytes.
    """

    timestamp: int
    data: bytes


class FrameAssembler:
    """Puts one video stream together.

    Its owner calls `add` for each packet and `advance` after it and at `next_timeout`,
    and sends what `requests` and `wants_key_frame` ask for. Whether a released frame is
    a key frame is its owner's to say, through ``is_key`` of `accept`.
    """

    def __init__(
        self, stats: TrackStats, patience: Seconds, round_trip: RoundTrip
    ) -> None:
        """Wait for a first packet.

        Args:
            stats: Where to count.
            patience: How long a frame waits for a missing packet, at least.
            round_trip: Of the path; longer ones get more patience.
        """
        self._stats = stats
        self._least_patience = patience
        self._round_trip = round_trip
        self._sequences = Unwrapper(16)
        self._timestamps = Unwrapper(32)
        self._origin: int | None = None
        self._missing = MissingPackets(round_trip)
        self._held: dict[int, VideoPacket] = {}
        self._next = 0
        self._scan = 0
        self._highest: int | None = None
        self._last_arrival = Monotonic(0.0)
        self._late_in_a_row = 0
        self._latest_key = 0
        self._is_aligned = False
        self._needs_key = True
        self._asks_key = False
        self._asked_key: Monotonic | None = None

    # -- packets in

    def add(self, packet: VideoPacket, now: Monotonic) -> None:
        """Take one packet in, first sending or retransmission."""
        sequence = self._sequences.unwrap(packet.sequence)
        if self._highest is None:
            self._restart(sequence, packet)
        elif sequence > self._highest:
            self._extend(sequence, packet, now)
        elif not self._fill(sequence, packet):
            return
        self._late_in_a_row = 0
        self._last_arrival = now
        self._held[sequence] = packet
        if packet.opening is Opening.KEY:
            self._latest_key = max(self._latest_key, sequence)
        if self._needs_key and packet.opening is Opening.KEY and sequence > self._next:
            self._jump(sequence, is_aligned=True)
        if len(self._held) > MAX_HELD:
            self._skip()

    def _extend(self, sequence: int, packet: VideoPacket, now: Monotonic) -> None:
        highest = self._highest if self._highest is not None else sequence
        gap = sequence - highest - 1
        is_outage = gap > OUTAGE_GAP and now - self._last_arrival > OUTAGE
        if gap + len(self._missing) > MAX_GAP or is_outage:
            self._stats.lost += gap
            self._restart(sequence, packet)
            self._needs_key = self._asks_key = True
            return
        self._missing.notice(range(highest + 1, sequence), now)
        self._highest = sequence

    def _fill(self, sequence: int, packet: VideoPacket) -> bool:
        if self._missing.resolve(sequence):
            self._stats.recovered += 1
            return True
        if sequence not in self._held and sequence >= self._next:
            return True
        self._stats.late += 1
        self._late_in_a_row += 1
        if self._late_in_a_row < MAX_LATE:
            return False
        self._restart(sequence, packet)
        self._needs_key = self._asks_key = True
        return True

    def _restart(self, sequence: int, packet: VideoPacket) -> None:
        self._stats.lost += len(self._missing)
        self._missing.give_up_below(sequence)
        self._missing = MissingPackets(self._round_trip)
        self._held.clear()
        self._next = self._scan = self._highest = sequence
        self._latest_key = sequence - 1
        self._is_aligned = packet.opening is not Opening.MIDDLE
        self._asks_key = not self._is_aligned or packet.opening is Opening.DELTA

    # -- frames out

    def advance(self, now: Monotonic) -> Iterator[EncodedFrame]:
        """Yield the frames that are whole and next in order, oldest first.

        Each must be judged with `accept` before the next one is taken: what comes
        behind a hole needs a key frame, even if there was one before the hole.
        """
        while self._highest is not None:
            if self._reach_end():
                frame = self._take()
                if frame is not None:
                    yield frame
            elif self._is_key_whole_behind_hole(now):
                self._jump(self._latest_key, is_aligned=True)
            elif self._is_hopeless(now):
                self._skip()
            else:
                return

    def accept(self, *, is_key: bool) -> bool:
        """Tell whether a frame from `advance` may be used.

        False if it needs a frame that was lost: throw it away.
        """
        if self._needs_key and not is_key:
            self._stats.skipped += 1
            self._asks_key = True
            return False
        self._needs_key = self._asks_key = False
        self._stats.frames += 1
        return True

    @property
    def patience(self) -> Seconds:
        """How long a frame waits for a missing packet."""
        fitted = self._round_trip() * PATIENCE_OF_ROUND_TRIP
        return Seconds(max(self._least_patience, fitted))

    @property
    def key_frame_pause(self) -> Seconds:
        """Seconds between two requests for a key frame."""
        fitted = self._round_trip() * KEY_FRAME_PAUSE_OF_ROUND_TRIP
        return Seconds(max(KEY_FRAME_PAUSE, fitted))

    def require_key_frame(self) -> None:
        """Release nothing more before a key frame: a frame was lost further on."""
        self._needs_key = self._asks_key = True

    def _reach_end(self) -> bool:
        """Move on over the head frame; True when ``_scan`` is behind its last packet."""
        while (packet := self._held.get(self._scan)) is not None:
            if packet.timestamp != self._held[self._next].timestamp:
                return True
            self._scan += 1
            if packet.is_last:
                return True
        return False

    def _take(self) -> EncodedFrame | None:
        packets = [self._held.pop(at) for at in range(self._next, self._scan)]
        self._next = self._scan
        was_aligned, self._is_aligned = self._is_aligned, True
        data = b"".join(packet.data for packet in packets)
        timestamp = self._timestamps.unwrap(packets[0].timestamp)
        if self._origin is None:
            self._origin = timestamp
        if not data:
            return None
        if not was_aligned:
            self._stats.skipped += 1
            self._needs_key = self._asks_key = True
            return None
        return EncodedFrame(timestamp - self._origin, data)

    def _is_key_whole_behind_hole(self, now: Monotonic) -> bool:
        noticed = self._missing.noticed_at(self._scan)
        at = self._latest_key
        if noticed is None or now - noticed < self._missing.patience or at < self._scan:
            return False
        key = self._held.get(at)
        while key is not None and (packet := self._held.get(at)) is not None:
            if packet.is_last:
                return packet.timestamp == key.timestamp
            at += 1
        return False

    def _is_hopeless(self, now: Monotonic) -> bool:
        noticed = self._missing.noticed_at(self._scan)
        if noticed is None:
            return False
        if now - noticed >= self.patience:
            return True
        return self._needs_key and self._head_is_useless()

    def _head_is_useless(self) -> bool:
        head = self._held.get(self._next)
        if not self._is_aligned:
            return True
        return head is not None and head.opening is Opening.DELTA

    def _skip(self) -> None:
        """Give the head frame up and go to the start of the next one."""
        self._needs_key = self._asks_key = True
        highest = self._highest if self._highest is not None else self._next
        for sequence in sorted(self._held):
            if sequence > self._scan and self._starts_frame(sequence):
                self._jump(sequence, is_aligned=True)
                return
        last = self._held.get(highest)
        self._jump(highest + 1, is_aligned=last is not None and last.is_last)

    def _starts_frame(self, sequence: int) -> bool:
        packet = self._held[sequence]
        before = self._held.get(sequence - 1)
        if packet.opening is not Opening.MIDDLE:
            return True
        if before is None:
            return False
        return before.is_last or before.timestamp != packet.timestamp

    def _jump(self, sequence: int, *, is_aligned: bool) -> None:
        for old in [held for held in self._held if held < sequence]:
            del self._held[old]
        self._stats.lost += self._missing.give_up_below(sequence)
        self._next = self._scan = sequence
        self._is_aligned = is_aligned

    # -- feedback

    def requests(self, now: Monotonic) -> list[int]:
        """Return the 16-bit numbers of packets to ask for again now."""
        if self._needs_key and self._head_is_useless():
            return []
        due = [sequence & 0xFFFF for sequence in self._missing.due(now)]
        self._stats.nacks += len(due)
        return due

    def wants_key_frame(self, now: Monotonic) -> bool:
        """Tell whether to ask for a key frame now; True counts as asked."""
        if not self._asks_key or self._highest is None:
            return False
        if self._asked_key is not None and now - self._asked_key < self.key_frame_pause:
            return False
        if self._is_key_coming():
            return False
        self._asked_key = now
        self._stats.key_frame_requests += 1
        return True

    def _is_key_coming(self) -> bool:
        head = self._held.get(self._next)
        return head is not None and head.opening is Opening.KEY

    def next_timeout(self) -> Monotonic | None:
        """Return when to call `advance`, `requests` and `wants_key_frame` again."""
        times: list[float] = []
        noticed = self._missing.noticed_at(self._scan)
        if noticed is not None:
            times.append(noticed + self.patience)
        is_useless = self._needs_key and self._head_is_useless()
        if not is_useless and (request := self._missing.next_request()) is not None:
            times.append(request)
        asks_again = self._asks_key and not self._is_key_coming()
        if asks_again and self._asked_key is not None:
            times.append(self._asked_key + self.key_frame_pause)
        return Monotonic(min(times)) if times else None
