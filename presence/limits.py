"""Rates and memories with a bound, for dealing with strangers."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from psp.units import Monotonic, Seconds

KeyT = TypeVar("KeyT", bound=Hashable)


class SlidingWindow:
    """At most ``limit`` events in any ``span`` seconds."""

    def __init__(self, limit: int, span: Seconds) -> None:
        self._limit = limit
        self._span = span
        self._times: deque[Monotonic] = deque()

    def admit(self, now: Monotonic) -> bool:
        """Count an event, or tell that it is one too many."""
        while self._times and self._times[0] <= now - self._span:
            self._times.popleft()
        if len(self._times) >= self._limit:
            return False
        self._times.append(now)
        return True


class TokenBuckets(Generic[KeyT]):
    """One token bucket per key, for at most ``size`` keys.

    When full, the key that was silent longest is forgotten: it starts again with a
    full bucket, so a bound below the number of peers loosens the limit, never tightens.
    """

    def __init__(self, rate: float, burst: float, size: int) -> None:
        self._rate = rate
        self._burst = burst
        self._size = size
        self._buckets: OrderedDict[KeyT, tuple[float, Monotonic]] = OrderedDict()

    def admit(self, key: KeyT, now: Monotonic) -> bool:
        """Take one token of ``key``; False when there is none."""
        tokens, then = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        is_admitted = tokens >= 1
        self._buckets[key] = (tokens - 1 if is_admitted else tokens, now)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return is_admitted


class Pace:
    """Turns at equal distances, for our own sending."""

    def __init__(self, rate: float) -> None:
        """Allow ``rate`` turns per second."""
        self._gap = 1 / rate
        self._next = float("-inf")

    def delay(self, now: Monotonic) -> Seconds:
        """Take the next turn; return the seconds until then."""
        turn = max(self._next, now)
        self._next = turn + self._gap
        return Seconds(turn - now)


class ReplayMemory:
    """Remembers keys for ``lifetime`` seconds, at most ``size`` of them."""

    def __init__(self, lifetime: Seconds, size: int) -> None:
        self._lifetime = lifetime
        self._size = size
        self._seen: OrderedDict[bytes, Monotonic] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def is_full(self, now: Monotonic) -> bool:
        """Tell whether nothing more can be remembered; forgetting would let replays in."""
        while self._seen and next(iter(self._seen.values())) <= now - self._lifetime:
            self._seen.popitem(last=False)
        return len(self._seen) >= self._size

    def __contains__(self, key: bytes) -> bool:
        return key in self._seen

    def remember(self, key: bytes, now: Monotonic) -> None:
        """Remember a key from now on; the caller asked `is_full` before."""
        self._seen[key] = now
