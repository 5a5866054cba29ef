"""Which source has which descriptors, told by 8-byte digests before any is fetched.

A reader asks each source for the digests of all it has, and then only for elements that
it does not hold yet, from one of those that list them. What a source lists counts as
served by it as soon as the element is known, whoever delivered it: so what it leaves
out is still seen (`psp.directory.union`). Whoever lists what it does not deliver is
*hollow*.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from psp.crypto.kdf import Label
from psp.crypto.primitives import sha256
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.wire.directory_page import DIGEST_SIZE

MOST = 7 / 8
"""A source that lacks nothing but a smaller part of its list is asked for all of it in
pages: a page holds about nine descriptors, a request for elements brings eight."""
MIN_WHOLE = 64
"""Elements below which pages save nothing worth a second way."""
HOLLOW = 1 / 8
"""The part of what it is asked for that a source may fail to deliver, besides one:
descriptors expire while they are fetched. Replaced ones are kept for a while."""


def element_digest(element: bytes) -> bytes:
    """Return the 8 bytes that name an element of a listing."""
    return sha256(Label.ELEMENT, element)[:DIGEST_SIZE]


def split_digests(data: bytes, max_digests: int) -> tuple[bytes, ...]:
    """Return the digests that a source lists.

    Raises:
        DecodeError: If they are too many, not whole, or one stands there twice.
    """
    if len(data) % DIGEST_SIZE or len(data) > max_digests * DIGEST_SIZE:
        raise DecodeError(f"{len(data)} bytes of digests, at most {max_digests}")
    digests = tuple(
        data[start : start + DIGEST_SIZE] for start in range(0, len(data), DIGEST_SIZE)
    )
    if len(set(digests)) != len(digests):
        raise DecodeError("a digest stands twice in one list")
    return digests


@dataclass(slots=True)
class _Source:
    """What one source says it has."""

    listed: dict[bytes, None] = field(default_factory=dict)
    asked: int = 0
    lost: set[bytes] = field(default_factory=set)
    is_tried_whole: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to fetch next.

    Attributes:
        whole: The source whose listing to fetch in pages; None for nobody.
        elements: Digests to ask each source for.
    """

    whole: NodeId | None
    elements: Mapping[NodeId, Sequence[bytes]]

    @property
    def sources(self) -> tuple[NodeId, ...]:
        """Everybody who is to be asked for something."""
        others = [source for source in self.elements if source != self.whole]
        return tuple(others if self.whole is None else [self.whole, *others])

    def __bool__(self) -> bool:
        return bool(self.sources)


class Gathering:
    """What several sources list, what is known of it, and who is to be asked next.

    Attributes:
        elements: By digest: what was held before and what was delivered; unverified
            apart from the digest.
    """

    def __init__(self) -> None:
        self.elements: dict[bytes, bytes] = {}
        self._held: set[bytes] = set()
        self._sources: dict[NodeId, _Source] = {}

    def hold(self, elements: Iterable[bytes]) -> None:
        """Note elements that need not be fetched; may be called again with more.

        It takes 2 µs for each: whoever must not wait hands them over in portions.
        """
        held = {element_digest(element): element for element in elements}
        self._held |= held.keys()
        self.elements |= held

    def add_source(self, source: NodeId, digests: Iterable[bytes]) -> None:
        """Note what a source lists."""
        self._sources[source] = _Source(dict.fromkeys(digests))

    def plan(self, sources: Collection[NodeId]) -> Plan:
        """Return what to fetch now; falsy when there is nothing left to try.

        Fetch all of it, report what came of it, and ask again.

        Args:
            sources: Those that can be asked now.
        """
        whole = self._whole(sources)
        covered = self._sources[whole].listed if whole is not None else {}
        shares: dict[NodeId, list[bytes]] = {}
        for digest in self._missing():
            if digest in covered:
                continue
            able = [
                source
                for source, state in self._sources.items()
                if source in sources
                and digest in state.listed
                and digest not in state.lost
            ]
            if able:
                least = min(able, key=lambda source: len(shares.get(source, ())))
                shares.setdefault(least, []).append(digest)
        return Plan(whole, shares)

    def take(self, source: NodeId, elements: Iterable[bytes]) -> None:
        """Take elements that a source was asked for and delivered."""
        state = self._sources[source]
        for element in elements:
            self.elements.setdefault(element_digest(element), element)
            state.asked += 1

    def lose(self, source: NodeId, digests: Iterable[bytes]) -> None:
        """Note what a source was asked for and did not deliver."""
        state = self._sources[source]
        gone = set(digests)
        state.asked += len(gone - state.lost)
        state.lost |= gone

    def take_whole(self, source: NodeId, elements: Iterable[bytes]) -> None:
        """Take all that a source has; it replaces the list, which may be older."""
        state = self._sources[source]
        state.listed.clear()
        state.is_tried_whole = True
        for element in elements:
            digest = element_digest(element)
            self.elements.setdefault(digest, element)
            state.listed[digest] = None

    def lose_whole(self, source: NodeId) -> None:
        """Note that a source's listing could not be fetched: ask for elements only."""
        self._sources[source].is_tried_whole = True

    def forget(self, source: NodeId) -> None:
        """Drop the list of a source that turned out to be broken or hostile."""
        self._sources[source] = _Source()

    def fetched(self) -> dict[bytes, bytes]:
        """Return what was delivered and not held before, by digest."""
        return {
            digest: element
            for digest, element in self.elements.items()
            if digest not in self._held
        }

    def listed(self, source: NodeId) -> Collection[bytes]:
        """Return the digests of all that a source says it has."""
        return self._sources.get(source, _Source()).listed.keys()

    def known(self, source: NodeId) -> list[bytes]:
        """Return every element that a source lists and somebody has delivered."""
        listed = self.listed(source)
        return [self.elements[digest] for digest in listed if digest in self.elements]

    def is_hollow(self, source: NodeId) -> bool:
        """Tell whether a source lists much that it does not have."""
        state = self._sources.get(source, _Source())
        return len(state.lost) > 1 + HOLLOW * state.asked

    def _missing(self) -> dict[bytes, None]:
        return {
            digest: None
            for state in self._sources.values()
            for digest in state.listed
            if digest not in self.elements
        }

    def _whole(self, sources: Collection[NodeId]) -> NodeId | None:
        """Return the source of which nearly all is missing, and most."""
        best, most = None, MIN_WHOLE - 1
        for source, state in self._sources.items():
            if source not in sources or state.is_tried_whole or state.lost:
                continue
            missing = sum(digest not in self.elements for digest in state.listed)
            if missing > max(most, MOST * len(state.listed)):
                best, most = source, missing
        return best
