"""CREATE and CREATED: the halves of a circuit handshake in cells.

::

    CREATE   part 1 | hop 1 | half of the client handshake 672 | zeros
    CREATED  part 1 | reserved 1 | half of the relay handshake 592 | zeros

``part`` is 1 or 2. ``hop`` is the index that the new relay will have: whoever extends
writes its own index plus one, so that no circuit of honest relays grows past hop 4,
whatever the client says inside its handshake. Source: SPEC.md sections 2 and 4.
"""

from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.onion import MAX_HOPS

CLIENT_HANDSHAKE_SIZE = 1344
RELAY_HANDSHAKE_SIZE = 1184
PARTS = 2
"""A handshake is always two parts."""

_HEADER_SIZE = 2
_CREATE_END = _HEADER_SIZE + CLIENT_HANDSHAKE_SIZE // PARTS
_CREATED_END = _HEADER_SIZE + RELAY_HANDSHAKE_SIZE // PARTS


@dataclass(frozen=True, slots=True)
class CreateHalf:
    """Body of a CREATE cell.

    Attributes:
        part: 1 or 2.
        hop: Index of the new hop, 1 … 4.
        data: 672 bytes of the client handshake.
    """

    part: int
    hop: int
    data: bytes

    def encode(self) -> bytes:
        """Return the body without padding."""
        return _encode(self.part, self.hop, self.data, _CREATE_END)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the body of a CREATE cell, padding included.

        Raises:
            DecodeError: If it is not one half of a client handshake.
        """
        part, hop, data = _decode(body, _CREATE_END)
        if not 1 <= hop <= MAX_HOPS:
            raise DecodeError(f"hop {hop}")
        return cls(part, hop, data)


@dataclass(frozen=True, slots=True)
class CreatedHalf:
    """Body of a CREATED cell.

    Attributes:
        part: 1 or 2.
        data: 592 bytes of the relay handshake.
    """

    part: int
    data: bytes

    def encode(self) -> bytes:
        """Return the body without padding."""
        return _encode(self.part, 0, self.data, _CREATED_END)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the body of a CREATED cell, padding included.

        Raises:
            DecodeError: If it is not one half of a relay handshake.
        """
        part, reserved, data = _decode(body, _CREATED_END)
        if reserved:
            raise DecodeError("reserved byte is not zero")
        return cls(part, data)


def _encode(part: int, second: int, data: bytes, end: int) -> bytes:
    if not 1 <= part <= PARTS or len(data) != end - _HEADER_SIZE:
        raise LocalProtocolError(f"part {part} of {len(data)} bytes")
    return bytes([part, second]) + data


def _decode(body: bytes, end: int) -> tuple[int, int, bytes]:
    if len(body) < end:
        raise DecodeError(f"need {end} bytes, {len(body)} remain")
    part = body[0]
    if not 1 <= part <= PARTS:
        raise DecodeError(f"part {part}")
    if body.count(0, end) != len(body) - end:
        raise DecodeError("padding is not zero")
    return part, body[1], body[_HEADER_SIZE:end]
