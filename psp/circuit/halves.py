"""Putting messages of two halves together.

At most `MAX_PARTIAL` wait per link or circuit, `MAX_WAIT` each after their last half
(SPEC.md section 3); when full, the one that has waited longest goes.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from psp.units import Monotonic, Seconds

KeyT = TypeVar("KeyT", bound=Hashable)

MAX_PARTIAL = 4
MAX_WAIT = Seconds(2.0)


class HalfTable(Generic[KeyT]):
    """Half messages by key; a table is at most 4 x 760 bytes of them."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: dict[KeyT, tuple[int, bytes, Monotonic]] = {}

    def __len__(self) -> int:
        return len(self._partial)

    def add(self, key: KeyT, part: int, half: bytes, now: Monotonic) -> bytes | None:
        """Take in part 1 or 2; return the whole message when the other is here."""
        waiting = self._partial.pop(key, None)
        if waiting is not None and waiting[0] != part and waiting[2] > now:
            return waiting[1] + half if part == 2 else half + waiting[1]
        if len(self._partial) >= MAX_PARTIAL:
            del self._partial[next(iter(self._partial))]
        self._partial[key] = (part, half, Monotonic(now + MAX_WAIT))
        return None

    def discard(self, key: KeyT) -> None:
        """Forget the half of ``key``, if there is one."""
        self._partial.pop(key, None)

    def next_timeout(self) -> Monotonic | None:
        """Return when the oldest half expires."""
        for _, _, expires in self._partial.values():
            return expires
        return None

    def expire(self, now: Monotonic) -> None:
        """Drop every half that has waited too long."""
        for key, (_, _, expires) in list(self._partial.items()):
            if expires <= now:
                del self._partial[key]
