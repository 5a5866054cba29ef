"""Answers what others ask about hand-overs, listings and differences. Pure."""

from collections import OrderedDict
from typing import assert_never

from discovery.handover.collector import HandOverCollector
from discovery.handover.listings import Listings
from discovery.handover.stats import HandOverStats
from psp.directory.listing import Snapshot
from psp.errors import DecodeError
from psp.netdoc.handover_list import MAX_HAND_OVERS, join_hand_overs
from psp.wire.directory_page import CURRENT, SNAPSHOT_SIZE, Content
from psp.wire.directory_service import HandOverSignature, SignatureStatus

MAX_LISTS = 2 * MAX_HAND_OVERS
"""Lists of hand-overs kept by name: each may be in the middle of being fetched."""


class HandOverDesk:
    """One node's part of the directory service (`discovery.server`).

    Attributes:
        collector: Hand-overs and signatures.
        listings: Listings and differences.
    """

    def __init__(
        self, collector: HandOverCollector, listings: Listings, stats: HandOverStats
    ) -> None:
        self.collector = collector
        self.listings = listings
        self._stats = stats
        self._lists: OrderedDict[bytes, Snapshot] = OrderedDict()
        self._by_base: dict[bytes, Snapshot] = {}

    def take(self, body: bytes) -> SignatureStatus:
        """Take a signature that another relay brings: any bytes."""
        try:
            offered = HandOverSignature.decode(body)
        except DecodeError:
            status = SignatureStatus.REFUSED
        else:
            status = self.collector.take(offered)
        self._stats.signatures[status.name.lower()] += 1
        if status is SignatureStatus.STORED:
            self.follow()
        return status

    def follow(self) -> None:
        """Serve what the collector has now; call after each change of it."""
        self._by_base.clear()
        complete = self.collector.complete()
        if complete:
            self.listings.serve(complete[-1].listing_digest)

    def snapshot(self, content: Content, name: bytes) -> Snapshot | None:
        """Return what is served of hand-overs, listing or difference.

        Args:
            content: One of these three.
            name: Of a snapshot, of what the asker holds, or `CURRENT`.
        """
        match content:
            case Content.HANDOVERS:
                return self._hand_overs(name)
            case Content.LISTING:
                return self.listings.listing()
            case Content.DIFFERENCE:
                return self.listings.difference(name)
            case (
                Content.DESCRIPTORS
                | Content.REGISTRY
                | Content.DIGESTS
                | Content.ELEMENTS
            ):
                return None
            case _:
                assert_never(content)

    def _hand_overs(self, name: bytes) -> Snapshot | None:
        """Return a list given before, else the hand-overs after one, else all."""
        known = self._lists.get(name) or self._by_base.get(name)
        if known is not None:
            return known
        complete = self.collector.complete()
        if not complete:
            return None
        names = [hand_over.digest[:SNAPSHOT_SIZE] for hand_over in complete]
        if name not in names and name != CURRENT:
            return self._hand_overs(CURRENT)
        first = names.index(name) + 1 if name in names else 0
        made = Snapshot(join_hand_overs(complete[first:]))
        self._by_base[name] = self._lists[made.name] = made
        self._lists.move_to_end(made.name)
        while len(self._lists) > MAX_LISTS:
            self._lists.popitem(last=False)
        return made
