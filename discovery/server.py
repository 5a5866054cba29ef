"""Answering other relays' and clients' directory requests. Pure."""

import enum
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Protocol, assert_never

from discovery.config import ServerConfig
from discovery.descriptor_store import DescriptorStore, Offer
from discovery.stats import DiscoveryStats
from psp.directory.listing import Snapshot, encode_listing
from psp.directory.registry import Registry
from psp.errors import DecodeError, ProtocolError
from psp.ids import NodeId
from psp.units import Monotonic, UnixTime
from psp.wire.directory_page import CURRENT, PAGE_SIZE, Content, Fetch, Fetched
from psp.wire.directory_service import (
    DirectoryRequest,
    Operation,
    PublishStatus,
    SignatureStatus,
)

MINUTE = 60.0

_STATUS = {
    Offer.STORED: PublishStatus.STORED,
    Offer.HELD: PublishStatus.HELD,
    Offer.OLDER: PublishStatus.HELD,
    Offer.EXPIRED: PublishStatus.REFUSED,
    Offer.STRANGER: PublishStatus.REFUSED,
    Offer.MALFORMED: PublishStatus.REFUSED,
    Offer.CONTRADICTS: PublishStatus.REFUSED,
}


class PageAnswer(enum.StrEnum):
    """What became of a request for a page."""

    SERVED = "served"
    EMPTY = "nothing to serve yet"
    TOO_MANY = "too many"
    MALFORMED = "malformed"


class TooManyRequestsError(ProtocolError):
    """One asker asked for more than its share; it is not answered."""


class HandOverDesk(Protocol):
    """Where hand-overs are collected and served (`discovery.handover`)."""

    def take(self, body: bytes) -> SignatureStatus:
        """Take a signature that another relay brings: any bytes."""
        ...

    def snapshot(self, content: Content, name: bytes) -> Snapshot | None:
        """Return what is served of hand-overs, listing or difference.

        Args:
            content: One of these three.
            name: Of a snapshot, of what the asker holds, or `CURRENT`.
        """
        ...


class DirectoryServer:
    """Serves the store to anybody; takes in descriptors while the node is elected."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        own_id: NodeId,
        registry: Registry,
        store: DescriptorStore,
        registry_file: Callable[[], bytes | None],
        stats: DiscoveryStats,
        hand_overs: HandOverDesk | None = None,
    ) -> None:
        """Wire the parts.

        Args:
            config: Limits.
            own_id: This relay.
            registry: Who is registered, and whether this node collects descriptors.
            store: What is served.
            registry_file: Returns the registry's signed file, or None without one.
            stats: Counters.
            hand_overs: Of the chain's list; None where it is not read from a chain.
        """
        self._own_id = own_id
        self._registry = registry
        self._store = store
        self._registry_file = registry_file
        self._stats = stats
        self._hand_overs = hand_overs
        self._file: Snapshot | None = None
        self._pushes = _PerMinute(config.pushes_per_minute, config.max_askers)
        self._fetches = _PerMinute(config.pages_per_minute, config.max_askers)

    @property
    def is_collecting(self) -> bool:
        """Whether relays push their descriptors to this node now."""
        return self._own_id in collectors(self._registry)

    def answer(
        self, peer: NodeId, data: bytes, now: Monotonic, unix_now: UnixTime
    ) -> bytes | None:
        """Answer another relay; None for silence."""
        try:
            request = DirectoryRequest.decode(data)
        except DecodeError:
            self._stats.requests_bad += 1
            return None
        match request.operation:
            case Operation.PUBLISH:
                status = self._publish(peer, request.body, now, unix_now)
                self._stats.pushes[status.name.lower()] += 1
                return status.encode()
            case Operation.HAND_OVER:
                return self._take_signature(peer, request.body, now)
            case Operation.FETCH:
                try:
                    return self.fetch(peer, request.body, now)
                except ProtocolError:
                    return None
            case _:
                assert_never(request.operation)

    def fetch(self, asker: Hashable, data: bytes, now: Monotonic) -> bytes:
        """Answer a FETCH.

        Args:
            asker: The relay or the circuit it comes from.
            data: The request's data.
            now: The time.

        Raises:
            DecodeError: If it is not one.
            TooManyRequestsError: If this asker has had its share.
        """
        if not self._fetches.admit(asker, now):
            self._stats.pages[PageAnswer.TOO_MANY.name.lower()] += 1
            raise TooManyRequestsError("pages for this minute are used up")
        try:
            fetch = Fetch.decode(data)
        except DecodeError:
            self._stats.pages[PageAnswer.MALFORMED.name.lower()] += 1
            raise
        fetched = self._page(fetch, now)
        answer = PageAnswer.EMPTY if fetched.snapshot == CURRENT else PageAnswer.SERVED
        self._stats.pages[answer.name.lower()] += 1
        return fetched.encode()

    def _publish(
        self, peer: NodeId, element: bytes, now: Monotonic, unix_now: UnixTime
    ) -> PublishStatus:
        if not self.is_collecting:
            return PublishStatus.NOT_COLLECTING
        if self._registry.node(peer) is None:
            return PublishStatus.REFUSED
        if not self._pushes.admit(peer, now):
            return PublishStatus.BUSY
        offer = self._store.offer(element, unix_now)
        self._stats.offered[offer.name.lower()] += 1
        return _STATUS[offer]

    def _take_signature(self, peer: NodeId, body: bytes, now: Monotonic) -> bytes:
        if self._hand_overs is None:
            return SignatureStatus.OVER.encode()
        if self._registry.node(peer) is None:
            return SignatureStatus.REFUSED.encode()
        if not self._pushes.admit(peer, now):
            return SignatureStatus.BUSY.encode()
        return self._hand_overs.take(body).encode()

    def _page(self, fetch: Fetch, now: Monotonic) -> Fetched:
        snapshot = self._snapshot(fetch, now)
        if snapshot is None:
            return Fetched(CURRENT)
        # A page of another snapshot, or one that is not there: the first, by its name.
        number = fetch.page if fetch.snapshot in {CURRENT, snapshot.name} else 0
        return snapshot.page(number) or snapshot.page(0) or Fetched(CURRENT)

    def _snapshot(self, fetch: Fetch, now: Monotonic) -> Snapshot | None:
        match fetch.content:
            case Content.DESCRIPTORS:
                return self._store.snapshot(fetch.snapshot, now)
            case Content.REGISTRY:
                return self._registry_snapshot()
            case Content.DIGESTS:
                return self._store.digests(fetch.snapshot, now)
            case Content.ELEMENTS:
                found = self._store.find(fetch.digests, PAGE_SIZE)
                return Snapshot(encode_listing(found)) if found else None
            case Content.HANDOVERS | Content.LISTING | Content.DIFFERENCE:
                if self._hand_overs is None:
                    return None
                return self._hand_overs.snapshot(fetch.content, fetch.snapshot)
            case _:
                assert_never(fetch.content)

    def _registry_snapshot(self) -> Snapshot | None:
        data = self._registry_file()
        if data is None:
            return None
        if self._file is None or self._file.data is not data:
            self._file = Snapshot(data)
        return self._file


def collectors(registry: Registry) -> tuple[NodeId, ...]:
    """Return the nodes every relay pushes its descriptor to.

    The trusted partners' nodes are among them, so that there is something to fetch from
    them on the day no discovery node can be reached.
    """
    return tuple(sorted({*registry.discovery_nodes(), *registry.trusted_nodes()}))


class _PerMinute:
    """Counts per asker in whole minutes: at worst twice the limit across a border."""

    def __init__(self, limit: int, size: int) -> None:
        self._limit = limit
        self._size = size
        self._minute = -1
        self._counts: Counter[Hashable] = Counter()

    def admit(self, asker: Hashable, now: Monotonic) -> bool:
        """Count a request; False if it is one too many or the table is full."""
        minute = int(now // MINUTE)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        if asker not in self._counts and len(self._counts) >= self._size:
            return False
        self._counts[asker] += 1
        return self._counts[asker] <= self._limit
