"""Random bytes that repeat: the same seed gives the same bytes, on every Python."""

import random
from typing import Self


class SeededEntropy:
    """A `psp.entropy.Entropy` for tests; anybody can guess its keys."""

    def __init__(self, seed: int | str = 0) -> None:
        self._seed = seed
        self._dice = random.Random(f"psp.testing.entropy/{seed}")

    def token(self, size: int) -> bytes:
        """Return ``size`` repeatable bytes."""
        return self._dice.randbytes(size)

    def below(self, bound: int) -> int:
        """Return a repeatable integer in ``[0, bound)``, without bias."""
        return self._dice.randrange(bound)

    def uniform(self) -> float:
        """Return a repeatable float in ``[0, 1)``."""
        return self._dice.random()

    def child(self, name: str) -> Self:
        """Return an independent source for one host or part.

        It depends on this one's seed and ``name`` only, not on what was drawn before:
        a host more or less leaves the others' bytes alone.
        """
        return type(self)(f"{self._seed}/{name}")
