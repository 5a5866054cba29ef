"""The links of one machine, by name, by peer and by resume token."""

from psp.crypto.primitives import sha256
from psp.errors import LocalProtocolError
from psp.ids import LinkId, NodeId
from psp.link.link import Link

MAX_TOKENS = 8
"""Resume tokens per link: that of the keys in use, and those of handshakes that the
initiator may or may not have finished. The oldest goes first."""


class LinkTable:
    """Every link that is not closed; bounded by its machine's limit."""

    def __init__(self) -> None:
        self._links: dict[LinkId, Link] = {}
        self._by_peer: dict[NodeId, list[LinkId]] = {}
        # By hash, so that the time a look-up takes says nothing about a token.
        self._by_token: dict[bytes, LinkId] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._links)

    def new_id(self) -> LinkId:
        """Return a name that was never used."""
        self._last_id += 1
        return LinkId(self._last_id)

    def add(self, link: Link) -> None:
        """Take in a link."""
        if link.link_id in self._links:
            raise LocalProtocolError("a link's name is used twice")
        self._links[link.link_id] = link
        if link.peer is not None:
            self._by_peer.setdefault(link.peer, []).append(link.link_id)

    def remove(self, link: Link) -> None:
        """Forget a link and its tokens."""
        del self._links[link.link_id]
        for token in link.tokens:
            self._by_token.pop(token, None)
        if link.peer is not None:
            names = self._by_peer[link.peer]
            names.remove(link.link_id)
            if not names:
                del self._by_peer[link.peer]

    def get(self, link_id: LinkId | None) -> Link | None:
        """Return a link by its name."""
        return None if link_id is None else self._links.get(link_id)

    def all(self) -> list[Link]:
        """Return every link, oldest first."""
        return list(self._links.values())

    def with_peer(self, peer: NodeId) -> list[Link]:
        """Return the links with a relay, oldest first."""
        return [self._links[name] for name in self._by_peer.get(peer, ())]

    def best_with(self, peer: NodeId, port: int | None = None) -> Link | None:
        """Return the most useful link with a relay, the newest of several.

        With a port, only links with its worker at that port count.

        One that is up and answers; else one that we began and that will come up, or
        again; never one that the peer began and does not answer on: it may be long
        before that is given up, and meanwhile we can begin another.
        """
        links = self.with_peer(peer)
        if port is not None:
            links = [link for link in links if link.address[1] == port]
        up = [link for link in links if link.is_good]
        best = up or [link for link in links if link.is_initiator]
        return best[-1] if best else None

    def add_token(self, link_id: LinkId, token: bytes) -> None:
        """Let ``token`` continue a link, as its newest; an unknown link is fine."""
        link = self._links.get(link_id)
        if link is None:
            return
        name = sha256(token)
        self._by_token[name] = link_id
        if name in link.tokens:
            link.tokens.remove(name)
        link.tokens.append(name)
        while len(link.tokens) > MAX_TOKENS:
            self._by_token.pop(link.tokens.popleft(), None)

    def of_token(self, token: bytes, peer: NodeId | None) -> LinkId | None:
        """Return the link that ``token`` continues, if it is with ``peer``."""
        link = self.get(self._by_token.get(sha256(token)))
        return None if link is None or link.peer != peer else link.link_id
