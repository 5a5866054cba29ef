"""Cells: the unit that travels on a link.

A cell is 1,200 bytes::

     0       4   5                                          1200
    +-------+---+--------------------------------------------+
    | circ  |cmd| body, zero-padded                          |
    +-------+---+--------------------------------------------+
      u32    u8   1195 bytes

Integers are big-endian. Source: SPEC.md section 2.
"""

import enum
import struct
from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import CircuitId

CELL_SIZE = 1200
BODY_SIZE = 1195
HEADER = struct.Struct("!IB")
"""Circuit id and command; the fast path unpacks with this directly."""


class CellCommand(enum.IntEnum):
    """What a cell asks of the next hop (SPEC.md section 2).

    RELAY is the number of `Kind.PASS`: what a relay opens, with its kind in front, is
    the cell that goes on, but for the circuit id; and so on the way back.
    """

    RELAY = 0
    CREATE = 1
    CREATED = 2
    PADDING = 3
    DESTROY = 4
    LINK_KEM = 5
    REPAIR = 6
    PATH_CHALLENGE = 7
    PATH_RESPONSE = 8
    SERVICE = 9


class Reason(enum.IntEnum):
    """Why a circuit ended or a request was refused (SPEC.md section 2)."""

    NONE = 0
    PROTOCOL = 1
    INTERNAL = 2
    REQUESTED = 3
    RESOURCE_LIMIT = 4
    LINK_CLOSED = 5
    TIMEOUT = 6
    NO_SUCH_NODE = 7
    REFUSED = 8
    SHUTTING_DOWN = 9
    BANDWIDTH = 10

    @classmethod
    def from_wire(cls, number: int) -> "Reason":
        """Return the reason, or NONE for a number this version does not know."""
        try:
            return cls(number)
        except ValueError:
            return cls.NONE


@dataclass(frozen=True, slots=True)
class Cell:
    """One fixed-size cell.

    Attributes:
        circuit_id: The circuit on this link; 0 for cells of the link itself.
        command: What the cell asks for.
        body: At most 1,195 bytes; a decoded body keeps its padding.
    """

    circuit_id: CircuitId
    command: CellCommand
    body: bytes

    def encode(self) -> bytes:
        """Return the 1,200 bytes of this cell.

        Raises:
            LocalProtocolError: If the body is longer than 1,195 bytes.
        """
        if len(self.body) > BODY_SIZE:
            raise LocalProtocolError(f"body of {len(self.body)} bytes")
        head = HEADER.pack(self.circuit_id, self.command)
        return (head + self.body).ljust(CELL_SIZE, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read one cell.

        Raises:
            DecodeError: If ``data`` is not one whole cell of a known command.
        """
        if len(data) != CELL_SIZE:
            raise DecodeError(f"cell of {len(data)} bytes")
        circuit_id, number = HEADER.unpack_from(data)
        try:
            command = CellCommand(number)
        except ValueError:
            raise DecodeError(f"unknown cell command {number}") from None
        return cls(CircuitId(circuit_id), command, data[HEADER.size :])
