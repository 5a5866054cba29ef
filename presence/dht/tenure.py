"""How long an election counts: whose turn is over, who still serves, who may hand over.

::

    elected ---not on the new list---> retiring ---hand-over done, or time over---> out

Readers learn of an election at different moments, so nothing about it is sharp:

* for `handover_grace` readers ask the retiring nodes besides the elected ones;
* for `settling` publications go to both;
* a retiring node serves longer than anybody may ask it: `handover_grace` and 300 s. It
  ends before that only when a further election has made others the retiring ones, it
  has handed everything over, and `settling` is over;
* for as long, the nodes of earlier lists may hand records over.

A list that changes without an election, such as the partners', is treated alike: then
each node goes by the list it saw before. Whoever has left the registry is nobody at
once, whatever it was. Pure: it is told the registry and the time.
"""

from collections import OrderedDict
from collections.abc import Collection, Container

from presence.config import DhtConfig
from psp.ids import NodeId
from psp.netdoc.presence_keys import CLOCK_SKEW
from psp.units import Seconds

SERVES_LONGER = Seconds(60 + 2 * CLOCK_SKEW)
"""Others may learn of an election a minute later; two clocks differ by twice the skew."""


class Tenure:
    """What one node knows of the last elections.

    Attributes:
        version: Rises whenever the list in force becomes another.
        elected: The list in force.
        before: The list that this node saw in force before it; empty at first.
    """

    def __init__(self, own: NodeId, config: DhtConfig) -> None:
        self._own = own
        self._grace = config.handover_grace
        self._life = config.handover_grace + SERVES_LONGER
        self._settling = config.settling
        self._max_former = config.max_peers
        self.version = 0
        self.elected: frozenset[NodeId] = frozenset()
        self.before: frozenset[NodeId] = frozenset()
        self._is_new = True
        self._noticed = float("-inf")
        self._named: frozenset[NodeId] = frozenset()
        self._elected_at = 0.0
        self._former: OrderedDict[NodeId, float] = OrderedDict()
        self._changing_until = 0.0
        self._retired_at: float | None = None

    def follow(
        self,
        elected: Collection[NodeId],
        retiring: Collection[NodeId],
        elected_at: float,
        now: float,
        *,
        active: Container[NodeId],
    ) -> None:
        """Take over what the registry says.

        Args:
            elected: The list in force.
            retiring: Those of the list before, as far as they are not on this one.
            elected_at: Since when it is in force; 0 without an election.
            now: Unix seconds.
            active: Every registered node.
        """
        newly = frozenset(elected)
        if newly != self.elected and not self._is_new:
            self.version += 1
            self.before = self.elected
            self._noticed = now
            self._remember(self.before, now + self._life)
        was_elected = self._own in self.elected
        self.elected = newly
        self._is_new = False
        self._named = frozenset(retiring)
        self._elected_at = elected_at
        self._remember(self._named, elected_at + self._life)
        self._forget(now, active)
        if self._own in newly:
            self._retired_at = None
        elif was_elected or (self._own in self._former and self._own in self._named):
            self._retired_at = self._retired_at or max(now, elected_at)

    @property
    def is_elected(self) -> bool:
        """Whether this node is on the list in force."""
        return self._own in self.elected

    @property
    def is_retiring(self) -> bool:
        """Whether this node serves although its turn is over."""
        return self._retired_at is not None

    def retiring(self, now: float) -> tuple[frozenset[NodeId], float]:
        """Return whom readers ask besides the elected nodes, and until when."""
        if self._named and now < self._elected_at + self._grace:
            return self._named - self.elected, self._elected_at + self._grace
        if now < self._noticed + self._grace:
            return self.before - self.elected, self._noticed + self._grace
        return frozenset(), float("inf")

    def is_settling(self, now: float) -> bool:
        """Tell whether some nodes may not know the list in force."""
        return now < max(self._elected_at, self._noticed) + self._settling

    def is_changing(self, now: float) -> bool:
        """Tell whether records may still be handed over."""
        return now < self._changing_until

    def may_hand_over(self, node_id: NodeId, now: float) -> bool:
        """Tell whether a node may bring what others published: it was elected."""
        if node_id in self.elected:
            return self.is_changing(now)
        return now < self._former.get(node_id, 0.0)

    def may_lay_down(self, now: float, *, has_handed_over: bool) -> bool:
        """Tell whether a retiring node may forget its records."""
        if self._retired_at is None:
            return False
        if now >= self._retired_at + self._life:
            return True
        is_superseded = bool(self._named) and self._own not in self._named
        is_settled = now >= self._retired_at + self._settling
        return has_handed_over and is_superseded and is_settled

    def lay_down(self) -> None:
        """Be no retiring node any longer."""
        self._retired_at = None
        self._former.pop(self._own, None)

    def _remember(self, nodes: Collection[NodeId], until: float) -> None:
        if nodes:
            self._changing_until = max(self._changing_until, until)
        for node in sorted(nodes):
            self._former[node] = max(until, self._former.pop(node, until))
        while len(self._former) > self._max_former:
            self._former.popitem(last=False)

    def _forget(self, now: float, active: Container[NodeId]) -> None:
        self.before = frozenset(node for node in self.before if node in active)
        for node in [n for n, until in self._former.items() if until <= now]:
            del self._former[node]
        for node in [n for n in self._former if n not in active]:
            del self._former[node]
