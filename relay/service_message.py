"""Requests between relays, outside circuits: the body of a SERVICE cell.

::

     0       1      2            10       12
    +-------+------+------------+--------+------------------+
    |service| kind | request id | length | data             |
    +-------+------+------------+--------+------------------+
       u8      u8     8 bytes      u16     length bytes, zeros up to 1,195 follow

Source: SPEC.md section 2. Integers are big-endian.
"""

import enum
import struct
from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import CircuitId
from psp.wire.cell import BODY_SIZE, Cell, CellCommand

_HEADER = struct.Struct("!BB8sH")
MAX_SERVICE_DATA = BODY_SIZE - _HEADER.size
REQUEST_ID_SIZE = 8


class ServiceKind(enum.IntEnum):
    """Which way a service message goes."""

    REQUEST = 0
    ANSWER = 1


@dataclass(frozen=True, slots=True)
class ServiceMessage:
    """One request or answer.

    Attributes:
        service: Which service; 1 = DHT, 2 = directory.
        kind: Request or answer.
        request_id: Chosen by the asker, 8 bytes.
        data: At most 1,183 bytes.
    """

    service: int
    kind: ServiceKind
    request_id: bytes
    data: bytes

    def encode(self) -> bytes:
        """Return the whole cell.

        Raises:
            LocalProtocolError: If the data is too long.
        """
        if len(self.data) > MAX_SERVICE_DATA:
            raise LocalProtocolError(f"service data of {len(self.data)} bytes")
        head = _HEADER.pack(self.service, self.kind, self.request_id, len(self.data))
        return Cell(CircuitId(0), CellCommand.SERVICE, head + self.data).encode()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the body of a SERVICE cell.

        Raises:
            DecodeError: If it is not one message followed by zeros.
        """
        if len(body) != BODY_SIZE:
            raise DecodeError(f"service body of {len(body)} bytes")
        service, number, request_id, length = _HEADER.unpack_from(body)
        end = _HEADER.size + length
        if end > BODY_SIZE or any(body[end:]):
            raise DecodeError("length or padding of a service message")
        try:
            kind = ServiceKind(number)
        except ValueError:
            raise DecodeError(f"unknown kind {number}") from None
        return cls(service, kind, request_id, body[_HEADER.size : end])
