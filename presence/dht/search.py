"""One look-up for a reader: a crawl under its nonce, then what voices claim besides.

The crawl asks each member for the newest record and has it sign for all it holds. What
the voices claim in further slots is fetched from those who claim it, at most two, when
the reader asks for that slot. Whoever signed for what it does not give, gave junk, or is
behind the others for a minute, is blamed (`presence.dht.reputation`).

While the list is too old to be relied on, three crawls run along disjoint paths, each
from a third of the seeds and by what its own members name; no member is asked by two.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from kademlia.node import Node

from presence.config import DhtConfig
from presence.dht.findings import LookupResult, Reply, merge
from presence.dht.lookup import Lookup
from presence.dht.members import Members
from presence.dht.messages import FindValue, SlotWanted, Value
from presence.dht.protocol import FAR_FACTOR, PresenceProtocol
from presence.dht.reputation import Fault
from psp.netdoc.presence_record import (
    SLOTS,
    OuterRecord,
    RecordRefusedError,
    Refusal,
)
from psp.netdoc.voice import Question
from psp.units import Seconds
from psp.wire.lookup import ANY_SLOT

Parse = Callable[[bytes, bytes], OuterRecord]
"""Takes raw bytes and the location they must belong to; may refuse."""

MAX_CLAIMERS = 2
"""Members asked for what they claim in a further slot."""
STALE_AFTER = Seconds(60)
"""A record that is this old has reached everybody who is to hold it."""
_UNTIMELY = {Refusal.EXPIRED, Refusal.FUTURE, Refusal.UNKNOWN_DAY}
"""Not the giver's fault: its clock differs from ours, or its knowledge of the chain."""


class Search:
    """A look-up under way; our own store is one voice, never a short cut.

    Attributes:
        question: What every voice answers.
        crawl: Ends with the final result.
    """

    def __init__(
        self,
        question: Question,
        *,
        config: DhtConfig,
        protocol: PresenceProtocol,
        members: Members,
        parse: Parse,
        unix_time: Callable[[], float],
    ) -> None:
        """Begin it.

        Args:
            question: Network, location and the reader's nonce.
            config: Width and bounds.
            protocol: Asks.
            members: Who can be asked.
            parse: Checks records at the present time.
            unix_time: The wall clock.
        """
        self.question = question
        self._config = config
        self._protocol = protocol
        self._members = members
        self._parse = parse
        self._unix_time = unix_time
        self._further: dict[int, asyncio.Task[OuterRecord | None]] = {}
        self._paths = self._make_paths()
        self._count_own(self._paths[0])
        self.crawl = protocol.spawn(self._run())

    def result(self) -> LookupResult:
        """Return what is known so far."""
        return merge([path.result() for path in self._paths])

    def on_end(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when the crawl has ended."""
        self.crawl.add_done_callback(lambda _: listener())

    async def heard(self, within: Seconds) -> LookupResult:
        """Wait until enough agree, all have been asked, or time is up."""
        ends: set[asyncio.Future[None] | asyncio.Future[LookupResult]] = {self.crawl}
        if len(self._paths) == 1:
            ends.add(self._paths[0].agreed)
        await asyncio.wait(ends, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        return self.result()

    async def record(self, slot: int, within: Seconds) -> OuterRecord | None:
        """Return the newest record of a slot that anybody gives; `heard` comes first."""
        result = self.result()
        if slot == ANY_SLOT:
            return result.record
        further = self._further.get(slot)
        if further is None:
            further = self._protocol.spawn(self._fetch(slot, result))
            self._further[slot] = further
        await asyncio.wait({further}, timeout=within)
        return further.result() if further.done() else result.of_slot(slot)

    # ---- the crawl

    def _make_paths(self) -> list[Lookup]:
        seeds = self._seeds()
        taken: set[bytes] = set()
        # Without members there is nothing to crawl, along one path or three.
        count = self._config.paths if self._members.is_outdated else 1
        return [self._make_path(seeds[n::count], taken) for n in range(count)]

    def _make_path(self, seeds: Sequence[Node], taken: set[bytes]) -> Lookup:
        members = self._members
        quorum = min(self._config.quorum, max(len(members), 1))
        config = replace(self._config, quorum=quorum)
        is_retiring = None
        if members.retiring_count:
            # Twice as many are asked: in the same time.
            config = replace(config, parallelism=2 * config.parallelism)
            is_retiring = members.is_retiring_contact
        return Lookup(
            self._protocol,
            Node(self.question.location),
            seeds,
            config=config,
            ask=self._ask,
            validate=self._validate,
            is_retiring=is_retiring,
            is_doubted=self._protocol.is_doubted,
            taken=taken,
        )

    def _seeds(self) -> list[Node]:
        # More than will be asked: they take the places of those who do not answer.
        members, location = self._members, self.question.location
        width = FAR_FACTOR * self._config.replicas
        seeds = members.nearest(location, width)
        seeds += members.nearest_retiring(location, width)
        return seeds + self._protocol.router.find_neighbors(Node(location))

    def _count_own(self, path: Lookup) -> None:
        if not self._members.is_serving:
            return
        own = self._protocol.own_record(self.question.location, ANY_SLOT)
        if own is not None:
            path.vote(own, self._members.own_id)
        path.testify(
            self._protocol.own_voice(self.question),
            self._members.own_id,
            is_retiring=not self._members.is_elected,
        )

    async def _run(self) -> LookupResult:
        await asyncio.gather(*(path.find() for path in self._paths))
        result = self.result()
        self._protocol.note_bad(result.bad)
        self._judge(result)
        return result

    async def _ask(self, contact: Node) -> Reply | None:
        answer = await self._request(contact, ANY_SLOT)
        if answer is None:
            return None
        found = map(self._members.contact, answer.nodes)
        node_id = self._members.node_id(contact.id)
        voice = answer.voice(node_id) if node_id is not None else None
        if node_id is None or voice is None or not voice.is_of(node_id, self.question):
            self._protocol.blame(contact.id, Fault.FORGED)
            return None
        return Reply(answer.record, tuple(node for node in found if node), voice)

    async def _request(self, contact: Node, slot: int) -> Value | None:
        wanted: SlotWanted = slot  # type: ignore[assignment]  # checked when decoded
        question = FindValue(self.question.location, wanted, self.question.nonce)
        answer = await self._protocol.request(contact, question)
        return answer if isinstance(answer, Value) else None

    def _validate(self, raw: bytes) -> OuterRecord:
        outer = self._parse(raw, self.question.location)
        if outer.head.slot >= SLOTS:
            raise RecordRefusedError(Refusal.FORM)
        return outer

    # ---- what is claimed besides

    async def _fetch(self, slot: int, result: LookupResult) -> OuterRecord | None:
        best = result.of_slot(slot)
        claimers = self._claimers(slot, result)
        for given in await asyncio.gather(
            *(self._fetch_from(member, slot, claim) for member, claim in claimers)
        ):
            if given is not None and (
                best is None or given.head.sequence > best.head.sequence
            ):
                best = given
        return best

    def _claimers(self, slot: int, result: LookupResult) -> list[tuple[bytes, int]]:
        """Return whom to ask for a slot, and what they claim.

        The claim that most members share comes first, then the newest other one: that
        liars claim something must not keep us from what the others have. What we hold
        ourselves need not be fetched.
        """
        known = result.sequence(slot)
        by_claim: dict[int, list[bytes]] = defaultdict(list)
        for each in result.testimonies:
            if each.voice.holds(slot) > known:
                by_claim[each.voice.holds(slot)].append(each.member)
        if not by_claim:
            return []
        most = max(by_claim, key=lambda claim: (len(by_claim[claim]), claim))
        own = self._members.own_id
        holders = sorted(by_claim[most], key=lambda member: member != own)
        chosen = [(holders[0], most)]
        others = sorted(claim for claim in by_claim if claim != most)
        if others:
            chosen.append((by_claim[others[-1]][0], others[-1]))
        elif holders[0] != own and len(holders) > 1:
            chosen.append((holders[1], most))
        return chosen[:MAX_CLAIMERS]

    async def _fetch_from(
        self, member: bytes, slot: int, claim: int
    ) -> OuterRecord | None:
        location = self.question.location
        if member == self._members.own_id:
            return self._protocol.own_record(location, slot)
        answer = await self._request(Node(member), slot)
        if answer is None:
            return None  # silence is judged elsewhere
        outer = None
        try:
            outer = self._parse(answer.record or b"", location)
        except RecordRefusedError as refused:
            self._protocol.note_bad([refused.reason])
            if refused.reason in _UNTIMELY:
                return None
        if outer is None or outer.head.slot != slot or outer.head.sequence < claim:
            self._protocol.blame(member, Fault.WITHHELD)
        return outer if outer is not None and outer.head.slot == slot else None

    def _judge(self, result: LookupResult) -> None:
        """Blame who gave less than it signed for, or is behind the others."""
        newest = result.record
        is_settled = (
            newest is not None
            and self._unix_time() - newest.head.issued > STALE_AFTER
            and not self._members.is_changing
        )
        for each in result.testimonies:
            if each.member == self._members.own_id:
                continue
            claim = max(each.voice.sequences[:SLOTS])
            given = 0 if each.record is None else each.record.head.sequence
            if each.refusal in _UNTIMELY:
                continue
            if each.refusal is not None:
                self._protocol.blame(each.member, Fault.FORGED)
            elif given < claim:
                self._protocol.blame(each.member, Fault.WITHHELD)
            elif (
                newest is not None
                and is_settled
                and each.voice.holds(newest.head.slot) < newest.head.sequence
                and self._members.is_near(each.member, self.question.location)
            ):
                self._protocol.blame(each.member, Fault.STALE)
