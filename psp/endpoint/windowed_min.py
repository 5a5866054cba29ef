"""The least value of late, forgetting by halves."""

import math

from psp.units import Monotonic, Seconds

BASE_AGE = Seconds(10.0)
"""The fastest delay counts for 10 to 20 s: clocks drift by 1 ms in that time."""


class WindowedMin:
    """The least value of the last 10 to 20 seconds."""

    def __init__(self) -> None:
        self._begun = Monotonic(0.0)
        self._present = self._before = math.inf

    def update(self, value: float, now: Monotonic) -> None:
        """Take one value in."""
        if now - self._begun >= BASE_AGE:
            self._before, self._present = self._present, math.inf
            self._begun = now
        self._present = min(self._present, value)

    @property
    def value(self) -> float:
        """The minimum; infinite before the first value."""
        return min(self._present, self._before)
