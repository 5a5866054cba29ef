"""What a relay keeps for each of its links: circuit ids, CREATE cells, their rate."""

from psp.circuit.create import CreateTable
from psp.entropy import Entropy
from psp.ids import CircuitId, LinkId, NodeId
from psp.link.circuit_ids import CircuitIds, uses_even_ids
from psp.link.machine import LinkMachine
from psp.units import Monotonic
from relay.config import RelayConfig
from relay.policy import TokenBucket
from relay.stats import RelayStats


class LinkEnd:
    """Our end of one link.

    Attributes:
        peer: The relay at the other end; None for a client.
        ids: Circuit ids on it, those that rest included (R-CIR-6).
        creates: CREATE cells from the other end.
        bucket: How fast a client may create circuits; None for relays.
        limit: How many circuits may use it (R-RES-1).
    """

    __slots__ = ("bucket", "creates", "ids", "limit", "peer")

    def __init__(
        self,
        peer: NodeId | None,
        ids: CircuitIds,
        creates: CreateTable,
        bucket: TokenBucket | None,
        limit: int,
    ) -> None:
        self.peer = peer
        self.ids = ids
        self.creates = creates
        self.bucket = bucket
        self.limit = limit


class LinkEnds:
    """Our ends of all links, made when first needed."""

    def __init__(
        self,
        config: RelayConfig,
        links: LinkMachine,
        stats: RelayStats,
        *,
        node_id: NodeId,
        entropy: Entropy,
    ) -> None:
        self._config = config
        self._links = links
        self._stats = stats
        self._node_id = node_id
        self._entropy = entropy
        self._ends: dict[LinkId, LinkEnd] = {}

    def of(self, link: LinkId, now: Monotonic) -> LinkEnd | None:
        """Return our end of a link, or None if that link is closed."""
        end = self._ends.get(link)
        if end is None and self._links.endpoint_of(link) is not None:
            end = self._ends[link] = self._make(self._links.peer(link), now)
        return end

    def release(self, link: LinkId, circuit_id: CircuitId, now: Monotonic) -> None:
        """Let the id of a circuit that ended rest; forget its CREATED cells."""
        end = self._ends.get(link)
        if end is not None:
            end.ids.release(circuit_id, now)
            end.creates.forget(circuit_id)

    def forget(self, link: LinkId) -> None:
        """Forget a link that closed."""
        self._ends.pop(link, None)

    def expire(self, now: Monotonic) -> None:
        """Forget old halves and answers."""
        for end in self._ends.values():
            end.creates.expire(now)

    def _make(self, peer: NodeId | None, now: Monotonic) -> LinkEnd:
        config = self._config
        bucket, limit = None, config.relay_circuits
        if peer is None:
            bucket = TokenBucket(config.creates_per_s, config.create_burst, now)
            limit = config.client_circuits
        ids = CircuitIds(self._entropy, is_even=uses_even_ids(self._node_id, peer))
        return LinkEnd(peer, ids, CreateTable(self._stats.creates), bucket, limit)
