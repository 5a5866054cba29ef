"""The descriptors a node holds and serves.

At most one per registered node, and none of anybody else, so the registry bounds it.
Whoever brings a descriptor, its own signature decides; the newest wins. What a node
serves it also lists by digest, so that others fetch only what they lack.
"""

import enum
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from discovery.config import ServerConfig
from psp.directory.digests import element_digest
from psp.directory.listing import LENGTH_SIZE, Snapshot, encode_listing
from psp.errors import DecodeError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.netdoc.descriptor import Descriptor, Equivocation, equivocation
from psp.units import Monotonic, UnixTime
from psp.wire.network import Network

MAX_PROOFS = 100
"""Of misbehaviour, one per node; further ones are dropped."""


class Offer(enum.StrEnum):
    """What became of a descriptor."""

    STORED = "stored"
    HELD = "held already"
    OLDER = "older than the one held"
    EXPIRED = "not current"
    STRANGER = "not in the registry"
    MALFORMED = "malformed"
    CONTRADICTS = "another one of the same sequence"


class DescriptorStore:
    """Descriptors by node, and snapshots of them.

    Attributes:
        proofs: Nodes that signed two different descriptors under one sequence.
    """

    def __init__(self, config: ServerConfig, network: Network) -> None:
        self._config = config
        self._network = network
        self._members: frozenset[NodeId] = frozenset()
        self._held: dict[NodeId, Descriptor] = {}
        self._raw: dict[NodeId, bytes] = {}
        self._highest: dict[NodeId, int] = {}
        self._digests: dict[NodeId, bytes] = {}
        self._by_digest: dict[bytes, bytes] = {}
        self._replaced: OrderedDict[bytes, None] = OrderedDict()
        self._snapshots: OrderedDict[bytes, _Generation] = OrderedDict()
        self._current: _Generation | None = None
        self._built: Monotonic | None = None
        self._is_changed = False
        self.proofs: dict[NodeId, Equivocation] = {}

    def __len__(self) -> int:
        return len(self._held)

    def descriptor(self, node_id: NodeId) -> Descriptor | None:
        """Return the descriptor held of a node, or None."""
        return self._held.get(node_id)

    def elements(self) -> list[bytes]:
        """Return every descriptor held, encoded."""
        return list(self._raw.values())

    def retain(self, members: Collection[NodeId]) -> None:
        """Hold descriptors of these nodes only, from now on."""
        self._members = frozenset(members)
        for node_id in self._held.keys() - self._members:
            self._drop(node_id)
        self._highest = {k: n for k, n in self._highest.items() if k in self._members}
        self.proofs = {k: p for k, p in self.proofs.items() if k in self._members}

    def offer(self, element: bytes, unix_now: UnixTime) -> Offer:
        """Take in a descriptor: any bytes."""
        # The node id stands behind the format byte: nothing is verified for strangers.
        node_id = NodeId(element[1 : 1 + NODE_ID_SIZE])
        if node_id not in self._members:
            is_short = len(node_id) < NODE_ID_SIZE
            return Offer.MALFORMED if is_short else Offer.STRANGER
        if self._raw.get(node_id) == element:
            return Offer.HELD
        try:
            descriptor = Descriptor.decode(element, self._network)
        except DecodeError:
            return Offer.MALFORMED
        if not descriptor.is_current(unix_now):
            return Offer.EXPIRED
        return self._judge(descriptor, element)

    def expire(self, unix_now: UnixTime) -> None:
        """Drop what is out of date; what was the highest sequence is remembered."""
        gone = [
            key for key, held in self._held.items() if not held.is_current(unix_now)
        ]
        for node_id in gone:
            self._drop(node_id)

    def snapshot(self, name: bytes, now: Monotonic) -> Snapshot | None:
        """Return the snapshot of this name, else the current one.

        A new one is made of what has changed every 30 s at most. None before anything
        has been stored.
        """
        generation = self._generation(name, now)
        return None if generation is None else generation.listing

    def digests(self, name: bytes, now: Monotonic) -> Snapshot | None:
        """Return the same of the digests of all descriptors, 8 bytes each."""
        generation = self._generation(name, now)
        return None if generation is None else generation.digests

    def find(self, digests: Iterable[bytes], max_bytes: int) -> list[bytes]:
        """Return descriptors by digest, in the order asked, those not held left out.

        It ends before one with which a listing would have more than ``max_bytes``.
        Replaced ones are still found for a while: a download takes a minute.
        """
        found: list[bytes] = []
        for digest in digests:
            element = self._by_digest.get(digest)
            if element is not None:
                max_bytes -= LENGTH_SIZE + len(element)
                if max_bytes < 0:
                    break
                found.append(element)
        return found

    def _judge(self, descriptor: Descriptor, element: bytes) -> Offer:
        node_id = descriptor.node_id
        held = self._held.get(node_id)
        if descriptor.sequence < self._highest.get(node_id, 0):
            return Offer.OLDER
        if held is not None and held.sequence == descriptor.sequence:
            proof = equivocation(held, descriptor)
            if proof is None:
                return Offer.HELD
            if len(self.proofs) < MAX_PROOFS:
                self.proofs.setdefault(node_id, proof)
            return Offer.CONTRADICTS
        if held is not None:
            self._replace(self._digests[node_id])
        digest = element_digest(element)
        self._held[node_id] = descriptor
        self._raw[node_id] = element
        self._digests[node_id] = digest
        self._by_digest[digest] = element
        self._replaced.pop(digest, None)  # a node that left and came back with it
        self._highest[node_id] = descriptor.sequence
        self._is_changed = True
        return Offer.STORED

    def _replace(self, digest: bytes) -> None:
        """Keep a replaced descriptor a little longer; the oldest goes first."""
        self._replaced[digest] = None
        while len(self._replaced) > self._config.replaced_kept:
            del self._by_digest[self._replaced.popitem(last=False)[0]]

    def _drop(self, node_id: NodeId) -> None:
        del self._held[node_id], self._raw[node_id]
        del self._by_digest[self._digests.pop(node_id)]
        self._is_changed = True

    def _generation(self, name: bytes, now: Monotonic) -> "_Generation | None":
        named = self._snapshots.get(name)
        if named is not None:
            return named
        if self._is_due(now):
            self._build(now)
        return self._current

    def _is_due(self, now: Monotonic) -> bool:
        if not self._is_changed:
            return False
        return self._built is None or now - self._built >= self._config.snapshot_every

    def _build(self, now: Monotonic) -> None:
        ids = sorted(self._raw)
        self._current = _Generation(
            Snapshot(encode_listing(self._raw[node_id] for node_id in ids)),
            Snapshot(b"".join(self._digests[node_id] for node_id in ids)),
        )
        self._built, self._is_changed = now, False
        for name in self._current.names:
            self._snapshots[name] = self._current
            self._snapshots.move_to_end(name)
        while len(self._snapshots) > 2 * self._config.snapshots_kept:
            self._snapshots.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Generation:
    """What is served for 30 s."""

    listing: Snapshot
    digests: Snapshot

    @property
    def names(self) -> tuple[bytes, bytes]:
        return self.listing.name, self.digests.name
