"""Asking one source for single elements by digest, up to eight to a request.

A server answers with those it has, in the order asked, until the next one does not fit.
So a digest before the last one answered is one it does not have; those behind are asked
for again, unless another would have fitted. The owner sends `requests` and hands back
every answer or the lack of one, as with `psp.directory.paging.PageDownload`.
"""

from collections import deque
from collections.abc import Iterable

from psp.directory.digests import element_digest
from psp.directory.listing import LENGTH_SIZE, split_listing
from psp.directory.paging import TRIES, WINDOW, Outcome
from psp.errors import DecodeError
from psp.netdoc.descriptor import MAX_DESCRIPTOR_BYTES
from psp.wire.directory_page import (
    CURRENT,
    MAX_DIGESTS,
    PAGE_SIZE,
    Content,
    Fetch,
    Fetched,
)


class ElementDownload:
    """The requests to one source.

    Attributes:
        outcome: How it ended, `Outcome.COMPLETE` whether or not the source had all of
            them; None while it goes on.
        elements: What came, each under a digest that was asked for.
        lost: Digests the source did not deliver.
    """

    def __init__(
        self, digests: Iterable[bytes], *, window: int = WINDOW, tries: int = TRIES
    ) -> None:
        """Start.

        Args:
            digests: Of the elements, distinct.
            window: Requests on the way at once.
            tries: Per request.
        """
        self.elements: list[bytes] = []
        self.lost: list[bytes] = []
        self._wanted = deque(digests)
        self._window = window
        self._tries = tries
        self._in_flight: dict[Fetch, int] = {}
        self._again: deque[tuple[Fetch, int]] = deque()
        self.outcome: Outcome | None = None if self._wanted else Outcome.COMPLETE

    def requests(self) -> list[Fetch]:
        """Return the requests to send now; ask again after every answer."""
        sending: list[Fetch] = []
        while self.outcome is None and len(self._in_flight) < self._window:
            if self._again:
                fetch, tries = self._again.popleft()
            elif self._wanted:
                count = min(MAX_DIGESTS, len(self._wanted))
                digests = tuple(self._wanted.popleft() for _ in range(count))
                fetch, tries = Fetch(Content.ELEMENTS, digests=digests), 0
            else:
                break
            self._in_flight[fetch] = tries + 1
            sending.append(fetch)
        return sending

    def receive(self, fetch: Fetch, data: bytes) -> None:
        """Take the answer to a request: any bytes.

        A malformed one ends the download: the server is broken or hostile.
        """
        if self.outcome is not None or self._in_flight.pop(fetch, None) is None:
            return
        try:
            self._keep(fetch, Fetched.decode(data))
        except DecodeError:
            self.lost.extend(fetch.digests)
            self._end(Outcome.MALFORMED)
        self._finish_if_done()

    def fail(self, fetch: Fetch) -> None:
        """Note that a request was refused or not answered."""
        if self.outcome is not None:
            return
        tries = self._in_flight.pop(fetch, None)
        if tries is None:
            return
        if tries < self._tries:
            self._again.append((fetch, tries))
        else:
            self.lost.extend(fetch.digests)
            self._end(Outcome.SILENT)

    def _keep(self, fetch: Fetch, fetched: Fetched) -> None:
        if fetched.snapshot == CURRENT:
            self.lost.extend(fetch.digests)
            return
        elements = split_listing(fetched.data, MAX_DIGESTS)
        if fetched.pages != 1 or not elements:
            raise DecodeError("not one page of elements")
        left = iter(fetch.digests)
        passed: list[bytes] = []
        for element in elements:
            digest = element_digest(element)
            for awaited in left:
                if awaited == digest:
                    break
                passed.append(awaited)
            else:
                raise DecodeError("an element that was not asked for, or out of order")
        self.elements.extend(elements)
        self.lost.extend(passed)
        had_room = len(fetched.data) + LENGTH_SIZE + MAX_DESCRIPTOR_BYTES <= PAGE_SIZE
        (self.lost if had_room else self._wanted).extend(left)

    def _finish_if_done(self) -> None:
        if self.outcome is None and not (
            self._wanted or self._again or self._in_flight
        ):
            self.outcome = Outcome.COMPLETE

    def _end(self, outcome: Outcome) -> None:
        """Stop; what has not come is lost."""
        self.outcome = outcome
        fetches = [*self._in_flight, *(fetch for fetch, _ in self._again)]
        self.lost.extend(digest for fetch in fetches for digest in fetch.digests)
        self.lost.extend(self._wanted)
        self._in_flight.clear()
        self._again.clear()
        self._wanted.clear()
