"""Directory requests between relays: SERVICE cells of service 2 (SPEC.md section 8).

::

    request   operation 1 | body
    answer    status 1, or FETCHED as over circuits (FETCH)

    body      a descriptor (PUBLISH), FETCH as over circuits (FETCH), or
              period's start 8 | body's SHA-256 32 | signer 32 | signature 64 (HAND_OVER)
"""

import enum
import struct
from dataclasses import dataclass, field
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.units import UnixTime

DIRECTORY_SERVICE = 2
MAX_REQUEST_BYTES = 1_183

_SIGNATURE = struct.Struct("!Q32s32s64s")


class Operation(enum.IntEnum):
    """What is asked."""

    PUBLISH = 1
    FETCH = 2
    HAND_OVER = 3
    """Brings a signature under a hand-over (`psp.netdoc.handover`)."""


class PublishStatus(enum.IntEnum):
    """What became of a descriptor."""

    STORED = 0
    HELD = 1
    """This one or a newer one was there already."""

    REFUSED = 2
    NOT_COLLECTING = 3
    """This node is no discovery node now."""

    BUSY = 4

    def encode(self) -> bytes:
        """Return the answer's one byte."""
        return bytes([self])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an answer.

        Raises:
            DecodeError: If it is not one known status.
        """
        return cls(_status(data, cls))


class SignatureStatus(enum.IntEnum):
    """What became of a signature under a hand-over."""

    STORED = 0
    HELD = 1
    REFUSED = 2
    """It does not hold, or its signer has no say."""

    NOT_YET = 3
    """This node has not seen that period begin; try again."""

    DIFFERENT = 4
    """This node knows another body for that period."""

    OVER = 5
    """That period's hand-over is not collected any more, or not here."""

    BUSY = 6

    def encode(self) -> bytes:
        """Return the answer's one byte."""
        return bytes([self])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an answer.

        Raises:
            DecodeError: If it is not one known status.
        """
        return cls(_status(data, cls))


@dataclass(frozen=True, slots=True)
class HandOverSignature:
    """One signature under one hand-over, 136 bytes.

    Attributes:
        start: When the hand-over's period began.
        digest: SHA-256 of the body that is signed, 32 bytes.
        signer: A node, or a trusted partner's own key, 32 bytes.
        signature: 64 bytes, not verified yet.
    """

    start: UnixTime
    digest: bytes
    signer: NodeId
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the request's body.

        Raises:
            LocalProtocolError: If a field is out of range.
        """
        try:
            return _SIGNATURE.pack(self.start, self.digest, self.signer, self.signature)
        except struct.error:
            raise LocalProtocolError(f"a period from {self.start} on") from None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a body.

        Raises:
            DecodeError: If it has another size.
        """
        if len(data) != _SIGNATURE.size:
            raise DecodeError(f"a hand-over's signature of {len(data)} bytes")
        start, digest, signer, signature = _SIGNATURE.unpack(data)
        return cls(UnixTime(start), digest, NodeId(signer), signature)


@dataclass(frozen=True, slots=True)
class DirectoryRequest:
    """One request.

    Attributes:
        operation: What is asked.
        body: Its bytes, not read yet.
    """

    operation: Operation
    body: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the request's data."""
        return bytes([self.operation]) + self.body

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a request.

        Raises:
            DecodeError: If it is empty, too large or of an unknown operation.
        """
        if not 0 < len(data) <= MAX_REQUEST_BYTES:
            raise DecodeError(f"request of {len(data)} bytes")
        try:
            return cls(Operation(data[0]), data[1:])
        except ValueError:
            raise DecodeError(f"unknown operation {data[0]}") from None


def _status(data: bytes, kind: type[enum.IntEnum]) -> int:
    if len(data) != 1:
        raise DecodeError(f"status of {len(data)} bytes")
    if data[0] not in set(kind):
        raise DecodeError(f"unknown status {data[0]}")
    return data[0]
