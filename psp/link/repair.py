"""What was sent on one link and may be asked for again (SPEC.md section 2).

The receiver's half is psp.link.gaps.
"""

from bisect import bisect_right
from collections import Counter

from psp.link.config import (
    REPAIR_AGE,
    REPAIR_ANSWERS,
    REPAIR_CREDIT,
    REPAIR_RING,
    REPAIR_SHARE,
)
from psp.units import Monotonic
from psp.wire.packet import PACKET_SIZE

_SLACK = 128
"""Packets forgotten together: one by one they would cost more than being sent."""


class SentTrains:
    """The sealed packets of one key that may still be asked for.

    Holds whole trains: at most `REPAIR_RING` packets, `_SLACK` that are past it, and the
    train that exceeds them.
    """

    __slots__ = ("_answered", "_firsts", "_taken", "_trains")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._trains: list[tuple[Monotonic, bytes]] = []
        self._taken: Counter[int] = Counter()
        self._answered = 0

    def __bool__(self) -> bool:
        return bool(self._firsts)

    @property
    def oldest(self) -> Monotonic | None:
        """When the oldest train that is kept was sent."""
        return self._trains[0][0] if self._trains else None

    def append(self, first: int, train: bytes, now: Monotonic) -> None:
        """Keep a train of whole packets, counters from ``first`` on."""
        firsts = self._firsts
        firsts.append(first)
        self._trains.append((now, train))
        oldest = first + len(train) // PACKET_SIZE - REPAIR_RING
        if firsts[0] + _SLACK < oldest:
            # Keep what covers the last REPAIR_RING counters.
            self._forget(bisect_right(firsts, oldest) - 1)

    def expire(self, now: Monotonic) -> None:
        """Forget trains as old as `REPAIR_AGE`."""
        count = 0
        for sent_at, _ in self._trains:
            if sent_at + REPAIR_AGE > now:
                break
            count += 1
        if count:
            self._forget(count)

    def take(self, counter: int, now: Monotonic) -> bytes | None:
        """Return a packet.

        None when it is gone, was taken `REPAIR_ANSWERS` times, or when the peer has
        asked for more in all than one who lost packets may (`REPAIR_SHARE`).
        """
        position = bisect_right(self._firsts, counter) - 1
        if position < 0 or self._taken.get(counter, 0) >= REPAIR_ANSWERS:
            return None
        sent_at, train = self._trains[position]
        start = PACKET_SIZE * (counter - self._firsts[position])
        newest = self._firsts[-1] + len(self._trains[-1][1]) // PACKET_SIZE - 1
        if (
            start >= len(train)
            or sent_at + REPAIR_AGE <= now
            or counter <= newest - REPAIR_RING
            or self._answered + 1 > REPAIR_CREDIT + REPAIR_SHARE * (newest + 1)
        ):
            return None
        self._taken[counter] += 1
        self._answered += 1
        return train[start : start + PACKET_SIZE]

    def _forget(self, count: int) -> None:
        del self._firsts[:count]
        del self._trains[:count]
        if self._taken:
            first = self._firsts[0] if self._firsts else None
            self._taken = Counter(
                {
                    counter: times
                    for counter, times in self._taken.items()
                    if first is not None and counter >= first
                }
            )
