"""Deadlines by name, the earliest first."""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

from psp.units import Monotonic

KeyT = TypeVar("KeyT", bound=Hashable)


class Deadlines(Generic[KeyT]):
    """One deadline per key; setting a key again moves its deadline.

    Moved and cancelled entries stay in the heap until they surface; the heap is
    rebuilt when more than half of it is stale, so it is bounded by twice the keys.
    """

    def __init__(self) -> None:
        self._due: dict[KeyT, tuple[Monotonic, int]] = {}
        self._heap: list[tuple[Monotonic, int, KeyT]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: KeyT) -> bool:
        return key in self._due

    def set(self, key: KeyT, deadline: Monotonic) -> None:
        """Set or move the deadline of ``key``."""
        self._serial += 1
        self._due[key] = (deadline, self._serial)
        heapq.heappush(self._heap, (deadline, self._serial, key))
        if len(self._heap) > 2 * len(self._due) + 16:
            self._heap = [(due, serial, k) for k, (due, serial) in self._due.items()]
            heapq.heapify(self._heap)

    def cancel(self, key: KeyT) -> None:
        """Forget ``key``; an unknown key is fine."""
        self._due.pop(key, None)

    def next(self) -> Monotonic | None:
        """Return the earliest deadline, or None when there is none."""
        while self._heap:
            deadline, serial, key = self._heap[0]
            if self._due.get(key) == (deadline, serial):
                return deadline
            heapq.heappop(self._heap)
        return None

    def pop_expired(self, now: Monotonic) -> list[KeyT]:
        """Remove and return every key due at or before ``now``, earliest first."""
        expired: list[KeyT] = []
        while (deadline := self.next()) is not None and deadline <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            expired.append(key)
        return expired
