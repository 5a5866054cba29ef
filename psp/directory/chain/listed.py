"""Numbered records of a contract, and what a change of some of them makes of a list.

Numbers run 1, 2, 3 … without a gap and are never given twice; so a list is a tuple
whose i-th record has number i + 1. Nodes and users have this in common, and why a
record may not count.
"""

import enum
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from psp.directory.chain.layout import WORD
from psp.errors import DecodeError
from psp.ids import NODE_ID_SIZE

SIGNATURE_SIZE = 64
REVOKED = 3
"""The status that both contracts give a record whose owner has revoked it."""


class NotCounted(enum.StrEnum):
    """Why a record that the contract holds does not count.

    None of it is an error: anybody can write nearly anything under his own number.
    """

    RETIRED = "retired"
    REVOKED = "revoked"
    SIGNATURE = "not signed by its identity"
    ENDPOINTS = "endpoints malformed"
    IDENTITY = "identity no usable key"
    DOUBLE = "identity registered under a lower number"
    DEAD = "identity revoked under another number"


_REASONS = tuple(NotCounted)


def flags_of(verdicts: Iterable[object]) -> bytes:
    """Return one byte for each verdict: 0 for a record that is believed."""
    return bytes(
        1 + _REASONS.index(verdict) if isinstance(verdict, NotCounted) else 0
        for verdict in verdicts
    )


def reason_of(flag: int) -> NotCounted | None:
    """Return why a record is not believed, as `flags_of` wrote it.

    Raises:
        DecodeError: If there is no such flag.
    """
    if flag > len(_REASONS):
        raise DecodeError(f"no verdict has the flag {flag}")
    return _REASONS[flag - 1] if flag else None


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """One record, cut out of a listing.

    Attributes:
        number: 1, 2, 3 …
        raw: Its words, the head first.
    """

    number: int
    raw: bytes = field(repr=False)

    @property
    def owner(self) -> bytes:
        """Account that may change the record, 20 bytes."""
        return self.raw[12:32]

    @property
    def version(self) -> int:
        """Rises with every change."""
        return int.from_bytes(self.raw[8:11])

    @property
    def summary(self) -> int:
        """What the contract's `versions` says of this record, 32 bits."""
        return int.from_bytes(self.raw[8:12])

    @property
    def is_revoked(self) -> bool:
        """Whether its owner has declared the identity lost or stolen."""
        return self.raw[11] & 15 == REVOKED

    @property
    def identity(self) -> bytes:
        """Ed25519 key, 32 bytes; empty if the record was cleared."""
        return self.raw[32 : 32 + NODE_ID_SIZE]


RecordT = TypeVar("RecordT", bound=ListedRecord)


def cut(
    kind: type[RecordT],
    data: bytes,
    *,
    first: int,
    words: int,
    most: int,
    statuses: Container[int],
    what: str,
) -> tuple[RecordT, ...]:
    """Cut a listing, or a page of one, whose records all have one size.

    Args:
        kind: What each record is.
        data: The listing.
        first: Number of the first record.
        words: Of each record, 32 bytes each.
        most: How many records a whole list may have.
        statuses: Those that the contract gives.
        what: They are records of, for messages.

    Raises:
        DecodeError: If it is not such a listing.
    """
    size = words * WORD
    count, rest = divmod(len(data), size)
    if rest or count > most:
        raise DecodeError(f"a list of {what} of {len(data)} bytes")
    records = tuple(
        kind(first + i, data[i * size : (i + 1) * size]) for i in range(count)
    )
    for record in records:
        if record.raw[11] not in statuses:
            raise DecodeError(f"one of the {what} has status {record.raw[11]}")
    return records


def changed_numbers(
    listed: Sequence[ListedRecord], versions: Sequence[int]
) -> tuple[int, ...]:
    """Return the numbers of records that must be read again, new ones included.

    Args:
        listed: What was read earlier.
        versions: Of all records now, from number 1 on.

    Raises:
        DecodeError: If there are fewer records now: numbers are never taken back.
    """
    if len(versions) < len(listed):
        raise DecodeError(f"{len(versions)} records where {len(listed)} have been")
    known = [record.summary for record in listed]
    known += [-1] * (len(versions) - len(listed))
    return tuple(
        number
        for number, (old, new) in enumerate(zip(known, versions, strict=True), 1)
        if old != new
    )


def merged(
    listed: Sequence[RecordT], changed: Iterable[RecordT], count: int
) -> tuple[RecordT, ...]:
    """Return a list of ``count`` records with some of them replaced or added.

    Raises:
        DecodeError: If a record is missing then, or has a higher number.
    """
    records = {record.number: record for record in listed}
    records.update((record.number, record) for record in changed)
    if len(records) != count or (count and max(records) != count):
        raise DecodeError(f"the changed records do not make a list of {count}")
    return tuple(records[number] for number in range(1, count + 1))


def joined(listed: Iterable[ListedRecord]) -> bytes:
    """Return a whole list as one string of bytes."""
    return b"".join([record.raw for record in listed])
