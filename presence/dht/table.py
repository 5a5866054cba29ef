"""The routing table: stock buckets, exact answers, and pings under control.

Stock ``find_neighbors`` stops at the first k contacts it walks over, which often are not
the nearest, and stock ``add_contact`` starts tasks that nobody holds.
"""

import heapq
from typing import Protocol

from kademlia.node import Node
from kademlia.routing import KBucket, RoutingTable

_SPLIT_DEPTH = 5
"""b in section 4.2 of the Kademlia paper; stock's own number."""


class ContactChecker(Protocol):
    """What the table asks of its protocol."""

    def check_contact(self, node: Node) -> None:
        """Find out, soon and not too often, whether a contact still answers."""


class PresenceTable(RoutingTable):  # type: ignore[misc]  # kademlia has no types
    """Members that answered lately, by distance.

    Bounded by kademlia's own rules: k contacts and 5 k replacements per bucket, and no
    more contacts than there are members.
    """

    protocol: ContactChecker

    def find_neighbors(
        self, node: Node, k: int | None = None, exclude: Node | None = None
    ) -> list[Node]:
        """Return the k contacts nearest to a node, itself and ``exclude`` left out."""
        self.buckets[self.get_bucket_for(node)].touch_last_updated()
        left_out = {node.id} if exclude is None else {node.id, exclude.id}
        known = (
            contact
            for bucket in self.buckets
            for contact in bucket.get_nodes()
            if contact.id not in left_out
        )
        return heapq.nsmallest(k or self.ksize, known, key=node.distance_to)

    def add_contact(self, node: Node) -> None:
        """Add a contact; a full bucket that may not split has its oldest one checked."""
        while True:
            index = self.get_bucket_for(node)
            bucket = self.buckets[index]
            if bucket.add_node(node):
                return
            if not bucket.has_in_range(self.node) and not _depth(bucket) % _SPLIT_DEPTH:
                self.protocol.check_contact(bucket.head())
                return
            self.split_bucket(index)

    def contacts(self) -> list[Node]:
        """Return all contacts."""
        return [node for bucket in self.buckets for node in bucket.get_nodes()]


def _depth(bucket: KBucket) -> int:
    """Return how many bits a bucket's range fixes.

    Stock compares the ids of its contacts bit by bit as text: 100 us a time.
    """
    lower: int = bucket.range[0]
    upper: int = bucket.range[1]
    return 161 - (upper - lower + 1).bit_length()
