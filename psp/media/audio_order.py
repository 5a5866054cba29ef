"""Audio packets back in order, with a delay that ends when its cause does.

aiortc's jitter buffer holds 80 ms always, about 200 ms for good after the first loss,
and drops five frames per lost packet. Here a packet that is next leaves at once; behind
a missing one the others wait for the length of a patience, then it counts as lost. A
smooth playout is the player's to make.
"""

from typing import NamedTuple

from psp.media.assembly import MAX_LATE, EncodedFrame
from psp.media.sequence import Unwrapper
from psp.media.stats import TrackStats
from psp.units import Monotonic, Seconds

MAX_HELD = 64
"""Packets held behind a missing one: 1.3 s of audio. When full, it counts as lost."""


class _Held(NamedTuple):
    timestamp: int
    data: bytes
    arrived: Monotonic


class AudioOrder:
    """Orders one audio stream, in which every packet is a frame."""

    def __init__(self, stats: TrackStats, patience: Seconds) -> None:
        self._stats = stats
        self._patience = patience
        self._sequences = Unwrapper(16)
        self._timestamps = Unwrapper(32)
        self._origin: int | None = None
        self._held: dict[int, _Held] = {}
        self._next: int | None = None
        self._late_in_a_row = 0

    def add(self, sequence: int, timestamp: int, data: bytes, now: Monotonic) -> None:
        """Take one packet in: 16-bit sequence, 32-bit timestamp, its frame."""
        at = self._sequences.unwrap(sequence)
        if self._next is None:
            self._next = at
        if at < self._next or at in self._held:
            self._stats.late += 1
            self._late_in_a_row += 1
            if self._late_in_a_row < MAX_LATE:
                return
            self._held.clear()
            self._next = at
        self._late_in_a_row = 0
        self._held[at] = _Held(timestamp, data, now)

    def advance(self, now: Monotonic) -> list[EncodedFrame]:
        """Return the frames that may leave now, in order."""
        frames: list[EncodedFrame] = []
        while self._held and self._next is not None:
            held = self._held.pop(self._next, None)
            if held is not None:
                self._next += 1
                frames.append(self._frame(held))
            elif self._is_given_up(now):
                oldest = min(self._held)
                self._stats.lost += oldest - self._next
                self._next = oldest
            else:
                break
        self._stats.frames += len(frames)
        return frames

    def next_timeout(self) -> Monotonic | None:
        """Return when `advance` may release more, or None while nothing waits."""
        if not self._held:
            return None
        arrived = min(held.arrived for held in self._held.values())
        return Monotonic(arrived + self._patience)

    def _is_given_up(self, now: Monotonic) -> bool:
        if len(self._held) >= MAX_HELD:
            return True
        until = self.next_timeout()
        return until is not None and until <= now

    def _frame(self, held: _Held) -> EncodedFrame:
        timestamp = self._timestamps.unwrap(held.timestamp)
        if self._origin is None:
            self._origin = timestamp
        return EncodedFrame(timestamp - self._origin, held.data)
