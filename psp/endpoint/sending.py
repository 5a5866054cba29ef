"""The sending half of a session: what goes out when, and over which legs.

Datagrams wait in lanes until the path's rate lets them go, and are sealed only then, so
that counters rise in the order in which blocks leave.
"""

from psp.crypto.layer import SealingLayer
from psp.endpoint.audio import AudioSender
from psp.endpoint.legs import Legs
from psp.endpoint.pacing import KINDS, MAX_WAITING, Lane, Pacer, SendQueue
from psp.endpoint.rate_control import BLOCK_BITS, RateControl
from psp.endpoint.session_events import (
    LegBlocks,
    SendingView,
    SessionConfig,
    SessionStats,
)
from psp.units import Monotonic, Seconds
from psp.wire.audio_bundle import MAX_AUDIO
from psp.wire.feedback import Feedback
from psp.wire.onion import Kind
from psp.wire.session_block import BlockType, pack_plain

ROOM = Seconds(0.1)
"""What an app that asks for room may have waiting: well below what gets too old."""

_PASS = Kind.PASS


class Sending:
    """Queue, pace and seal for one session.

    Attributes:
        control: Sets the rate; told of feedback and marks through this class.
    """

    def __init__(
        self,
        sealing: SealingLayer,
        legs: Legs,
        config: SessionConfig,
        stats: SessionStats,
        now: Monotonic,
    ) -> None:
        self.control = RateControl(config.rate, now)
        self._duplicates_audio = config.duplicate_audio
        self._sealing = sealing
        self._legs = legs
        self._stats = stats
        self._pacer = Pacer(self.control.rate, now)
        self._queue = SendQueue()
        self._audio = AudioSender()
        self._used: list[int] = []
        self._has_waiting = False

    # -- what an app sees

    @property
    def bitrate(self) -> int:
        """Bits a second, in datagrams of full length, that the path bears."""
        return round(self.control.rate * BLOCK_BITS)

    @property
    def capacity(self) -> int:
        """How many datagrams may wait without one of them getting too old."""
        return max(1, min(MAX_WAITING, int(self.control.rate * ROOM)))

    @property
    def room(self) -> int:
        """How many more datagrams may wait."""
        return max(0, self.capacity - len(self._queue))

    def view(self) -> SendingView:
        """Return how sending goes now."""
        control = self.control
        return SendingView(
            bitrate=self.bitrate,
            queued=len(self._queue),
            dropped=self._queue.dropped,
            marked=control.marked,
            loss=control.loss,
            queueing=Seconds(control.queueing),
            round_trip=control.round_trip,
        )

    # -- what comes in

    def add_datagram(self, datagram: bytes, kind: Kind) -> None:
        """Queue one datagram of at most 1,080 bytes.

        Raises:
            LocalProtocolError: If it is longer.
        """
        if kind is _PASS:  # first, and by identity: the operators of flags are slow
            self._queue.add(Lane.REST, pack_plain(BlockType.DATAGRAM, datagram))
        elif Kind.AUDIO not in kind:
            lane = Lane.KEY_FRAME if Kind.KEY_FRAME in kind else Lane.REST
            self._queue.add(lane, pack_plain(BlockType.DATAGRAM, datagram))
        elif 0 < len(datagram) <= MAX_AUDIO:
            bundle = self._audio.bundle(datagram)
            self._queue.add(Lane.AUDIO, pack_plain(BlockType.AUDIO, bundle))
        else:
            self._queue.add(Lane.AUDIO, pack_plain(BlockType.DATAGRAM, datagram))

    def add_control(self, plain: bytes) -> None:
        """Queue a block of the session's own, ahead of all datagrams but audio."""
        self._queue.add(Lane.CONTROL, plain)

    def receive_feedback(self, feedback: Feedback, now: Monotonic) -> None:
        """Take in what the peer says of our blocks."""
        self.control.receive(feedback, now)
        self._pacer.rate = self.control.rate

    # -- what goes out

    def blocks_to_send(self, now: Monotonic) -> list[LegBlocks]:
        """Seal and return what may go now, per leg."""
        self.control.check_silence(now)
        queue = self._queue
        if not queue:
            return []
        self._pacer.rate = self.control.rate
        if self._has_waiting:
            queue.expire(now)
        batches: list[LegBlocks] = []
        legs = self._legs_to_use(now)
        if legs:
            batches += self._seal_audio(queue.take_audio(), legs, now)
            batches += self._seal_rest(legs, now)
        self._has_waiting = len(queue) > 0
        if self._has_waiting:
            queue.stamp(now)
            if legs:
                self.control.note_waiting()
        self._stats.dropped_outgoing = queue.dropped
        return batches

    def next_timeout(self) -> Monotonic | None:
        """Return when what waits may go; None when nothing does."""
        waiting = len(self._queue)
        return self._pacer.due(waiting) if waiting and len(self._legs) else None

    def _legs_to_use(self, now: Monotonic) -> list[int]:
        legs = self._legs.to_use(now)
        if legs != self._used:
            if self._used:
                self._stats.leg_changes += 1
                self.control.change_path(now)
            self._used = legs
        return legs

    def _seal_audio(
        self, plains: list[bytes], legs: list[int], now: Monotonic
    ) -> list[LegBlocks]:
        if not plains:
            return []
        if self._duplicates_audio and len(legs) == 1:
            spares = [leg for leg in self._legs if leg not in legs]
            legs = legs + [leg for leg in spares if self._legs.is_well(leg, now)][:1]
        return self._seal(plains, legs, Kind.AUDIO, now)

    def _seal_rest(self, legs: list[int], now: Monotonic) -> list[LegBlocks]:
        queue = self._queue
        waiting = len(queue)
        if not waiting:
            return []
        batches: list[LegBlocks] = []
        for lane, plains in queue.take(self._pacer.allowance(waiting, now)):
            batches += self._seal(plains, legs, KINDS[lane], now)
        return batches

    def _seal(
        self, plains: list[bytes], legs: list[int], kind: Kind, now: Monotonic
    ) -> list[LegBlocks]:
        """Seal for each leg anew; the first one is the leg that is measured."""
        sealing = self._sealing
        first = sealing.counter
        batches = [LegBlocks(leg, sealing.seal_run(plains), kind) for leg in legs]
        self.control.note_sent(first, first + len(plains) - 1, now)
        self._pacer.spend(len(plains) * len(legs))
        return batches
