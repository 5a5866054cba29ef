"""The discovery nodes as members of the DHT: ids, and who is nearest to a location.

A member's DHT id is BLAKE2b-160 of its node id and the network: fixed by its key. What
keeps it from being chosen beside a user's records is that their location depends on the
random value of the day, which is known hours before the day, while a node must be
registered for longer than a day before it can be elected. Whoever is not elected does
not exist here, whatever it says and whoever names it.
"""

import heapq
from bisect import bisect_left

from kademlia.node import Node

from psp.crypto.kdf import Label
from psp.crypto.primitives import blake2b
from psp.directory.registry import Registry
from psp.ids import NodeId
from psp.netdoc.presence_record import LOCATION_SIZE
from psp.wire.network import Network

_BITS = 8 * LOCATION_SIZE


def dht_id(node_id: NodeId, network: Network) -> bytes:
    """Return a node's DHT id, 20 bytes."""
    return blake2b(Label.DHT_ID, node_id, network.encode(), size=LOCATION_SIZE)


class Members:
    """The elected discovery nodes, as the registry lists them now."""

    def __init__(self, registry: Registry, own: NodeId) -> None:
        self.own = own
        self.own_id = dht_id(own, registry.network)
        self._registry = registry
        self._sequence: int | None = None
        self._nodes: dict[bytes, NodeId] = {}
        self._ids: dict[NodeId, bytes] = {}
        self._sorted: list[int] = []

    def __len__(self) -> int:
        self._refresh()
        return len(self._nodes)

    def __contains__(self, node_id: NodeId) -> bool:
        self._refresh()
        return node_id in self._ids

    @property
    def is_member(self) -> bool:
        """Whether this node itself is elected."""
        return self.own in self

    def is_registered(self, node_id: NodeId) -> bool:
        """Tell whether a relay may publish: it is registered, elected or not."""
        return self._registry.node(node_id) is not None

    def node_id(self, contact_id: bytes) -> NodeId | None:
        """Return who has this DHT id; None unless it is elected."""
        self._refresh()
        return self._nodes.get(contact_id)

    def contact(self, contact_id: bytes) -> Node | None:
        """Return the contact with this DHT id; None for ourselves and strangers."""
        if contact_id == self.own_id or self.node_id(contact_id) is None:
            return None
        return Node(contact_id)

    def contact_of(self, node_id: NodeId) -> Node | None:
        """Return a node's contact; None for ourselves and strangers."""
        self._refresh()
        contact_id = self._ids.get(node_id)
        return None if contact_id is None else self.contact(contact_id)

    def nearest(self, location: bytes, count: int) -> list[Node]:
        """Return the ``count`` other members nearest to a location, nearest first."""
        numbers = self._nearest(int.from_bytes(location), count + 1)
        ids = (number.to_bytes(LOCATION_SIZE) for number in numbers)
        return [Node(each) for each in ids if each != self.own_id][:count]

    def is_among_nearest(self, location: bytes, count: int) -> bool:
        """Tell whether we are one of the ``count`` members nearest to a location."""
        nearest = self._nearest(int.from_bytes(location), count)
        return int.from_bytes(self.own_id) in nearest

    def _nearest(self, key: int, count: int) -> list[int]:
        """Return the nearest ids as numbers.

        Ids that share their first bits with the key are nearer than all others, and
        stand together when sorted: widen that range until it holds enough.
        """
        self._refresh()
        low, high = 0, _BITS
        while low < high:
            bits = (low + high) // 2
            start, end = self._range(key, bits)
            if end - start >= count:
                high = bits
            else:
                low = bits + 1
        start, end = self._range(key, low)
        nearby = self._sorted[start:end]
        return heapq.nsmallest(count, nearby, key=lambda number: number ^ key)

    def _range(self, key: int, bits: int) -> tuple[int, int]:
        first = key >> bits << bits
        start = bisect_left(self._sorted, first)
        return start, bisect_left(self._sorted, first + (1 << bits), start)

    def _refresh(self) -> None:
        if self._sequence == self._registry.sequence:
            return
        self._sequence = self._registry.sequence
        network = self._registry.network
        elected = self._registry.discovery_nodes()
        known = self._ids
        self._ids = {n: known.get(n) or dht_id(n, network) for n in elected}
        self._nodes = {each: node for node, each in self._ids.items()}
        self._sorted = sorted(int.from_bytes(each) for each in self._nodes)
