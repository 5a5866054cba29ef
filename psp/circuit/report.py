"""REPORT: what a hop tells the origin about the cells it saw.

40 bytes: ``received 8 | bad tag 4 | replayed 4 | dropped 4`` for the forward direction,
then the same for the backward one. All count from the start of the circuit; the small
ones stop at their greatest value. Source: SPEC.md section 3.1, R-TAG-6.
"""

import struct
from dataclasses import dataclass
from typing import Self

from psp.crypto.layer import OpeningLayer
from psp.errors import DecodeError

_LAYOUT = struct.Struct("!QIIIQIII")
_MAX_U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class DirectionReport:
    """Cells of one direction since the circuit was made.

    Attributes:
        received: Good cells: opened (forward), or handed over by the next hop (backward).
        bad_tag: Cells whose tag was wrong.
        replayed: Cells seen before, or too old.
        dropped: Cells that the hop threw away: those above an egress limit, and those
            above the circuit's share, which were not opened and are not ``received``.
    """

    received: int
    bad_tag: int = 0
    replayed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """Both directions.

    Attributes:
        forward: Away from the origin.
        backward: Towards the origin; a hop checks no tags there.
    """

    forward: DirectionReport
    backward: DirectionReport

    def encode(self) -> bytes:
        """Return the 40 bytes."""
        fields: list[int] = []
        for side in (self.forward, self.backward):
            small = (side.bad_tag, side.replayed, side.dropped)
            fields += [side.received, *(min(count, _MAX_U32) for count in small)]
        return _LAYOUT.pack(*fields)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the data of a REPORT.

        Raises:
            DecodeError: If it has another size.
        """
        if len(data) != _LAYOUT.size:
            raise DecodeError(f"report of {len(data)} bytes")
        fields = _LAYOUT.unpack(data)
        return cls(DirectionReport(*fields[:4]), DirectionReport(*fields[4:]))


def hop_report(
    opening: OpeningLayer, dropped_forward: int, passed_back: int, dropped_backward: int
) -> Report:
    """Return what a hop says of what it opened, passed back and threw away."""
    return Report(
        DirectionReport(
            opening.received, opening.bad_tag, opening.replayed, dropped_forward
        ),
        DirectionReport(passed_back, dropped=dropped_backward),
    )
