"""Session blocks: what a rendezvous copies from one circuit to the other.

Source: SPEC.md section 7. Integers are big-endian.
"""

import enum
import struct
from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.onion import BLOCK_SIZE

SEAL_OVERHEAD = 20
"""Low half of the counter 4, tag 16."""

PLAIN_SIZE = BLOCK_SIZE - SEAL_OVERHEAD
HEADER_SIZE = 3
PIPE_MTU = 1080
"""Longest datagram of the pipe, in bytes (`pipe_mtu`)."""

HANDSHAKE_MAGIC = b"PSPH"
HANDSHAKE_PART_SIZE = 1100
MAX_PIECE = PIPE_MTU - 5
MAX_PROBED_LEGS = 4

_HEADER = struct.Struct("!BH")
_PIECE = struct.Struct("!IB")
_ACK = struct.Struct("!IQ")
_PROBE = struct.Struct("!BIB")
_HEARD = struct.Struct("!BH")


class BlockType(enum.IntEnum):
    """What an opened session block holds."""

    PADDING = 0
    DATAGRAM = 1
    MESSAGE = 2
    ACK = 3
    PROBE = 4
    PROBE_ECHO = 5
    CLOSE = 6
    AUDIO = 7
    FEEDBACK = 8


def pack_plain(kind: BlockType, content: bytes) -> bytes:
    """Return the 1,086 bytes that are sealed.

    Raises:
        LocalProtocolError: If ``content`` is longer than 1,080 bytes.
    """
    if len(content) > PIPE_MTU:
        raise LocalProtocolError(f"datagram of {len(content)} bytes")
    return (_HEADER.pack(kind, len(content)) + content).ljust(PLAIN_SIZE, b"\0")


def unpack_plain(plain: bytes) -> tuple[BlockType, bytes]:
    """Return type and content of an opened block.

    Raises:
        DecodeError: If the type is unknown or the length is too long.
    """
    if len(plain) != PLAIN_SIZE:
        raise DecodeError(f"block of {len(plain)} bytes")
    number, length = _HEADER.unpack_from(plain)
    if length > PIPE_MTU:
        raise DecodeError(f"datagram of {length} bytes")
    try:
        kind = BlockType(number)
    except ValueError:
        raise DecodeError(f"unknown block type {number}") from None
    return kind, plain[HEADER_SIZE : HEADER_SIZE + length]


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a reliable message.

    Attributes:
        sequence: Its number, rising by one, wrapping at 2**32.
        is_last: Whether the message ends with it.
        data: At most 1,075 bytes.
    """

    sequence: int
    is_last: bool
    data: bytes

    def encode(self) -> bytes:
        """Return the content of a MESSAGE block."""
        return _PIECE.pack(self.sequence, self.is_last) + self.data

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Read the content of a MESSAGE block; raises `DecodeError`."""
        if len(content) < _PIECE.size:
            raise DecodeError(f"piece of {len(content)} bytes")
        sequence, flags = _PIECE.unpack_from(content)
        if flags > 1:
            raise DecodeError(f"piece flags {flags}")
        return cls(sequence, flags == 1, content[_PIECE.size :])


@dataclass(frozen=True, slots=True)
class Ack:
    """Which pieces have come.

    Attributes:
        expected: The lowest sequence that has not come.
        bitmap: Bit i: ``expected + 1 + i`` has come.
    """

    expected: int
    bitmap: int

    def encode(self) -> bytes:
        """Return the content of an ACK block."""
        return _ACK.pack(self.expected, self.bitmap)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Read the content of an ACK block; raises `DecodeError`."""
        if len(content) != _ACK.size:
            raise DecodeError(f"ack of {len(content)} bytes")
        return cls(*_ACK.unpack(content))


@dataclass(frozen=True, slots=True)
class Probe:
    """A sign of life over one leg, and how long each leg has been silent.

    Attributes:
        leg: The leg it travels on.
        number: Rising by one per leg; echoed, to measure the round trip.
        heard: Milliseconds since a block came over a leg, by leg; at most 4.
    """

    leg: int
    number: int
    heard: dict[int, int]

    def encode(self) -> bytes:
        """Return the content of a PROBE block."""
        heard = sorted(self.heard.items())[:MAX_PROBED_LEGS]
        head = _PROBE.pack(self.leg, self.number, len(heard))
        return head + b"".join(_HEARD.pack(leg, min(ms, 65535)) for leg, ms in heard)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Read the content of a PROBE block; raises `DecodeError`."""
        if len(content) < _PROBE.size:
            raise DecodeError(f"probe of {len(content)} bytes")
        leg, number, count = _PROBE.unpack_from(content)
        if count > MAX_PROBED_LEGS or len(content) != _PROBE.size + 3 * count:
            raise DecodeError(f"probe of {count} legs in {len(content)} bytes")
        return cls(leg, number, dict(_HEARD.iter_unpack(content[_PROBE.size :])))


def pack_echo(leg: int, number: int) -> bytes:
    """Return the content of a PROBE_ECHO block."""
    return _PIECE.pack(number, leg)


def unpack_echo(content: bytes) -> tuple[int, int]:
    """Return leg and number of a PROBE_ECHO; raises `DecodeError`."""
    if len(content) != _PIECE.size:
        raise DecodeError(f"echo of {len(content)} bytes")
    number, leg = _PIECE.unpack(content)
    return leg, number


def handshake_blocks(message: int, data: bytes) -> list[bytes]:
    """Return handshake message 2 or 3 as one or two blocks.

    Raises:
        LocalProtocolError: If it needs more than two.
    """
    parts = [
        data[at : at + HANDSHAKE_PART_SIZE]
        for at in range(0, len(data), HANDSHAKE_PART_SIZE)
    ]
    if len(parts) > 2:
        raise LocalProtocolError(f"handshake message of {len(data)} bytes")
    return [
        (HANDSHAKE_MAGIC + bytes([message, number]) + part).ljust(BLOCK_SIZE, b"\0")
        for number, part in enumerate(parts)
    ]


def unpack_handshake(block: bytes) -> tuple[int, int, bytes] | None:
    """Return message, part and 1,100 bytes of a handshake block, or None."""
    if len(block) != BLOCK_SIZE or not block.startswith(HANDSHAKE_MAGIC):
        return None
    message, part = block[4], block[5]
    if message not in {2, 3} or part > 1:
        return None
    return message, part, block[6:]


LEG_MESSAGE_SIZE = 78


class LegAction(enum.IntEnum):
    """What a leg message says (SPEC.md section 7.1)."""

    OFFER = 1
    RESERVE = 2
    FAILED = 3


@dataclass(frozen=True, slots=True)
class LegMessage:
    """Where another leg of the session may run.

    Attributes:
        action: Offer, reserve or failed.
        leg: Its number.
        node_id: The rendezvous relay, 32 bytes.
        endpoint: Where it is reached, 24 encoded bytes.
        cookie: 20 bytes.
    """

    action: LegAction
    leg: int
    node_id: bytes
    endpoint: bytes
    cookie: bytes

    def encode(self) -> bytes:
        """Return the 78 bytes."""
        head = bytes([self.action, self.leg])
        return head + self.node_id + self.endpoint + self.cookie

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a leg message; raises `DecodeError`."""
        if len(data) != LEG_MESSAGE_SIZE:
            raise DecodeError(f"leg message of {len(data)} bytes")
        try:
            action = LegAction(data[0])
        except ValueError:
            raise DecodeError(f"unknown leg action {data[0]}") from None
        return cls(action, data[1], data[2:34], data[34:58], data[58:])
