"""A token bucket."""

from psp.units import Monotonic


class RateLimit:
    """Lets ``rate`` events a second pass, and ``burst`` at once after a pause."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: Monotonic | None = None

    def allows(self, now: Monotonic) -> bool:
        """Take one token; False when none is left."""
        if self._at is not None:
            gained = max(0.0, now - self._at) * self._rate
            self._tokens = min(self._burst, self._tokens + gained)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
