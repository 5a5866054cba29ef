"""Relay messages: what a layer hides for the hop that opens it.

::

     0   1        3        5
    +---+--------+--------+------------------+
    |cmd| stream | length | data             |
    +---+--------+--------+------------------+
     u8    u16      u16     length bytes; zeros up to the layer's size follow

Source: SPEC.md section 3.
"""

import enum
import struct
from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError

_HEADER = struct.Struct("!BHH")
MAX_DATA = 1169
"""At hop 1; less further out (`psp.wire.onion.message_capacity`)."""


class RelayCommand(enum.IntEnum):
    """What a message asks of, or tells, the hop or the origin."""

    EXTEND = 1
    EXTENDED = 2
    TRUNCATE = 3
    TRUNCATED = 4
    PING = 5
    PONG = 6
    REPORT = 7
    REFUSED = 8
    REGISTER = 16
    REGISTERED = 17
    PUBLISH = 18
    PUBLISHED = 19
    LOOKUP = 20
    FOUND = 21
    INTRODUCE = 22
    INTRODUCED = 23
    INTRODUCTION = 24
    INTRODUCTION_ACK = 25
    WATCH = 26
    WATCHED = 27
    HOLD = 28
    HELD = 29
    CHANGED = 30
    CHANGED_ACK = 31
    ESTABLISH = 32
    ESTABLISHED = 33
    JOIN = 34
    JOINED = 35
    BLOCK = 36
    FETCH = 40
    FETCHED = 41
    COLLECT = 44
    COLLECTED = 45
    MISSED = 46
    NOTED = 47


@dataclass(frozen=True, slots=True)
class RelayMessage:
    """One message to or from a hop.

    Attributes:
        command: What it asks or tells.
        stream_id: Ties an answer to its request; 0 where there is none.
        data: The rest, at most 1,169 bytes.
    """

    command: RelayCommand
    stream_id: int
    data: bytes

    def encode(self) -> bytes:
        """Return header and data, without padding.

        Raises:
            LocalProtocolError: If the data is longer than any hop can carry.
        """
        if len(self.data) > MAX_DATA:
            raise LocalProtocolError(f"message of {len(self.data)} bytes")
        return _HEADER.pack(self.command, self.stream_id, len(self.data)) + self.data

    @classmethod
    def decode(cls, inner: bytes) -> Self:
        """Read a message and check that only zeros follow it.

        Raises:
            DecodeError: If ``inner`` is not one message of a known command.
        """
        if len(inner) < _HEADER.size:
            raise DecodeError(f"message of {len(inner)} bytes")
        number, stream_id, length = _HEADER.unpack_from(inner)
        end = _HEADER.size + length
        if end > len(inner):
            raise DecodeError(f"need {length} bytes, {len(inner) - 5} remain")
        if inner.count(0, end) != len(inner) - end:
            raise DecodeError("padding is not zero")
        try:
            command = RelayCommand(number)
        except ValueError:
            raise DecodeError(f"unknown relay command {number}") from None
        return cls(command, stream_id, inner[_HEADER.size : end])
