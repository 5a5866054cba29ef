"""One source of a directory, in memory, that a test can make lie."""

from collections.abc import Iterable

from psp.directory.digests import element_digest
from psp.directory.listing import Snapshot, encode_listing
from psp.wire.directory_page import CURRENT, PAGE_SIZE, Content, Fetch, Fetched


class MemorySource:
    """Answers FETCH for descriptors, as a discovery node does.

    Attributes:
        elements: What it has, by digest.
        snapshots: What it serves in pages; change it to lie.
        silent_about: Contents for which it does not answer.
        asked: Requests so far, by content.
    """

    def __init__(
        self, elements: Iterable[bytes], *, listed: Iterable[bytes] | None = None
    ) -> None:
        """Start.

        Args:
            elements: What it has.
            listed: Elements whose digests it tells instead.
        """
        all_of_it = list(elements)
        shown = all_of_it if listed is None else listed
        self.elements = {element_digest(element): element for element in all_of_it}
        self.snapshots = {
            Content.DIGESTS: Snapshot(b"".join(map(element_digest, shown))),
            Content.DESCRIPTORS: Snapshot(encode_listing(all_of_it)),
        }
        self.silent_about: set[Content] = set()
        self.asked = dict.fromkeys(Content, 0)

    def answer(self, fetch: Fetch) -> bytes | None:
        """Return the answer to a request, or None for silence."""
        self.asked[fetch.content] += 1
        if fetch.content in self.silent_about:
            return None
        if fetch.content is Content.ELEMENTS:
            return self._find(fetch.digests).encode()
        snapshot = self.snapshots.get(fetch.content)
        if snapshot is None:
            return Fetched(CURRENT).encode()
        number = fetch.page if fetch.snapshot in {CURRENT, snapshot.name} else 0
        return (snapshot.page(number) or Fetched(CURRENT)).encode()

    def _find(self, digests: Iterable[bytes]) -> Fetched:
        found = [self.elements[key] for key in digests if key in self.elements]
        while len(encode_listing(found)) > PAGE_SIZE:
            found.pop()
        page = Snapshot(encode_listing(found)).page(0) if found else None
        return page or Fetched(CURRENT)
