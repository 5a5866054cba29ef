"""Mailbox messages: leaving missed-call notices at a presence point, and collecting them.

The data of MISSED, NOTED and COLLECTED (SPEC.md §7.2) without the part byte; COLLECT is
signed and has its codec in `psp.netdoc.collection`. Integers are big-endian.
"""

import enum
from dataclasses import dataclass, field

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.buffer import Reader

TAG_SIZE = 16
WORK_NONCE_SIZE = 16
NOTICE_SIZE = 416
MAX_EFFORT = 24
"""Bits of work; as in `psp.crypto.work`."""
NOTICES_AT_ONCE = 2
"""As many as fit one message at hop 3."""
MAX_NOTICES = 16
"""In one mailbox."""


@dataclass(frozen=True, slots=True)
class MissedRequest:
    """``tag 16 | effort 1 | work nonce 16 | notice 416``: leaves one notice.

    Attributes:
        tag: Of the mailbox.
        notice: Sealed to its owner (`psp.netdoc.missed_call`).
        effort: Bits of work that the nonce proves, if it does; 0 for none.
        work_nonce: 16 bytes, zeros without work.
    """

    tag: bytes
    notice: bytes = field(repr=False)
    effort: int = 0
    work_nonce: bytes = field(default=bytes(WORK_NONCE_SIZE), repr=False)

    def encode(self) -> bytes:
        """Return the 449 bytes.

        Raises:
            LocalProtocolError: If a field has the wrong length or range.
        """
        sizes = (len(self.tag), len(self.work_nonce), len(self.notice))
        if sizes != (TAG_SIZE, WORK_NONCE_SIZE, NOTICE_SIZE):
            raise LocalProtocolError(f"fields of {sizes} bytes, not 16, 16, 416")
        if not 0 <= self.effort <= MAX_EFFORT:
            raise LocalProtocolError(f"an effort of {self.effort}")
        return self.tag + bytes([self.effort]) + self.work_nonce + self.notice

    @classmethod
    def decode(cls, data: bytes) -> "MissedRequest":
        """Read MISSED.

        Raises:
            DecodeError: If ``data`` is not its one encoding.
        """
        reader = Reader(data)
        tag, effort = reader.take(TAG_SIZE), reader.u8()
        nonce, notice = reader.take(WORK_NONCE_SIZE), reader.take(NOTICE_SIZE)
        reader.finish()
        if effort > MAX_EFFORT or (effort == 0 and any(nonce)):
            raise DecodeError(f"an effort of {effort}, or a nonce without one")
        return cls(tag, notice, effort, nonce)


class NotedStatus(enum.IntEnum):
    """What became of a notice."""

    KEPT = 0
    NO_SUCH_TAG = 1
    FULL = 2
    REFUSED = 3
    WORK_NEEDED = 4


@dataclass(frozen=True, slots=True)
class Noted:
    """``status 1 | effort 1``: the answer to MISSED.

    Attributes:
        status: What became of it.
        effort: With WORK_NEEDED, the bits wanted; else 0.
    """

    status: NotedStatus
    effort: int = 0

    def encode(self) -> bytes:
        """Return the two bytes."""
        return bytes([self.status, self.effort])

    @classmethod
    def decode(cls, data: bytes) -> "Noted":
        """Read the answer to MISSED.

        Raises:
            DecodeError: If ``data`` is not its one encoding.
        """
        reader = Reader(data)
        number, effort = reader.u8(), reader.u8()
        reader.finish()
        try:
            status = NotedStatus(number)
        except ValueError:
            raise DecodeError(f"unknown status {number}") from None
        if not is_effort(effort, is_wanted=status is NotedStatus.WORK_NEEDED):
            raise DecodeError(f"an effort of {effort} with {status.name}")
        return cls(status, effort)


def is_effort(effort: int, *, is_wanted: bool) -> bool:
    """Tell whether an effort goes with a status that wants work, or does not."""
    return 1 <= effort <= MAX_EFFORT if is_wanted else effort == 0


@dataclass(frozen=True, slots=True)
class Collected:
    """``total 1 | count 1 | 2 x notice 416``: the answer to COLLECT.

    Attributes:
        total: Notices in the mailbox.
        notices: Those from the asked one on, as many as fit; zeros behind.
    """

    total: int
    notices: tuple[bytes, ...] = field(repr=False)

    def encode(self) -> bytes:
        """Return the 834 bytes.

        Raises:
            LocalProtocolError: If there are too many, or one has a wrong length.
        """
        sizes = {len(notice) for notice in self.notices}
        count = len(self.notices)
        if count > NOTICES_AT_ONCE or sizes - {NOTICE_SIZE}:
            raise LocalProtocolError(f"{count} notices of {sizes} bytes")
        if not count <= self.total <= MAX_NOTICES:
            raise LocalProtocolError(f"{count} notices of {self.total}")
        body = b"".join(self.notices).ljust(NOTICES_AT_ONCE * NOTICE_SIZE, b"\0")
        return bytes([self.total, count]) + body

    @classmethod
    def decode(cls, data: bytes) -> "Collected":
        """Read the answer to COLLECT.

        Raises:
            DecodeError: If ``data`` is not its one encoding.
        """
        reader = Reader(data)
        total, count = reader.u8(), reader.u8()
        if count > NOTICES_AT_ONCE or not count <= total <= MAX_NOTICES:
            raise DecodeError(f"{count} notices of {total}")
        notices = tuple(reader.take(NOTICE_SIZE) for _ in range(count))
        if any(reader.take((NOTICES_AT_ONCE - count) * NOTICE_SIZE)):
            raise DecodeError("a notice that does not count is not zero")
        reader.finish()
        return cls(total, notices)
