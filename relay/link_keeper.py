"""Which links are opened, kept and closed: the mesh's, and those that circuits need.

The mesh and requests between relays go to a node's first worker, which runs its services.
"""

from collections.abc import Iterable

from psp.ids import LinkId, NodeId
from psp.link.machine import LinkMachine
from psp.units import Monotonic
from psp.wire.endpoint import by_worker
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
            self.touch(self._existing(node_id), now)

    def link_to(self, node_id: NodeId, now: Monotonic) -> LinkId | None:
        """Return a link to a node's services, new if need be.

        None if there is none and the node is not registered.
        """
        link = self._existing(node_id)
        if link is not None:
            return link
        node = self._node(node_id)
        if node is None or node_id == self._node_id or not node.endpoints:
            return None
        endpoints = by_worker(node.endpoints)[0]
        return self._links.open(node_id, endpoints, now, port=self._port(node_id))

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
            if self._is_standing(link) or self._extending.count_on(link):
                self._mesh.link_idle(link, now)
            else:
                self._links.close(link, now)

    def _existing(self, node_id: NodeId) -> LinkId | None:
        return self._links.link_to(node_id, self._port(node_id))

    def _is_standing(self, link: LinkId) -> bool:
        peer, address = self._links.peer(link), self._links.endpoint_of(link)
        if peer is None or address is None or peer not in self._mesh.neighbours:
            return False
        return self._port(peer) in {None, address[1]}

    def _port(self, node_id: NodeId) -> int | None:
        """Return the port of a node's first worker; None if it has no other."""
        node = self._node(node_id)
        workers = () if node is None else by_worker(node.endpoints)
        return workers[0][0].port if len(workers) > 1 else None
