"""Asking and answering DHT messages over the relays' links.

rpcudp's part is replaced altogether: no datagram, no message id, no call by name. A
request is one SERVICE cell on an authenticated link and so is its answer; who asks is
who the link says, whatever the message claims.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import NoReturn, TypeVar

from kademlia.node import Node
from kademlia.protocol import KademliaProtocol

from presence.config import DhtConfig
from presence.dht.members import Members
from presence.dht.messages import (
    ANSWER_NODES,
    HELD_SLOTS,
    Answer,
    FindNode,
    FindValue,
    HandOver,
    Nodes,
    Offer,
    Ping,
    Pong,
    Refused,
    Request,
    Store,
    Stored,
    Value,
    Wanted,
    decode_answer,
    decode_request,
    encode,
)
from presence.dht.reputation import Fault, Reputations
from presence.dht.storage import ShutStorage
from presence.dht.table import PresenceTable
from presence.limits import TokenBuckets
from presence.record_store import HeldRecord, RecordStore
from presence.stats import PresenceStats
from psp.crypto.keys import SigningKey
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.netdoc.presence_record import SLOTS, OuterRecord
from psp.netdoc.voice import Question, Voice
from psp.runtime.ports import LinkPort
from psp.units import Monotonic, Seconds
from psp.wire.lookup import ANY_SLOT
from psp.wire.network import Network

DHT_SERVICE = 1
"""Number of the DHT in SERVICE cells (SPEC.md §2)."""
_CHECK_INTERVAL = Seconds(60)
"""Between two pings of one contact: full buckets would ask at every message."""
FAR_FACTOR = 4
"""Records lie on the r nearest that answer; among 4 r these are found with half of all
members dead, and lists of different age agree. Beyond, nobody may dump records."""

ResultT = TypeVar("ResultT")


class PresenceProtocol(KademliaProtocol):  # type: ignore[misc]  # no types
    """Both ends of the DHT messages, and the contacts they yield.

    Attributes:
        misplaced: Locations where something was stored with us that others should
            hold, too, by the list that we know: `presence.dht.handover` passes it on.
            No more of them than the store holds.
        reputations: Who gave bad answers lately.
    """

    def __init__(
        self,
        config: DhtConfig,
        *,
        identity: SigningKey,
        network: Network,
        members: Members,
        links: LinkPort,
        records: RecordStore,
        stats: PresenceStats,
        unix_time: Callable[[], float],
    ) -> None:
        super().__init__(Node(members.own_id), ShutStorage(records), config.bucket_size)
        self.router = PresenceTable(self, config.bucket_size, self.source_node)
        self.reputations = Reputations(config.max_peers)
        self._config = config
        self._identity = identity
        self._network = network
        self._members = members
        self._links = links
        self._records = records
        self._stats = stats
        self._unix_time = unix_time
        self.misplaced: dict[bytes, None] = {}
        self._smoothed_rtt = 0.1
        self._rtt_variation = 0.05
        self._strikes: dict[bytes, int] = {}
        self._checked: OrderedDict[bytes, float] = OrderedDict()
        self._tasks: set[asyncio.Task[object]] = set()
        rate, burst = config.requests_per_second, config.request_burst
        self._requests: TokenBuckets[NodeId] = TokenBuckets(
            rate, burst, config.max_peers
        )
        stores = config.stores_per_minute
        self._stores: TokenBuckets[NodeId] = TokenBuckets(
            stores / 60, stores, config.max_peers
        )
        rate = config.handovers_per_second
        self._handovers: TokenBuckets[NodeId] = TokenBuckets(
            rate, 2 * rate, config.max_peers
        )

    def __getattr__(self, name: str) -> NoReturn:
        # rpcudp's turns any misspelt attribute into a call of a remote procedure.
        raise AttributeError(name)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Refuse: the DHT has no socket."""
        del data, addr
        raise LocalProtocolError("the DHT travels on links")

    @property
    def soft_timeout(self) -> float:
        """SRTT + 4 RTTVAR (RFC 6298), within the configured bounds."""
        estimate = self._smoothed_rtt + 4 * self._rtt_variation
        soft, hard = self._config.soft_timeout, self._config.hard_timeout
        return min(max(estimate, soft), hard)

    # ---- asking

    def spawn(
        self, work: Coroutine[object, object, ResultT]
    ) -> "asyncio.Task[ResultT]":
        """Run something until it ends or `close` is called."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End everything that was spawned."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def request(self, contact: Node, message: Request) -> Answer | None:
        """Ask a member; None without a well-formed answer within the hard timeout."""
        node_id = self._members.node_id(contact.id)
        if node_id is None:
            return None
        self._stats.dht_asked += 1
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        within = self._config.hard_timeout
        data = await self._links.request(node_id, DHT_SERVICE, encode(message), within)
        answer = None
        if data is not None:
            self._measure(loop.time() - asked_at)
            try:
                answer = decode_answer(data)
            except DecodeError:
                answer = None
        if not isinstance(answer, Refused):  # it lives, and is no member yet
            self._judge(contact, is_good=answer is not None)
        return answer

    def check_contact(self, node: Node) -> None:
        """Ping a contact, at most once a minute; two failures cost it its place."""
        now = asyncio.get_running_loop().time()
        if now - self._checked.get(node.id, -_CHECK_INTERVAL) < _CHECK_INTERVAL:
            return
        self._checked[node.id] = now
        self._checked.move_to_end(node.id)
        if len(self._checked) > self._config.max_peers:
            self._checked.popitem(last=False)
        _ = self.spawn(self.request(node, Ping()))

    async def call_ping(self, node_to_ask: Node) -> None:
        """Stand in for stock's ping, which nothing here calls."""
        self.check_contact(node_to_ask)

    def welcome_if_new(self, node: Node) -> None:
        """Add a contact that has shown life, if it is elected; hand nothing over."""
        if self._members.contact(node.id) is not None:
            self.router.add_contact(node)

    def sync(self) -> None:
        """Drop contacts that are neither elected nor retiring."""
        for contact in self.router.contacts():
            if self._members.contact(contact.id) is None:
                self.router.remove_contact(contact)
                self._strikes.pop(contact.id, None)

    def _measure(self, round_trip: float) -> None:
        error = round_trip - self._smoothed_rtt
        self._smoothed_rtt += error / 8
        self._rtt_variation += (abs(error) - self._rtt_variation) / 4

    def _judge(self, contact: Node, *, is_good: bool) -> None:
        if is_good:
            self._strikes.pop(contact.id, None)
            self.welcome_if_new(contact)
            return
        self._stats.dht_failed += 1
        strikes = self._strikes.get(contact.id, 0) + 1
        if strikes < self._config.strikes:
            self._strikes[contact.id] = strikes
        else:
            self._strikes.pop(contact.id, None)
            self.router.remove_contact(contact)

    # ---- answering

    async def answer(self, peer: NodeId, data: bytes) -> bytes | None:
        """Answer a relay's request; None for whatever deserves none."""
        now = Monotonic(asyncio.get_running_loop().time())
        if not self._requests.admit(peer, now):
            self._stats.dht_dropped["too_often"] += 1
            return None
        if not self._members.is_serving:
            # Somebody knows more of the last election than we do, or less.
            self._stats.dht_dropped["not_member"] += 1
            return encode(Refused("not_member"))
        try:
            request = decode_request(data)
        except DecodeError:
            self._stats.dht_dropped["malformed"] += 1
            return None
        contact = self._members.contact_of(peer)
        if contact is not None:
            self.welcome_if_new(contact)
        self._stats.dht_requests[type(request).__name__] += 1
        return encode(self._answer(peer, contact, request, now))

    def _answer(
        self, peer: NodeId, contact: Node | None, request: Request, now: Monotonic
    ) -> Answer:
        match request:
            case Ping():
                return Pong()
            case FindNode():
                return Nodes(self._near(request.target, contact))
            case FindValue():
                return self._find_value(request, contact)
            case Store():
                refusal = self._store(peer, request, now)
                self._stats.stores[refusal or "stored"] += 1
                return Stored(refusal)
            case Offer() | HandOver():
                return self._answer_handover(peer, request, now)

    def _find_value(self, request: FindValue, contact: Node | None) -> Value:
        held = self._records.held(request.location, self._unix_time())
        wanted = next((each for each in held if _is_wanted(each, request.slot)), None)
        question = Question(self._network, request.location, request.nonce)
        voice = self._voice(question, held)
        return Value(
            wanted.raw if wanted else None,
            tuple((each.slot, each.sequence) for each in held),
            self._near(request.location, contact),
            voice.time,
            voice.signature,
        )

    def _voice(self, question: Question, held: Iterable[HeldRecord]) -> Voice:
        newest = {each.slot: each.sequence for each in held}
        sequences = [newest.get(slot, 0) for slot in range(HELD_SLOTS)]
        return Voice.of(self._identity, question, self._unix_time(), sequences)

    def _store(self, peer: NodeId, request: Store, now: Monotonic) -> str:
        if not self._members.is_registered(peer):
            return "publisher"
        if not self._stores.admit(peer, now):
            return "too_often"
        return self._put(request.location, request.record, peer)

    def _put(
        self,
        location: bytes,
        record: bytes,
        publisher: NodeId,
        bringer: NodeId | None = None,
    ) -> str:
        if self._is_far(location):
            return "far"
        now = self._unix_time()
        refusal = self._records.put(location, record, publisher, now, bringer=bringer)
        is_ours = self._members.is_among_nearest(location, self._config.replicas)
        is_late = refusal is None and not is_ours and self._members.is_changing
        if is_late and len(self.misplaced) < len(self._records):
            self.misplaced[location] = None
        return refusal or ""

    def _is_far(self, location: bytes) -> bool:
        width = FAR_FACTOR * self._config.replicas
        if self._members.is_among_nearest(location, width):
            return False
        is_retiring = self._members.is_retiring
        return not (is_retiring and self._members.was_among_nearest(location, width))

    def _answer_handover(
        self, peer: NodeId, request: Offer | HandOver, now: Monotonic
    ) -> Answer:
        if not self._members.may_hand_over(peer):
            return Refused("stranger")
        if not self._handovers.admit(peer, now):
            return Refused("too_often")
        if isinstance(request, Offer):
            return Wanted(tuple(self._wanted(request)))
        refusal = "publisher"
        publisher = NodeId(request.publisher)
        if self._members.is_registered(publisher):
            refusal = self._put(request.location, request.record, publisher, peer)
        self._stats.records_taken_over[refusal or "stored"] += 1
        return Stored(refusal)

    def _wanted(self, offer: Offer) -> Iterator[int]:
        now = self._unix_time()
        for place, (location, offered) in enumerate(offer.offered):
            if self._is_far(location):
                continue
            held = self._records.held(location, now)
            newest = {each.slot: each.sequence for each in held}
            for slot, sequence in offered:
                if sequence > newest.get(slot, -1):
                    yield HELD_SLOTS * place + slot

    def _near(self, target: bytes, contact: Node | None) -> tuple[bytes, ...]:
        near = self.router.find_neighbors(Node(target), ANSWER_NODES, contact)
        return tuple(node.id for node in near)

    # ---- our own records

    def own_record(self, location: bytes, slot: int) -> OuterRecord | None:
        """Return what this node holds itself: one voice among others."""
        held = self._records.held(location, self._unix_time())
        wanted = next((each for each in held if _is_wanted(each, slot)), None)
        return wanted.outer(location) if wanted else None

    def own_voice(self, question: Question) -> Voice:
        """Return what this node says itself."""
        held = self._records.held(question.location, self._unix_time())
        return self._voice(question, held)

    def is_doubted(self, contact_id: bytes) -> bool:
        """Tell whether a member has given bad answers lately."""
        now = Monotonic(asyncio.get_running_loop().time())
        return self.reputations.is_doubted(contact_id, now)

    def note_bad(self, reasons: Iterable[str]) -> None:
        """Count records in answers that were refused."""
        self._stats.records_bad.update(reasons)

    def blame(self, contact_id: bytes, fault: Fault) -> None:
        """Note a bad answer of a member."""
        now = Monotonic(asyncio.get_running_loop().time())
        if self.reputations.blame(contact_id, fault, now):
            self._stats.members_blamed[fault] += 1


def _is_wanted(held: HeldRecord, slot: int) -> bool:
    return held.slot == slot or (slot == ANY_SLOT and held.slot < SLOTS)
