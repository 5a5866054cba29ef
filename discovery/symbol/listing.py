"""Reading a list of metadata entries page by page, from a gateway that may never stop.

Pure: it says what to ask and takes what comes. What it refuses, it refuses as a whole: a
list that is not to be trusted in one place is not used in another.

Experimental.
"""

from collections.abc import Mapping
from typing import Final

from discovery.symbol.answers import Entry, Page
from discovery.symbol.rest import PAGE_SIZE
from psp.errors import DecodeError, LocalProtocolError

MAX_ENTRIES: Final = 20_000
"""Twice what is planned for. An entry costs its writer a fee, so a stranger may well
reach this; then there is no list from this chain."""


class EntryList:
    """The entries under one scoped key, as far as they have been read.

    Attributes:
        entries: In the gateway's order.
        is_complete: Whether the last page has been read.
    """

    def __init__(
        self,
        key: int,
        *,
        by_cursor: bool,
        select: Mapping[str, str] | None = None,
        most: int = MAX_ENTRIES,
    ) -> None:
        self.entries: list[Entry] = []
        self.is_complete = False
        self._key = key
        self._by_cursor = by_cursor
        self._select = dict(select or {})
        self._most = most
        self._number = 1
        self._total: int | None = None
        self._seen: set[tuple[bytes, bytes]] = set()

    def params(self) -> dict[str, str]:
        """Return the parameters of the next request."""
        params = {
            **self._select,
            "scopedMetadataKey": f"{self._key:016X}",
            "metadataType": "0",
            "pageSize": str(PAGE_SIZE),
            "pageNumber": str(self._number),
        }
        if self._by_cursor and self.entries:
            params["offset"] = self.entries[-1].cursor
        return params

    def take(self, page: Page) -> None:
        """Add the answer.

        Raises:
            DecodeError: If it is not the next page of one honest list.
        """
        if self.is_complete:
            raise LocalProtocolError("the list is complete")
        if page.number != self._number:
            raise DecodeError(f"page {page.number} instead of {self._number}")
        if len(page.entries) > page.size:
            raise DecodeError(f"{len(page.entries)} entries on a page of {page.size}")
        self._check_total(page.total)
        for entry in page.entries:
            self._add(entry)
        if self._total is None:
            self.is_complete = len(page.entries) < page.size
        else:
            self.is_complete = len(self.entries) == self._total
            if not self.is_complete and not page.entries:
                raise DecodeError(
                    f"the list ends after {len(self.entries)} of {self._total} entries"
                )
        if not self._by_cursor:
            self._number += 1

    def _check_total(self, total: int | None) -> None:
        if total is None:
            return
        if self._total not in {None, total}:
            raise DecodeError("the list has changed while it was read; read it again")
        if total > self._most:
            raise DecodeError(f"a list of {total} entries, more than {self._most}")
        self._total = total

    def _add(self, entry: Entry) -> None:
        if entry.key != self._key:
            raise DecodeError("an entry under another key than was asked for")
        place = (entry.owner, entry.target)
        if place in self._seen:
            raise DecodeError("an entry stands twice in one list")
        if self._by_cursor and self.entries and entry.cursor <= self.entries[-1].cursor:
            raise DecodeError("entries are not in rising order")
        if len(self.entries) >= min(self._most, self._total or self._most):
            raise DecodeError(
                f"a list that does not end at {len(self.entries)} entries"
            )
        self._seen.add(place)
        self.entries.append(entry)
