"""Which discovery nodes are to hold what lies at a location, by the client's own list."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from psp.directory.circle import Circle
from psp.directory.dht_id import (
    HANDOVER_GRACE,
    REPLICAS,
    dht_id,
    must_retiring_speak,
)
from psp.directory.registry import Registry
from psp.ids import NodeId
from psp.netdoc.presence_keys import CLOCK_SKEW
from psp.netdoc.voice import SHORT_ID_SIZE


@dataclass(frozen=True, slots=True)
class Replicas:
    """Those of one location.

    Attributes:
        elected: Of the list in force, by the short id of their voices.
        retiring: Of the list before it, while the election is fresh; empty where most
            have been elected again.
    """

    elected: Mapping[bytes, NodeId]
    retiring: Mapping[bytes, NodeId]

    def find(self, short_id: bytes) -> NodeId | None:
        """Return whose voice it may be; None for whoever is to hold nothing here."""
        return self.elected.get(short_id) or self.retiring.get(short_id)


class ReplicaFinder:
    """Follows one registry; keeps the DHT ids of its discovery nodes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._sequence: int | None = None
        self._elected: _Members = _Members((), registry)
        self._retiring: _Members = _Members((), registry)

    def at(self, location: bytes, unix_now: float) -> Replicas:
        """Return who is to hold what lies at a location now."""
        registry = self._registry
        if registry.sequence != self._sequence:
            self._sequence = registry.sequence
            elected = registry.discovery_nodes() or registry.trusted_nodes()
            self._elected = _Members(elected, registry)
            self._retiring = _Members(registry.retiring_nodes(), registry)
        is_fresh = unix_now < registry.elected_at + HANDOVER_GRACE + CLOCK_SKEW
        count = len(self._retiring) if is_fresh else 0
        must_speak = must_retiring_speak(len(self._elected), count)
        retiring = self._retiring.nearest(location) if must_speak else {}
        return Replicas(self._elected.nearest(location), retiring)


class _Members:
    def __init__(self, nodes: Collection[NodeId], registry: Registry) -> None:
        self._nodes = {dht_id(node, registry.network): node for node in nodes}
        self._circle = Circle(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def nearest(self, location: bytes) -> dict[bytes, NodeId]:
        nearest = self._circle.nearest(location, REPLICAS)
        nodes = (self._nodes[each] for each in nearest)
        return {node[:SHORT_ID_SIZE]: node for node in nodes}
