"""FETCH and FETCHED: a directory in pages (SPEC.md section 8).

::

    FETCH     what 1 | snapshot 8 | page 2
    FETCHED   snapshot 8 | pages 2 | page 2 | length 2 | bytes

Over circuits the exchange puts its part byte in front, over links there is none.

A snapshot's name is a digest of its bytes. Every page but the last is full, so the size
of the whole is known from the first answer on.
"""

import enum
from dataclasses import dataclass, field
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.buffer import Reader

SNAPSHOT_SIZE = 8
CURRENT = bytes(SNAPSHOT_SIZE)
"""Asks for the current snapshot; in an answer: there is none."""
PAGE_SIZE = 1_091
"""What is left of 1,106 bytes, a message's data at four hops; less than a SERVICE cell
holds, so both carry the same pages."""
MAX_PAGES = 0xFFFF


class Content(enum.IntEnum):
    """What to fetch."""

    DESCRIPTORS = 1
    REGISTRY = 2


@dataclass(frozen=True, slots=True)
class Fetch:
    """Asks for one page.

    Attributes:
        content: Of what.
        snapshot: Name of the snapshot, or `CURRENT`.
        page: From 0.
    """

    content: Content
    snapshot: bytes = CURRENT
    page: int = 0

    def encode(self) -> bytes:
        """Return the 11 bytes.

        Raises:
            LocalProtocolError: If a field is out of range.
        """
        if len(self.snapshot) != SNAPSHOT_SIZE or not 0 <= self.page < MAX_PAGES:
            raise LocalProtocolError(f"page {self.page} of a snapshot")
        return bytes([self.content]) + self.snapshot + self.page.to_bytes(2)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a request.

        Raises:
            DecodeError: If ``data`` is anything else.
        """
        reader = Reader(data)
        what, snapshot, page = reader.u8(), reader.take(SNAPSHOT_SIZE), reader.u16()
        reader.finish()
        if page == MAX_PAGES:
            raise DecodeError("not a request for a page")
        try:
            return cls(Content(what), snapshot, page)
        except ValueError:
            raise DecodeError(f"unknown content {what}") from None


@dataclass(frozen=True, slots=True)
class Fetched:
    """One page, or the news that there is none.

    Attributes:
        snapshot: Name of the snapshot it belongs to, which may be another than the
            one asked for; `CURRENT` if there is nothing to fetch.
        pages: How many pages the snapshot has; 0 for an empty one.
        page: Which one this is.
        data: Its bytes: `PAGE_SIZE`, fewer on the last page.
    """

    snapshot: bytes
    pages: int = 0
    page: int = 0
    data: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Return the message data.

        Raises:
            LocalProtocolError: If the fields contradict each other.
        """
        fault = self._fault()
        if fault is not None:
            raise LocalProtocolError(fault)
        numbers = (self.pages, self.page, len(self.data))
        fields = b"".join(number.to_bytes(2) for number in numbers)
        return self.snapshot + fields + self.data

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an answer.

        Raises:
            DecodeError: If ``data`` is anything else.
        """
        reader = Reader(data)
        snapshot = reader.take(SNAPSHOT_SIZE)
        pages, page = reader.u16(), reader.u16()
        fetched = cls(snapshot, pages, page, reader.take(reader.u16()))
        reader.finish()
        fault = fetched._fault()
        if fault is not None:
            raise DecodeError(fault)
        return fetched

    def _fault(self) -> str | None:
        if len(self.snapshot) != SNAPSHOT_SIZE or self.pages > MAX_PAGES:
            return "not a snapshot"
        if self.pages == 0:
            return "data in no page" if self.page or self.data else None
        if self.snapshot == CURRENT or not 0 <= self.page < self.pages:
            return f"page {self.page} of {self.pages}"
        is_last = self.page == self.pages - 1
        if not 0 < len(self.data) <= PAGE_SIZE:
            return f"a page of {len(self.data)} bytes"
        if len(self.data) < PAGE_SIZE and not is_last:
            return f"page {self.page} of {self.pages} is not full"
        return None
