"""The discovery nodes as members of the DHT: ids, and who is nearest to a location.

Whoever is not elected does not exist here, whatever it says and whoever names it; for a
while after an election the retiring nodes still do (`presence.dht.tenure`). As long as
nobody is elected the trusted partners' nodes stand in, as everywhere
(`psp.directory.fallback`).
"""

from collections.abc import Callable, Collection

from kademlia.node import Node

from presence.config import DhtConfig
from presence.dht.tenure import Tenure
from psp.directory.circle import Circle
from psp.directory.dht_id import dht_id
from psp.directory.registry import Registry
from psp.ids import NodeId


class Members:
    """The elected and the retiring discovery nodes, as the registry lists them now.

    Attributes:
        own: This node.
        own_id: Its DHT id.
    """

    def __init__(
        self,
        registry: Registry,
        own: NodeId,
        config: DhtConfig,
        unix_time: Callable[[], float],
    ) -> None:
        self.own = own
        self.own_id = dht_id(own, registry.network)
        self._registry = registry
        self._unix_time = unix_time
        self._tenure = Tenure(own, config)
        self._replicas = config.replicas
        self._sequence: int | None = None
        self._retiring: frozenset[NodeId] = frozenset()
        self._retiring_until = float("inf")
        self._ids: dict[NodeId, bytes] = {}
        self._nodes: dict[bytes, NodeId] = {}
        self._elected_circle = Circle()
        self._retiring_circle = Circle()
        self._own_circle = Circle()
        self._circle_before = Circle()

    def __len__(self) -> int:
        """How many are elected."""
        self._refresh()
        return len(self._elected_circle)

    def __contains__(self, node_id: NodeId) -> bool:
        """Tell whether a node is elected or retiring."""
        self._refresh()
        return node_id in self._ids

    @property
    def version(self) -> int:
        """Rises whenever another list comes into force."""
        self._refresh()
        return self._tenure.version

    @property
    def is_elected(self) -> bool:
        """Whether this node itself is elected."""
        self._refresh()
        return self._tenure.is_elected

    @property
    def is_retiring(self) -> bool:
        """Whether this node itself is retiring."""
        self._refresh()
        return self._tenure.is_retiring

    @property
    def is_serving(self) -> bool:
        """Whether this node answers: it is elected or retiring."""
        return self.is_elected or self.is_retiring

    @property
    def was_elected(self) -> bool:
        """Whether this node was on the list that the one in force replaced."""
        self._refresh()
        return self.own in self._tenure.before

    @property
    def retiring_count(self) -> int:
        """How many retiring nodes are asked besides the elected ones."""
        self._refresh()
        return len(self._retiring_circle)

    @property
    def is_settling(self) -> bool:
        """Whether some nodes may not know the list in force."""
        self._refresh()
        return self._tenure.is_settling(self._unix_time())

    @property
    def is_outdated(self) -> bool:
        """Whether the list is older than anybody may rely on."""
        return self._unix_time() >= self._registry.expires

    @property
    def is_changing(self) -> bool:
        """Whether records may still be handed over."""
        self._refresh()
        return self._tenure.is_changing(self._unix_time())

    def is_registered(self, node_id: NodeId) -> bool:
        """Tell whether a relay may publish: it is registered, elected or not."""
        return self._registry.node(node_id) is not None

    def may_hand_over(self, node_id: NodeId) -> bool:
        """Tell whether a node may bring what others published."""
        self._refresh()
        return self._tenure.may_hand_over(node_id, self._unix_time())

    def may_lay_down(self, *, has_handed_over: bool) -> bool:
        """Tell whether this node, retiring, may forget its records."""
        self._refresh()
        now = self._unix_time()
        return self._tenure.may_lay_down(now, has_handed_over=has_handed_over)

    def lay_down(self) -> None:
        """Be no retiring node any longer."""
        self._tenure.lay_down()

    def node_id(self, contact_id: bytes) -> NodeId | None:
        """Return who has this DHT id; None unless it is elected or retiring."""
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

    def is_retiring_contact(self, contact_id: bytes) -> bool:
        """Tell whether a contact is asked only because its turn is just over."""
        return self.node_id(contact_id) in self._retiring

    def nearest(self, location: bytes, count: int) -> list[Node]:
        """Return the ``count`` other elected nodes nearest to a location."""
        self._refresh()
        return self._others(self._elected_circle, location, count)

    def nearest_retiring(self, location: bytes, count: int) -> list[Node]:
        """Return the ``count`` other retiring nodes nearest to a location."""
        self._refresh()
        return self._others(self._retiring_circle, location, count)

    def is_among_nearest(self, location: bytes, count: int) -> bool:
        """Tell whether we are one of the ``count`` elected nearest to a location."""
        self._refresh()
        return self.own_id in self._elected_circle.nearest(location, count)

    def is_near(self, contact_id: bytes, location: bytes) -> bool:
        """Tell whether an elected member is to hold what lies at a location."""
        self._refresh()
        nearest = self._elected_circle.nearest(location, self._replicas)
        return contact_id in nearest

    def holders(self, location: bytes) -> frozenset[bytes]:
        """Return who is to hold what lies at a location, retiring members included."""
        self._refresh()
        circles = (self._elected_circle, self._retiring_circle)
        return frozenset(
            each
            for circle in circles
            for each in circle.nearest(location, self._replicas)
        )

    def was_among_nearest(self, location: bytes, count: int) -> bool:
        """Tell the same of the last list that we were on."""
        self._refresh()
        return self.own_id in self._own_circle.nearest(location, count)

    def newcomers(self, location: bytes, count: int) -> list[Node | None]:
        """Return who is among the ``count`` nearest and was not before the change.

        Each has its turn among ``count``, others are empty. The turns depend on us:
        whoever held a location with us before has another newcomer at each turn.
        """
        self._refresh()
        before = self._circle_before.nearest(location, count)
        now = self._elected_circle.nearest(location, count)
        left_out = {*before, self.own_id}
        rank = self.own_id[-1]
        if self.own_id in before:
            rank = before.index(self.own_id)
        turns: list[Node | None] = [None] * count
        newly = (each for each in now if each not in left_out)
        for number, each in enumerate(newly):
            turns[(number - rank) % count] = Node(each)
        return turns

    def _others(self, circle: Circle, location: bytes, count: int) -> list[Node]:
        ids = circle.nearest(location, count + 1)
        return [Node(each) for each in ids if each != self.own_id][:count]

    def _refresh(self) -> None:
        """Follow the registry, and the clock where it ends a grace."""
        if self._sequence != self._registry.sequence:
            self._sequence = self._registry.sequence
            self._follow()
        elif self._unix_time() >= self._retiring_until:
            self._list()

    def _follow(self) -> None:
        registry, tenure = self._registry, self._tenure
        version = tenure.version
        tenure.follow(
            registry.discovery_nodes() or registry.trusted_nodes(),
            registry.retiring_nodes(),
            registry.elected_at,
            self._unix_time(),
            active=registry.nodes(),
        )
        self._list()
        if tenure.version != version:
            self._circle_before = self._circle(tenure.before)
        if tenure.is_elected:
            self._own_circle = self._elected_circle
        elif tenure.is_retiring and not len(self._own_circle):
            self._own_circle = self._retiring_circle

    def _list(self) -> None:
        tenure, known, network = self._tenure, self._ids, self._registry.network
        retiring, self._retiring_until = tenure.retiring(self._unix_time())
        both = tenure.elected | retiring
        self._retiring = retiring
        self._ids = {n: known.get(n) or dht_id(n, network) for n in sorted(both)}
        self._nodes = {each: node for node, each in self._ids.items()}
        self._elected_circle = self._circle(tenure.elected)
        self._retiring_circle = self._circle(retiring)

    def _circle(self, nodes: Collection[NodeId]) -> Circle:
        known, network = self._ids, self._registry.network
        return Circle(known.get(n) or dht_id(n, network) for n in nodes)
