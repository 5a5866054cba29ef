"""When a session's datagrams go: a token bucket, and a queue by priority.

What waits is bounded in number and in time; when there is too much the oldest of the
least class goes first. Audio never waits here, but spends tokens like everything else.
"""

import enum
from collections import deque

from psp.units import Monotonic, Seconds
from psp.wire.onion import Kind

MAX_WAITING = 1024
"""Datagrams, 1.1 MB; 10 ms at the most a relay in Python forwards."""

MAX_AGE = Seconds(0.25)
"""How long a datagram waits at most, as in a relay's queue (SPEC.md section 3)."""

QUANTUM = Seconds(0.001)
"""What a pause between two bursts lasts at least: a loop's timers are no finer, and a
burst of 1 ms is still a train of 50 cells at 60 MB/s."""

MAX_CREDIT = Seconds(0.003)
"""How much unused rate is kept, for timers that are late."""

MIN_CREDIT = 4.0
"""Blocks that may always follow each other at once: 17 ms at 2 Mbit/s."""

_EPSILON = 1e-6


class Lane(enum.IntEnum):
    """Class of a block, the most urgent first."""

    AUDIO = 0
    CONTROL = 1
    KEY_FRAME = 2
    REST = 3


KINDS = (Kind.AUDIO, Kind.PASS, Kind.KEY_FRAME, Kind.PASS)
"""What relays are told of each lane."""


class Pacer:
    """A token bucket in blocks; the rate is its owner's to set.

    Attributes:
        rate: Blocks a second, above 0.
    """

    def __init__(self, rate: float, now: Monotonic) -> None:
        self.rate = rate
        self._tokens = MIN_CREDIT
        self._at = now

    def allowance(self, waiting: int, now: Monotonic) -> int:
        """Return how many of ``waiting`` blocks may go now.

        None go before there is a burst's worth, or enough for all of them.
        """
        rate = self.rate
        most = max(MIN_CREDIT, rate * MAX_CREDIT)
        tokens = self._tokens + max(0.0, now - self._at) * rate
        tokens = self._tokens = min(tokens, most)
        self._at = now
        if tokens + _EPSILON < self._needed(waiting):
            return 0
        return min(waiting, int(tokens + _EPSILON))

    def spend(self, blocks: int) -> None:
        """Take tokens for blocks that go, allowed or not; debt is bounded."""
        least = -max(MIN_CREDIT, self.rate * MAX_CREDIT)
        self._tokens = max(least, self._tokens - blocks)

    def due(self, waiting: int) -> Monotonic:
        """Return when `allowance` will next allow any of ``waiting`` blocks."""
        lacking = max(0.0, self._needed(waiting) - self._tokens)
        return Monotonic(self._at + lacking / self.rate)

    def _needed(self, waiting: int) -> float:
        return min(waiting, max(1.0, self.rate * QUANTUM))


class _Waiting:
    """One lane, and since when what is in it has waited."""

    __slots__ = ("_gone", "_stamps", "blocks")

    def __init__(self) -> None:
        self.blocks: deque[bytes] = deque()
        self._gone = 0
        self._stamps: deque[tuple[Monotonic, int]] = deque()

    def take(self, count: int) -> list[bytes]:
        """Remove and return the oldest ``count`` blocks; all, if there are no more."""
        blocks = self.blocks
        if count >= len(blocks):
            plains = list(blocks)
            blocks.clear()
            self._stamps.clear()
        else:
            plains = [blocks.popleft() for _ in range(count)]
        self._gone += len(plains)
        return plains

    def stamp(self, now: Monotonic) -> None:
        """Let what came since the last call wait from now on."""
        stamps = self._stamps
        total = self._gone + len(self.blocks)
        if not stamps or stamps[-1][1] < total:
            stamps.append((now, total))

    def expire(self, now: Monotonic) -> int:
        """Drop what is too old; return how much that was."""
        stamps = self._stamps
        upto = 0
        while stamps and now - stamps[0][0] > MAX_AGE:
            upto = stamps.popleft()[1]
        return len(self.take(upto - self._gone)) if upto > self._gone else 0


class SendQueue:
    """Opened blocks that wait for tokens, by lane.

    Attributes:
        dropped: Blocks that were too old, or the least of too many.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._lanes = tuple(_Waiting() for _ in Lane)
        self._blocks = tuple(lane.blocks for lane in self._lanes)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, lane: Lane, plain: bytes) -> None:
        """Queue a block; with too many the oldest of the least class is dropped."""
        self._blocks[lane].append(plain)
        self._size += 1
        if self._size > MAX_WAITING:
            least = next(lane for lane in reversed(self._lanes) if lane.blocks)
            self._count_dropped(len(least.take(1)))

    def stamp(self, now: Monotonic) -> None:
        """Let what has come since the last call wait from now on."""
        for lane in self._lanes:
            lane.stamp(now)

    def expire(self, now: Monotonic) -> None:
        """Drop what has waited for longer than `MAX_AGE`."""
        self._count_dropped(sum(lane.expire(now) for lane in self._lanes))

    def take_audio(self) -> list[bytes]:
        """Take all audio, the oldest first."""
        plains = self._lanes[Lane.AUDIO].take(self._size)
        self._size -= len(plains)
        return plains

    def take(self, most: int) -> list[tuple[Lane, list[bytes]]]:
        """Take at most ``most`` blocks, the most urgent lane first."""
        taken: list[tuple[Lane, list[bytes]]] = []
        for lane, waiting in zip(Lane, self._lanes, strict=True):
            if most <= 0:
                break
            if waiting.blocks:
                plains = waiting.take(most)
                most -= len(plains)
                self._size -= len(plains)
                taken.append((lane, plains))
        return taken

    def _count_dropped(self, count: int) -> None:
        self.dropped += count
        self._size -= count
