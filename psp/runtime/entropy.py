"""Random bytes from the operating system."""

import os
import secrets

_FLOAT_BITS = 53
"""Bits of an IEEE 754 double's mantissa: every float drawn is exact."""


class SystemEntropy:
    """The kernel's generator; the only `psp.entropy.Entropy` fit for real keys."""

    def token(self, size: int) -> bytes:
        """Return ``size`` random bytes."""
        return os.urandom(size)

    def below(self, bound: int) -> int:
        """Return a random integer in ``[0, bound)``, without bias."""
        return secrets.randbelow(bound)

    def uniform(self) -> float:
        """Return a random float in ``[0, 1)``."""
        return float(secrets.randbits(_FLOAT_BITS)) / (1 << _FLOAT_BITS)
