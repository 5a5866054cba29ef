"""Downloading a directory page by page.

The first request asks for page 0 of the current snapshot; its answer names the snapshot
and says how many pages there are. The rest are asked for by name, up to 8 at a time.
What is told relative to something that the asker holds begins with the name of that.
When the server has moved on it answers with a page of another snapshot: the download
starts again with that one. Whoever owns the download sends `requests`, and hands back
every answer (`receive`) or the lack of one (`fail`), in any order::

    FETCHING --> COMPLETE | UNCHANGED | UNAVAILABLE | FAILED
"""

import enum
from collections import deque
from dataclasses import dataclass

from psp.directory.listing import snapshot_name
from psp.errors import DecodeError
from psp.wire.directory_page import CURRENT, PAGE_SIZE, Content, Fetch, Fetched

MAX_BYTES = 8 << 20
"""Of a directory: 40,000 descriptors."""
WINDOW = 8
"""Requests on the way. At 300 ms a round trip that is 29 kB/s: 10,000 descriptors in 70
seconds, in the background."""
TRIES = 4
"""Per page. Each request is itself sent up to five times."""
RESTARTS = 3
"""Snapshots a server may walk away from before it is taken to do so on purpose."""


class Outcome(enum.StrEnum):
    """How a download ended."""

    COMPLETE = "complete"
    UNCHANGED = "unchanged"
    """The server has the snapshot that the asker holds already."""

    UNAVAILABLE = "unavailable"
    SILENT = "silent"
    MALFORMED = "malformed"
    TOO_LARGE = "too large"
    RESTLESS = "restless"
    """The snapshot changed again and again."""

    INCONSISTENT = "inconsistent"
    """All pages came, but they are not the snapshot they say they are."""

    HOLLOW = "hollow"
    """Much that was listed by digest was not delivered."""


@dataclass(frozen=True, slots=True)
class PagingConfig:
    """Limits of one download.

    Attributes:
        max_bytes: Of the whole.
        window: Requests on the way at once.
        tries: Per page.
        restarts: How often a snapshot may change on the way.
    """

    max_bytes: int = MAX_BYTES
    window: int = WINDOW
    tries: int = TRIES
    restarts: int = RESTARTS


class PageDownload:
    """One download from one server.

    Attributes:
        outcome: How it ended; None while it goes on.
        data: All of it once complete.
        snapshot: Name of the snapshot; `CURRENT`, or the base, before the first answer.
    """

    def __init__(
        self,
        content: Content,
        config: PagingConfig | None = None,
        *,
        held: bytes = CURRENT,
        base: bytes = CURRENT,
    ) -> None:
        """Start.

        Args:
            content: What to fetch.
            config: Limits.
            held: Name of a snapshot whose bytes the asker has, or `CURRENT`.
            base: Put as the snapshot's name into the first request; names what the
                asker holds where the content is told relative to it.
        """
        self.outcome: Outcome | None = None
        self.data = b""
        self.snapshot = base
        self._base = base
        self._content = content
        self._config = config or PagingConfig()
        self._held = held
        self._restarts = 0
        self._pages: dict[int, bytes] = {}
        self._count = 0
        self._wanted: deque[int] = deque([0])
        self._asked: dict[int, int] = {}
        self._in_flight: set[int] = set()

    def requests(self) -> list[Fetch]:
        """Return the requests to send now; ask again after every answer."""
        sending: list[Fetch] = []
        while (
            self.outcome is None
            and self._wanted
            and len(self._in_flight) < self._config.window
        ):
            page = self._wanted.popleft()
            self._asked[page] = self._asked.get(page, 0) + 1
            self._in_flight.add(page)
            sending.append(Fetch(self._content, self.snapshot, page))
        return sending

    def receive(self, fetch: Fetch, data: bytes) -> None:
        """Take the answer to a request: any bytes.

        A malformed one ends the download: the server is broken or hostile, and there
        are others.
        """
        if not self._is_awaited(fetch):
            return
        try:
            fetched = Fetched.decode(data)
        except DecodeError:
            self.outcome = Outcome.MALFORMED
            return
        if fetched.snapshot == CURRENT:
            self.outcome = Outcome.UNAVAILABLE
        elif fetched.snapshot != self.snapshot:
            self._begin(fetched)
        if self.outcome is None:
            self._keep(fetch, fetched)

    def fail(self, fetch: Fetch) -> None:
        """Note that a request was refused or not answered."""
        if not self._is_awaited(fetch):
            return
        if self._asked[fetch.page] >= self._config.tries:
            self.outcome = Outcome.SILENT
        else:
            self._wanted.append(fetch.page)

    def _is_awaited(self, fetch: Fetch) -> bool:
        """Tell whether an answer matters; those to an earlier snapshot do not."""
        if self.outcome is not None or fetch.snapshot != self.snapshot:
            return False
        is_awaited = fetch.page in self._in_flight
        self._in_flight.discard(fetch.page)
        return is_awaited

    def _begin(self, fetched: Fetched) -> None:
        """Turn to the snapshot that the server names."""
        is_first = self.snapshot == self._base
        if fetched.snapshot == self._held:
            self.outcome = Outcome.UNCHANGED
        elif (fetched.pages - 1) * PAGE_SIZE >= self._config.max_bytes:
            self.outcome = Outcome.TOO_LARGE
        elif not is_first and self._restarts == self._config.restarts:
            self.outcome = Outcome.RESTLESS
        if self.outcome is None:
            self._restarts += not is_first
            self.snapshot = fetched.snapshot
            self._count = fetched.pages
            self._pages.clear()
            self._asked.clear()
            self._in_flight.clear()
            others = (n for n in range(fetched.pages) if n != fetched.page)
            self._wanted = deque(others)

    def _keep(self, fetch: Fetch, fetched: Fetched) -> None:
        is_asked = fetch.snapshot in {self._base, self.snapshot}
        if fetched.pages != self._count or (is_asked and fetch.page != fetched.page):
            self.outcome = Outcome.INCONSISTENT
            return
        if fetched.pages:
            self._pages[fetched.page] = fetched.data
        if len(self._pages) == self._count:
            self._finish()

    def _finish(self) -> None:
        data = b"".join(self._pages[number] for number in range(self._count))
        if snapshot_name(data) != self.snapshot:
            self.outcome = Outcome.INCONSISTENT
        elif len(data) > self._config.max_bytes:
            self.outcome = Outcome.TOO_LARGE
        else:
            self.outcome, self.data = Outcome.COMPLETE, data
        self._pages.clear()
