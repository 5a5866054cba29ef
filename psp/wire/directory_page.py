"""FETCH and FETCHED: a directory in pages (SPEC.md section 8).

::

    FETCH     what 1 | snapshot 8 | page 2 | n x digest 8, n <= 8, for ELEMENTS only
    FETCHED   snapshot 8 | pages 2 | page 2 | length 2 | bytes

Over circuits the exchange puts its part byte in front, over links there is none.

A snapshot's name is a digest of its bytes. Every page but the last is full, so the size
of the whole is known from the first answer on. Elements asked for by digest come as a
snapshot of their own, of one page: as many of them as fit.
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
DIGEST_SIZE = 8
"""Enough to tell elements apart: whoever finds two that collide has signed them both, or
serves bytes that no signature covers."""
MAX_DIGESTS = 8
"""To a request: so many usual descriptors fill the answer."""


class Content(enum.IntEnum):
    """What to fetch."""

    DESCRIPTORS = 1
    REGISTRY = 2
    DIGESTS = 3
    """Of the descriptors: 8 bytes each, in their order."""

    ELEMENTS = 4
    """Descriptors by their digests."""

    HANDOVERS = 5
    """Those after the one whose digest begins with the snapshot's name."""

    LISTING = 6
    """All node records at the last anchor block."""

    DIFFERENCE = 7
    """What has changed since the listing with the snapshot's name."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Asks for one page, or for some elements.

    Attributes:
        content: Of what.
        snapshot: Name of the snapshot, or `CURRENT`. In the first request for a
            content that is told relative to what the asker holds, the name of that.
        page: From 0.
        digests: Of the elements; 1 … 8 with `Content.ELEMENTS`, none otherwise.
    """

    content: Content
    snapshot: bytes = CURRENT
    page: int = 0
    digests: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Return the 11 bytes, and 8 for each digest.

        Raises:
            LocalProtocolError: If a field is out of range.
        """
        fault = self._fault()
        if fault is not None:
            raise LocalProtocolError(fault)
        fixed = bytes([self.content]) + self.snapshot + self.page.to_bytes(2)
        return fixed + b"".join(self.digests)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a request.

        Raises:
            DecodeError: If ``data`` is anything else.
        """
        reader = Reader(data)
        what, snapshot, page = reader.u8(), reader.take(SNAPSHOT_SIZE), reader.u16()
        # A rest that is no multiple of 8 runs off the end here.
        count = min(MAX_DIGESTS + 1, -(-reader.remaining // DIGEST_SIZE))
        digests = tuple(reader.take(DIGEST_SIZE) for _ in range(count))
        reader.finish()
        try:
            fetch = cls(Content(what), snapshot, page, digests)
        except ValueError:
            raise DecodeError(f"unknown content {what}") from None
        fault = fetch._fault()
        if fault is not None:
            raise DecodeError(fault)
        return fetch

    def _fault(self) -> str | None:
        if len(self.snapshot) != SNAPSHOT_SIZE or not 0 <= self.page < MAX_PAGES:
            return f"page {self.page} of a snapshot"
        if self.content is not Content.ELEMENTS:
            return "digests with a request for a page" if self.digests else None
        if self.snapshot != CURRENT or self.page:
            return "a page of elements"
        if not 0 < len(self.digests) <= MAX_DIGESTS:
            return f"{len(self.digests)} digests"
        if any(len(digest) != DIGEST_SIZE for digest in self.digests):
            return "a digest of another size"
        return None


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
