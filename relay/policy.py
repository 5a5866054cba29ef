"""Limits on strangers: how many circuits, how fast, how much memory (R-RES-1, R-RES-3).

Every quota is computed from the tables themselves, so no counter can drift.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence

from psp.ids import LinkId
from psp.units import Monotonic
from relay.config import RelayConfig

CIRCUIT_COST = 8192
"""Bytes of one circuit that carries cells; 2.7 kB while it is idle and its ciphers are
put away (``psp bench relay``). Any may wake."""

CELL_COST = 1400
"""Bytes of one cell that waits: 1,200, its object and its place in a queue."""

COOKIE_COST = 600
"""Bytes of one cookie with its two table entries and deadline."""

REQUEST_COST = 2048
"""Bytes of one request being worked on."""

PRESSURE = 0.75
"""Share of the ceiling above which no new circuit is taken (R-RES-3)."""

CRITICAL = 0.90
"""Share of the ceiling above which hogs are closed (R-RES-3)."""

RELIEVED = 0.80
"""Share of the ceiling below which that stops (R-RES-3)."""


class TokenBucket:
    """At most ``burst`` at once and ``rate`` per second."""

    __slots__ = ("_burst", "_filled", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int, now: Monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled = now

    def take(self, now: Monotonic) -> bool:
        """Take one, if there is one."""
        gained = (now - self._filled) * self._rate
        self._tokens = min(self._burst, self._tokens + gained)
        self._filled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Memory:
    """What the tables cost, against the ceiling."""

    def __init__(self, config: RelayConfig) -> None:
        self._ceiling = config.max_mem_bytes

    @staticmethod
    def used(*, circuits: int, cells: int, cookies: int, requests: int) -> int:
        """Return the bytes that this many of each stand for."""
        return (
            circuits * CIRCUIT_COST
            + cells * CELL_COST
            + cookies * COOKIE_COST
            + requests * REQUEST_COST
        )

    def is_pressed(self, used: int) -> bool:
        """Whether new circuits must be refused."""
        return used > self._ceiling * PRESSURE

    def is_critical(self, used: int) -> bool:
        """Whether hogs must be closed."""
        return used > self._ceiling * CRITICAL

    def is_relieved(self, used: int) -> bool:
        """Whether enough hogs are closed."""
        return used < self._ceiling * RELIEVED


def victims(
    waiting: Sequence[int], by_link: Mapping[LinkId, Sequence[int]]
) -> Iterator[int]:
    """Yield circuits to close, the worst first, each once.

    Args:
        waiting: Circuits with queued cells, oldest cell first (Tor's rule).
        by_link: All circuits by the link they came over, oldest circuit first. After
            the waiting ones, the newest of whichever link has most is next.
    """
    yield from waiting
    seen = set(waiting)
    rest = {
        link: [key for key in keys if key not in seen] for link, keys in by_link.items()
    }
    heap = [(-len(keys), link) for link, keys in rest.items() if keys]
    heapq.heapify(heap)
    while heap:
        _, link = heap[0]
        keys = rest[link]
        yield keys.pop()
        if keys:
            heapq.heapreplace(heap, (-len(keys), link))
        else:
            heapq.heappop(heap)
