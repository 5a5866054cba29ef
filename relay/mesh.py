"""Which links stand, and which may go.

Each epoch draws a virtual neighbourhood, unrelated to place or choice: nodes lie on
rings in the order of ``SHA-256(seed, ring, node id)``, and the nodes just before and
after us on each ring are our neighbours. Two rings already join everybody, and both ends
of a link draw it alike. Links to others are opened on demand; one without circuits is
closed after a while.
"""

from collections.abc import Iterable
from functools import partial

from psp.crypto.kdf import Label
from psp.crypto.primitives import sha256
from psp.ids import LinkId, NodeId
from psp.timers import Deadlines
from psp.units import Monotonic, Seconds
from relay.config import RelayConfig

RETRY = Seconds(10.0)
"""Between attempts at a neighbour without a link. Our choice."""

_MAX_RINGS = 16


def neighbourhood(
    own: NodeId, nodes: Iterable[NodeId], seed: bytes, count: int
) -> tuple[NodeId, ...]:
    """Return at least ``count`` neighbours, or everybody if there are fewer.

    A few more than ``count`` are possible: a ring gives one or two at a time.
    """
    others = set(nodes) - {own}
    if len(others) <= count:
        return tuple(sorted(others))
    chosen: dict[NodeId, None] = {}
    for ring in range(_MAX_RINGS):
        if len(chosen) >= count:
            break
        order = sorted(others | {own}, key=partial(_place, seed, ring))
        place = order.index(own)
        chosen[order[place - 1]] = None
        chosen[order[(place + 1) % len(order)]] = None
    return tuple(chosen)


def _place(seed: bytes, ring: int, node_id: NodeId) -> bytes:
    return sha256(Label.MESH, seed, ring.to_bytes(1), node_id)


class Mesh:
    """Standing and idle links of one relay."""

    def __init__(self, config: RelayConfig, own: NodeId) -> None:
        self._config = config
        self._own = own
        self._neighbours: tuple[NodeId, ...] = ()
        self._attempts: Deadlines[NodeId] = Deadlines()
        self._idle: Deadlines[LinkId] = Deadlines()

    @property
    def neighbours(self) -> tuple[NodeId, ...]:
        """The current epoch's neighbours."""
        return self._neighbours

    def draw(self, seed: bytes, nodes: Iterable[NodeId], now: Monotonic) -> None:
        """Draw the neighbours of an epoch. Links to former ones may become idle.

        Of two neighbours, the one with the smaller id opens the link; the other waits
        for one retry first.
        """
        count = self._config.neighbours
        for node_id in self._neighbours:
            self._attempts.cancel(node_id)
        self._neighbours = neighbourhood(self._own, nodes, seed, count) if count else ()
        for node_id in self._neighbours:
            patience = 0.0 if self._own < node_id else RETRY
            self._attempts.set(node_id, Monotonic(now + patience))

    def due(self, now: Monotonic) -> list[NodeId]:
        """Return neighbours to whom a link should be opened now if there is none."""
        nodes = self._attempts.pop_expired(now)
        for node_id in nodes:
            self._attempts.set(node_id, Monotonic(now + RETRY))
        return nodes

    def link_idle(self, link: LinkId, now: Monotonic) -> None:
        """No circuit runs over ``link`` as of now: it expires after `idle_link`."""
        self._idle.set(link, Monotonic(now + self._config.idle_link))

    def link_closed(self, link: LinkId) -> None:
        """Forget a link."""
        self._idle.cancel(link)

    def expired(self, now: Monotonic) -> list[LinkId]:
        """Return links to look at again, each once.

        The owner closes those that are idle and no neighbour's, and calls ``link_idle``
        again for the others.
        """
        return self._idle.pop_expired(now)

    def next_timeout(self) -> Monotonic | None:
        """Return when ``due`` or ``expired`` has something."""
        deadlines = (self._attempts.next(), self._idle.next())
        return min((due for due in deadlines if due is not None), default=None)
