"""Presence messages: what users and callers say to presence points and gateways.

The data of REGISTER … INTRODUCED (SPEC.md §6, §7) without the part byte, which the
circuit's exchange adds and strips. REGISTER is a registration and PUBLISH a record as
they are (`psp.netdoc`); the others have their codecs here. Integers are big-endian.
"""

import enum
from dataclasses import dataclass, field

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.buffer import Reader
from psp.wire.endpoint import ENDPOINT_SIZE, Endpoint
from psp.wire.mailboxes import TAG_SIZE, is_effort

SIGNATURE_SIZE = 64
MAX_ENDPOINTS = 2
SEALED_SIZE = 1_504


@dataclass(frozen=True, slots=True)
class Registered:
    """``co-signature 64 | count 1 | 2 x endpoint 24``: the presence point agrees.

    Attributes:
        cosignature: Over the place and the head; goes into the record.
        endpoints: The place's endpoints; none when the record is an absence.
    """

    cosignature: bytes
    endpoints: tuple[Endpoint, ...]

    def encode(self) -> bytes:
        """Return the 113 bytes.

        Raises:
            LocalProtocolError: If there are more than two endpoints.
        """
        if len(self.endpoints) > MAX_ENDPOINTS:
            raise LocalProtocolError(f"{len(self.endpoints)} endpoints, 2 fit")
        packed = b"".join(endpoint.encode() for endpoint in self.endpoints)
        count = bytes([len(self.endpoints)])
        return self.cosignature + count + packed.ljust(2 * ENDPOINT_SIZE, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> "Registered":
        """Read the answer to REGISTER.

        Raises:
            DecodeError: If ``data`` is not its one encoding.
        """
        reader = Reader(data)
        cosignature = reader.take(SIGNATURE_SIZE)
        count = reader.u8()
        if count > MAX_ENDPOINTS:
            raise DecodeError(f"{count} endpoints, at most 2")
        endpoints = tuple(
            Endpoint.decode(reader.take(ENDPOINT_SIZE)) for _ in range(count)
        )
        if any(reader.take((MAX_ENDPOINTS - count) * ENDPOINT_SIZE)):
            raise DecodeError("an endpoint that does not count is not zero")
        reader.finish()
        return cls(cosignature, endpoints)


@dataclass(frozen=True, slots=True)
class Published:
    """``stored 1``: on how many discovery nodes the record lies now.

    Attributes:
        stored: 0 … 255.
    """

    stored: int

    def encode(self) -> bytes:
        """Return the one byte; more than 255 count as 255."""
        return bytes([min(self.stored, 255)])

    @classmethod
    def decode(cls, data: bytes) -> "Published":
        """Read the answer to PUBLISH.

        Raises:
            DecodeError: If ``data`` is not one byte.
        """
        return cls(_only_byte(data))


@dataclass(frozen=True, slots=True)
class IntroduceRequest:
    """``tag 16 | sealed 1,504``: INTRODUCE, and INTRODUCTION on the way to the callee.

    Attributes:
        tag: Whom it is for, as the record says.
        sealed: HPKE to the callee (`psp.netdoc.introduction`).
    """

    tag: bytes
    sealed: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the 1,520 bytes.

        Raises:
            LocalProtocolError: If a field has the wrong length.
        """
        if len(self.tag) != TAG_SIZE or len(self.sealed) != SEALED_SIZE:
            raise LocalProtocolError(f"{len(self.tag)} and {len(self.sealed)} bytes")
        return self.tag + self.sealed

    @classmethod
    def decode(cls, data: bytes) -> "IntroduceRequest":
        """Read INTRODUCE or INTRODUCTION.

        Raises:
            DecodeError: If ``data`` has not 1,520 bytes.
        """
        reader = Reader(data)
        tag, sealed = reader.take(TAG_SIZE), reader.take(SEALED_SIZE)
        reader.finish()
        return cls(tag, sealed)


class IntroductionStatus(enum.IntEnum):
    """What became of an introduction."""

    DELIVERED = 0
    NO_SUCH_TAG = 1
    BUSY = 2
    REFUSED = 3
    WORK_NEEDED = 4
    """The callee wants a proof of work first."""

    ABSENT = 5
    """The callee has signed off and keeps a mailbox here."""


@dataclass(frozen=True, slots=True)
class IntroductionAnswer:
    """``status 1 | effort 1``: the whole of INTRODUCED and INTRODUCTION_ACK.

    Attributes:
        status: What became of it.
        effort: With WORK_NEEDED, the bits wanted; else 0.
    """

    status: IntroductionStatus
    effort: int = 0

    def encode(self) -> bytes:
        """Return the two bytes."""
        return bytes([self.status, self.effort])

    @classmethod
    def decode(cls, data: bytes) -> "IntroductionAnswer":
        """Read INTRODUCED or INTRODUCTION_ACK.

        Raises:
            DecodeError: If ``data`` is not two bytes of a known status and its effort.
        """
        reader = Reader(data)
        number, effort = reader.u8(), reader.u8()
        reader.finish()
        try:
            status = IntroductionStatus(number)
        except ValueError:
            raise DecodeError(f"unknown status {number}") from None
        if not is_effort(effort, is_wanted=status is IntroductionStatus.WORK_NEEDED):
            raise DecodeError(f"an effort of {effort} with {status.name}")
        return cls(status, effort)


def _only_byte(data: bytes) -> int:
    if len(data) != 1:
        raise DecodeError(f"{len(data)} bytes, not 1")
    return data[0]
