"""Where random bytes come from: injected, so that tests can repeat a run."""

from typing import Protocol


class Entropy(Protocol):
    """A source of random bytes fit for keys."""

    def token(self, size: int) -> bytes:
        """Return ``size`` random bytes."""
        ...

    def below(self, bound: int) -> int:
        """Return a random integer in ``[0, bound)``, without bias."""
        ...

    def uniform(self) -> float:
        """Return a random float in ``[0, 1)``; for jitter, never for keys."""
        ...
