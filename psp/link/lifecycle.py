"""The lives of links: begun, given keys, renewed, ended.

Shared by the two halves of the machine: what comes from the owner and what comes from
the socket. It holds every link, every receiver index and every deadline.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from psp.crypto.keys import SigningKey, link_public
from psp.entropy import Entropy
from psp.errors import LocalProtocolError
from psp.ids import LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.events import CloseReason, LinkClosed, LinkEvent, LinkOpened
from psp.link.indexes import Indexes
from psp.link.initiator import Agreed, Attempt, Dial, Dialer, Target
from psp.link.keypair import Keypair
from psp.link.link import NEVER, Link
from psp.link.responder import Doors, HalfOpen, Responder
from psp.link.stats import LinkStats
from psp.link.table import LinkTable
from psp.link.upkeep import Need, next_due, upkeep
from psp.sansio import Address, Train
from psp.timers import Deadlines
from psp.units import Monotonic
from psp.wire.network import Network

MAX_LINKS_FROM_PEER = 16
"""Links that one relay may keep with us: one from each of its workers, as many as its
record has endpoints. The oldest goes first."""


class Session(NamedTuple):
    """Keys that carry a link's cells.

    Attributes:
        keypair: The keys.
        link: The link.
    """

    keypair: Keypair
    link: Link


Owner = Session | Attempt | HalfOpen
"""What a receiver index leads to."""


class Lifecycle:
    """Every link of one machine.

    Attributes:
        table: The links.
        indexes: Receiver indexes and what they lead to.
        responder: Answers handshakes; None for a client.
        deadlines: When each link is to be tended.
        events: For the owner; at most two per link until it reads them.
        trains: Sealed and ready to go.
        unflushed: Links with something to seal.
    """

    def __init__(
        self,
        config: LinkConfig,
        *,
        network: Network,
        entropy: Entropy,
        identity: SigningKey | None,
        own_port: int,
        peer_of_static: Callable[[bytes], NodeId | None],
        unix_time: Callable[[], float],
        stats: LinkStats,
    ) -> None:
        self.table = LinkTable()
        self.indexes: Indexes[Owner] = Indexes(entropy)
        self.deadlines: Deadlines[LinkId] = Deadlines()
        self.events: deque[LinkEvent] = deque()
        self.trains: list[Train] = []
        self.unflushed: dict[LinkId, Link] = {}
        self.responder: Responder | None = None
        self._config = config
        self._entropy = entropy
        self._is_client = identity is None
        self._stats = stats
        self._dialer = Dialer(
            config,
            network=network,
            identity=identity,
            entropy=entropy,
            unix_time=unix_time,
            indexes=self.indexes,
            stats=stats,
        )
        if identity is not None:
            self.responder = Responder(
                config,
                network=network,
                identity=identity,
                own_port=own_port,
                entropy=entropy,
                peer_of_static=peer_of_static,
                doors=Doors(
                    draw_index=self.indexes.draw,
                    give_index=self.indexes.give,
                    release_index=self.indexes.release,
                    resumable=self.table.of_token,
                    add_token=self.table.add_token,
                    is_full=self.is_full,
                ),
                stats=stats,
            )

    def is_full(self) -> bool:
        """Tell whether there are as many links as there may be."""
        return len(self.table) >= self._config.max_links

    # Beginning and end.

    def start(
        self, peer: NodeId, addresses: Sequence[Address], now: Monotonic
    ) -> LinkId:
        """Begin a link to a relay.

        Raises:
            DecodeError: If ``peer`` is no usable key.
        """
        link_public(peer)
        link = self._new_link(peer, addresses, now, is_initiator=True)
        self.dial(link, now, is_failover=False)
        self.settle(link, now)
        return link.link_id

    def bury(self, link: Link, reason: CloseReason) -> None:
        """End a link; the owner is told."""
        self.table.remove(link)
        self.deadlines.cancel(link.link_id)
        self.unflushed.pop(link.link_id, None)
        if link.dial is not None:
            link.dial.end()
        for keypair in (link.current, link.previous, *link.retired):
            if keypair is not None:
                self.indexes.release(keypair.local_index)
        self._stats.closed += 1
        self.events.append(LinkClosed(link.link_id, link.peer, reason))

    def _new_link(
        self,
        peer: NodeId | None,
        addresses: Sequence[Address],
        now: Monotonic,
        *,
        is_initiator: bool,
    ) -> Link:
        link = Link(
            self.table.new_id(),
            peer=peer,
            is_initiator=is_initiator,
            is_client=self._is_client or peer is None,
            endpoints=addresses,
            config=self._config,
            entropy=self._entropy,
            stats=self._stats,
            now=now,
        )
        self.table.add(link)
        return link

    # Time.

    def tend(self, link: Link, now: Monotonic) -> None:
        """Do what is due on a link."""
        match upkeep(link, now):
            case Need.NOTHING:
                pass
            case Need.KEYS:
                self.dial(link, now, is_failover=False)
            case Need.ANOTHER_PATH:
                self.dial(link, now, is_failover=True)
            case Need.BURIAL:
                is_ours = link.is_initiator
                reason = CloseReason.UNREACHABLE if is_ours else CloseReason.SILENT
                self.bury(link, reason)
                return
        if link.dial is not None:
            link.dial.handle_timeout(now)
        self.settle(link, now)

    def settle(self, link: Link, now: Monotonic) -> None:
        """Send what a link has, forget its old keys and arm its deadline."""
        dial = link.dial
        if dial is not None and dial.packets:
            for address, packet in dial.packets:
                self.trains.append(Train(address, [packet], 1))
            dial.packets.clear()
        if link.retired:
            for keypair in link.retired:
                self.indexes.release(keypair.local_index)
            link.retired.clear()
        if link.has_output:
            self.trains += link.flush(now)
            self.unflushed.pop(link.link_id, None)
        self.arm(link)

    def arm(self, link: Link) -> None:
        """Have a link tended when it next needs it."""
        due = next_due(link)
        if due != link.wake:
            link.wake = due
            if due < NEVER:
                self.deadlines.set(link.link_id, due)
            else:
                self.deadlines.cancel(link.link_id)

    def wake_within(self, link: Link, wait: float, now: Monotonic) -> None:
        """Have a link tended ``wait`` from now at the latest; cheap if it is so."""
        if now + wait < link.wake:
            link.wake = Monotonic(now + wait)
            self.deadlines.set(link.link_id, link.wake)

    # Keys.

    def dial(self, link: Link, now: Monotonic, *, is_failover: bool) -> None:
        """Begin a handshake for a link that we started."""
        if link.peer is None:
            raise LocalProtocolError("nobody calls a client back")
        addresses = link.endpoints
        if link.address in addresses:
            # The endpoint in use is the first to try.
            turn = addresses.index(link.address)
            addresses = addresses[turn:] + addresses[:turn]
        link.dial = Dial(
            self._dialer,
            Target(link.link_id, link_public(link.peer), addresses, link.cookies),
            resume_token=link.resume_token,
            is_failover=is_failover,
            now=now,
        )
        link.dial.handle_timeout(now)

    def agree(self, attempt: Attempt, agreed: Agreed, now: Monotonic) -> None:
        """Give a link the keys of the handshake that we began for it."""
        link = self.table.get(attempt.dial.target.link)
        attempt.dial.end()
        if link is None or link.peer is None:
            self.indexes.release(agreed.keypair.local_index)
            return
        is_new = link.opened_at is None
        if not is_new and not agreed.is_resumed:
            peer, endpoints, cookies = link.peer, link.endpoints, link.cookies
            self.bury(link, CloseReason.RESTARTED)
            link = self._new_link(peer, endpoints, now, is_initiator=True)
            link.cookies.update(cookies)
            is_new = True
        link.liveness.sample(agreed.rtt)
        self._give(link, agreed.keypair, agreed.address, now, is_new=is_new)

    def confirm(self, half_open: HalfOpen, now: Monotonic) -> Session | None:
        """Give a link the keys that its initiator has just used for the first time.

        Returns:
            The session; None when the link that was to go on is gone.
        """
        if self.responder is None or half_open.hybrid is None:
            return None
        is_new = half_open.resumed is None
        link = self.table.get(half_open.resumed)
        if link is None and (not is_new or self.is_full()):
            self.responder.drop(half_open)
            return None
        self.responder.finish(half_open)
        if link is None:
            source = [half_open.source]
            link = self._new_link(half_open.peer, source, now, is_initiator=False)
            self._replace(link)
        self.table.add_token(link.link_id, half_open.hybrid.resume_token)
        return self._give(link, half_open.hybrid, half_open.source, now, is_new=is_new)

    def _give(
        self,
        link: Link,
        keypair: Keypair,
        address: Address,
        now: Monotonic,
        *,
        is_new: bool,
    ) -> Session:
        session = Session(keypair, link)
        self.indexes.give(keypair.local_index, session)
        link.adopt(keypair, address, now)
        if is_new:
            self._stats.opened += 1
            opened = LinkOpened(link.link_id, link.peer, link.is_initiator)
            self.events.append(opened)
        else:
            self._stats.resumed += 1
        self.settle(link, now)
        return session

    def _replace(self, newest: Link) -> None:
        # A relay opens a second link from one worker only when it has lost the first.
        if newest.peer is None:
            return
        port, others = newest.address[1], []
        for link in self.table.with_peer(newest.peer):
            if link is newest or link.is_initiator:
                continue
            if link.address[1] == port:
                self.bury(link, CloseReason.REPLACED)
            else:
                others.append(link)
        for link in others[: max(0, len(others) + 1 - MAX_LINKS_FROM_PEER)]:
            self.bury(link, CloseReason.REPLACED)
