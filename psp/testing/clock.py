"""Clocks that a test sets: one that is pushed by hand, and one that can be wrong."""

from collections.abc import Callable

from psp.units import Monotonic, Seconds, UnixTime

EPOCH = UnixTime(1_767_225_600)
"""Unix time at which simulations start: 2026-01-01 00:00 UTC."""


class ManualClock:
    """A monotonic clock that moves only when told.

    Attributes:
        now: What it shows.
    """

    def __init__(self, now: Monotonic = Monotonic(0.0)) -> None:
        self.now = now

    def __call__(self) -> Monotonic:
        """Return what it shows."""
        return self.now

    def advance(self, by: Seconds) -> Monotonic:
        """Move on and return the new time; never back."""
        if by < 0:
            raise ValueError(f"a monotonic clock cannot move by {by} s")
        self.now = Monotonic(self.now + by)
        return self.now


class WallClock:
    """A host's wall clock: follows a monotonic clock, may jump and may stand still."""

    def __init__(self, monotonic: Callable[[], float], start: UnixTime = EPOCH) -> None:
        """Show ``start`` when ``monotonic`` shows 0."""
        self._monotonic = monotonic
        self._offset = float(start)
        self._frozen_at: float | None = None

    def __call__(self) -> float:
        """Return seconds since 1970, as this host believes."""
        if self._frozen_at is not None:
            return self._frozen_at
        return self._monotonic() + self._offset

    def jump(self, by: Seconds) -> None:
        """Set the clock forward, or back if negative."""
        self._offset += by
        if self._frozen_at is not None:
            self._frozen_at += by

    def freeze(self) -> None:
        """Stand still until `thaw`."""
        self._frozen_at = self()

    def thaw(self) -> None:
        """Go on from the time shown while frozen."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - self._monotonic()
            self._frozen_at = None
