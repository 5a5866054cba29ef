"""Bandwidth that a circuit asks its relays for.

Rates are kbit/s of cells, 1,200 bytes each, in each direction of a circuit. One voice
flow of 50 packets a second takes 480. On the wire they are counted in units of 8 kbit/s.
"""

from dataclasses import dataclass

from psp.errors import LocalProtocolError

UNIT_KBIT_PER_S = 8
MAX_KBIT_PER_S = UNIT_KBIT_PER_S * 0xFFFF


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """What is asked of one relay; both zero asks for nothing.

    Attributes:
        min_kbit_per_s: With less the circuit is of no use: the relay must refuse.
        wanted_kbit_per_s: More than this is not needed.
    """

    min_kbit_per_s: int = 0
    wanted_kbit_per_s: int = 0

    def __post_init__(self) -> None:
        """Check the rates.

        Raises:
            LocalProtocolError: If the least rate is negative or above the wanted one, or
                the wanted one above 524,280 kbit/s.
        """
        if not 0 <= self.min_kbit_per_s <= self.wanted_kbit_per_s <= MAX_KBIT_PER_S:
            raise LocalProtocolError(
                f"bandwidth of {self.min_kbit_per_s} … {self.wanted_kbit_per_s} kbit/s: "
                f"use 0 <= min <= wanted <= {MAX_KBIT_PER_S}"
            )

    @property
    def units(self) -> tuple[int, int]:
        """Both rates in units of 8 kbit/s, rounded up: at most 65,535."""
        return -(-self.min_kbit_per_s // UNIT_KBIT_PER_S), -(
            -self.wanted_kbit_per_s // UNIT_KBIT_PER_S
        )


NO_BANDWIDTH = Bandwidth()
"""Nothing is asked for."""
