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

    __slots__ = ("_added", "_stamps", "blocks")

    def __init__(self) -> None:
        self.blocks: deque[bytes] = deque()
        self._added = 0
        self._stamps: deque[tuple[Monotonic, int]] = deque()

    def add(self, plain: bytes) -> None:
        self.blocks.append(plain)
        self._added += 1

    def expire(self, now: Monotonic) -> int:
        """Drop what is too old; what was never seen here before is new now."""
        stamps = self._stamps
        if not self.blocks:
            stamps.clear()
            return 0
        if not stamps or stamps[-1][1] != self._added:
            stamps.append((now, self._added))
        too_old = 0
        while stamps and now - stamps[0][0] > MAX_AGE:
            _, upto = stamps.popleft()
            too_old = len(self.blocks) - (self._added - upto)
        for _ in range(too_old):
            self.blocks.popleft()
        return max(too_old, 0)


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
        self._lanes[lane].add(plain)
        self._size += 1
        if self._size > MAX_WAITING:
            next(filter(None, reversed(self._blocks))).popleft()
            self._count_dropped(1)

    def expire(self, now: Monotonic) -> None:
        """Drop what has waited for longer than `MAX_AGE` since first seen here."""
        if self._size:
            self._count_dropped(sum(lane.expire(now) for lane in self._lanes))

    def take_audio(self) -> list[bytes]:
        """Take all audio, the oldest first."""
        return self._take(Lane.AUDIO, len(self._blocks[Lane.AUDIO]))

    def take(self, most: int) -> list[tuple[Lane, list[bytes]]]:
        """Take at most ``most`` blocks, the most urgent lane first."""
        taken: list[tuple[Lane, list[bytes]]] = []
        for lane, blocks in zip(Lane, self._blocks, strict=True):
            if blocks and most > 0:
                plains = self._take(lane, min(most, len(blocks)))
                most -= len(plains)
                taken.append((lane, plains))
        return taken

    def _take(self, lane: Lane, count: int) -> list[bytes]:
        self._size -= count
        blocks = self._blocks[lane]
        if count == len(blocks):
            plains = list(blocks)
            blocks.clear()
            return plains
        return [blocks.popleft() for _ in range(count)]

    def _count_dropped(self, count: int) -> None:
        self.dropped += count
        self._size -= count
