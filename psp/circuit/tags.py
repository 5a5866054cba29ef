"""Too many bad tags in too short a time close a circuit (R-TAG-4)."""

from collections import deque

from psp.units import Monotonic, Seconds

MAX_BAD_TAGS = 32
BAD_TAG_WINDOW = Seconds(10.0)


class BadTagWatch:
    """When the last 32 bad tags were seen; made at the first, as most never are."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[Monotonic] = deque(maxlen=MAX_BAD_TAGS)

    def record(self, now: Monotonic) -> bool:
        """Count one; tell whether there were 32 within 10 s."""
        self._times.append(now)
        if len(self._times) < MAX_BAD_TAGS:
            return False
        return now - self._times[0] <= BAD_TAG_WINDOW
