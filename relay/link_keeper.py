"""Which links are opened, kept and closed: the mesh's, and those that circuits need."""

from collections.abc import Iterable

from psp.ids import LinkId, NodeId
from psp.link.machine import LinkMachine
from psp.units import Monotonic
from relay.extending import Extending, NodeLookup
from relay.mesh import Mesh


class LinkKeeper:
    """Opens links to neighbours, and closes what nobody needs."""

    def __init__(
        self,
        links: LinkMachine,
        mesh: Mesh,
        extending: Extending,
        *,
        node_id: NodeId,
        node: NodeLookup,
    ) -> None:
        self._links = links
        self._mesh = mesh
        self._extending = extending
        self._node_id = node_id
        self._node = node

    def draw(self, seed: bytes, nodes: Iterable[NodeId], now: Monotonic) -> None:
        """Draw the neighbours of an epoch; links to former ones become idle."""
        former = self._mesh.neighbours
        self._mesh.draw(seed, nodes, now)
        for node_id in former:
            self.touch(self._links.link_to(node_id), now)

    def link_to(self, node_id: NodeId, now: Monotonic) -> LinkId | None:
        """Return a link to a node, new if need be; None if it is not registered."""
        link = self._links.link_to(node_id)
        if link is not None:
            return link
        node = self._node(node_id)
        if node is None or node_id == self._node_id or not node.endpoints:
            return None
        return self._links.open(node_id, list(node.endpoints), now)

    def touch(self, link: LinkId | None, now: Monotonic) -> None:
        """A link was opened, used without a circuit, or lost one: look at it later."""
        if link is not None and not self._extending.count_on(link):
            self._mesh.link_idle(link, now)

    def closed(self, link: LinkId) -> None:
        """Forget a link that ended."""
        self._mesh.link_closed(link)

    def next_timeout(self) -> Monotonic | None:
        """Return when to call ``handle_timeout``."""
        return self._mesh.next_timeout()

    def handle_timeout(self, now: Monotonic) -> None:
        """Open links to neighbours without one; close idle ones to anybody else."""
        for node_id in self._mesh.due(now):
            self.link_to(node_id, now)
        for link in self._mesh.expired(now):
            is_standing = self._links.peer(link) in self._mesh.neighbours
            if is_standing or self._extending.count_on(link):
                self._mesh.link_idle(link, now)
            else:
                self._links.close(link, now)
