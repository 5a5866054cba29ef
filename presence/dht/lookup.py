"""Crawling towards a location: find a record, or store one, on the r nearest members.

Differs from stock's spiders:

* no rounds: whoever is late by the soft timeout gives up its place, and may still
  answer;
* every record is validated before it counts, the newest counts, and the crawl goes on
  to the r nearest that answer; `Lookup.agreed` tells when a quorum is of one mind;
* only members enter, at most ``max_requests`` are asked, and no answer can break it;
* while an election is fresh the retiring nodes are asked, too: the nearest 2 r of all
  and at least r of either kind. Then it takes voices of either kind to be sure, as the
  newest record may lie with one of them only;
* a member that is doubted (`presence.dht.reputation`) is asked beside the others, and
  takes nobody's place.
"""

import asyncio
import enum
from bisect import insort
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from kademlia.crawling import SpiderCrawl
from kademlia.node import Node

from presence.config import DhtConfig
from presence.dht.findings import LookupResult, Reply, Testimony, Votes
from psp.netdoc.presence_record import (
    OuterRecord,
    RecordRefusedError,
    Refusal,
    newest,
)
from psp.netdoc.voice import Voice

ResultT = TypeVar("ResultT")

_TICK = 0.001
"""Least seconds to wait: a rest that rounding leaves over must not become a busy loop."""
_SURE = 2
"""Voices after which late nodes are waited for no longer."""


Ask = Callable[[Node], Coroutine[object, object, Reply | None]]
"""Asks one member; None counts as a failure."""

Validate = Callable[[bytes], OuterRecord]
"""Raises `RecordRefusedError` for whatever is not a record of what is looked up."""


class Surroundings(Protocol):
    """What a crawl needs of whoever runs it."""

    @property
    def soft_timeout(self) -> float:
        """Seconds after which an answer is late."""
        ...

    def spawn(
        self, work: Coroutine[object, object, ResultT]
    ) -> "asyncio.Task[ResultT]":
        """Run a request until it ends; the crawl may end before."""
        ...


class _State(enum.Enum):
    ASKED = enum.auto()
    LATE = enum.auto()
    ANSWERED = enum.auto()
    FAILED = enum.auto()


@dataclass(slots=True)
class _Pending:
    node: Node
    asked_at: float


class Lookup(SpiderCrawl):  # type: ignore[misc]  # kademlia has no types
    """One crawl; use once.

    Attributes:
        agreed: Done when a quorum gave the same newest record.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        target: Node,
        seeds: Iterable[Node],
        *,
        config: DhtConfig,
        ask: Ask,
        validate: Validate | None = None,
        is_retiring: Callable[[bytes], bool] | None = None,
        is_doubted: Callable[[bytes], bool] | None = None,
        taken: set[bytes] | None = None,
    ) -> None:
        """Prepare a crawl.

        Args:
            surroundings: Runs the requests and knows when they are late.
            target: Where to.
            seeds: Members to begin with, in any order.
            config: Width, parallelism, quorum and bounds.
            ask: What to ask each of them.
            validate: Checks records; None when no records are looked for.
            is_retiring: Tells by DHT id who is asked only because an election is
                fresh; None when nobody is.
            is_doubted: Tells by DHT id who is asked beside the others only.
            taken: Members that crawls along disjoint paths have asked: each is asked
                by one of them.
        """
        super().__init__(surroundings, target, [], config.replicas, config.parallelism)
        self.agreed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._surroundings = surroundings
        self._config = config
        self._ask = ask
        self._validate = validate
        self._width = config.replicas if is_retiring is None else 2 * config.replicas
        self._is_retiring = is_retiring or _nobody
        self._is_doubted = is_doubted or _nobody
        self._taken = set() if taken is None else taken
        self._order: list[tuple[int, bytes]] = []
        self._nodes: dict[bytes, Node] = {}
        self._states: dict[bytes, _State] = {}
        self._votes = Votes()
        self._checked: dict[bytes, OuterRecord | Refusal] = {}
        self._testimonies: dict[bytes, Testimony] = {}
        self._bad: list[str] = []
        self._pending: dict[asyncio.Task[Reply | None], _Pending] = {}
        for seed in seeds:
            self._add(seed)

    def vote(self, record: OuterRecord, voter: bytes) -> None:
        """Count a record that is already known to be valid."""
        self._votes.add(record, voter)
        self._note_agreement()

    def testify(self, voice: Voice, voter: bytes, *, is_retiring: bool) -> None:
        """Count the voice of this node itself; `vote` for its record before."""
        own = next((r for r, by in self._votes.voters.items() if voter in by), None)
        self._testimonies[voter] = Testimony(voter, voice, own, is_retiring=is_retiring)

    def result(self) -> LookupResult:
        """Return what is known so far."""
        states = list(self._states.values())
        doubted = Counter(
            self._is_retiring(each)
            for each, state in self._states.items()
            if state is _State.ANSWERED and self._is_doubted(each)
        )
        target = self.node
        return LookupResult(
            self._votes.newest(),
            self._votes.count(),
            states.count(_State.ANSWERED),
            len(states),
            tuple(self._bad),
            self._count_answered()[True],
            doubted[False],
            doubted[True],
            tuple(
                sorted(
                    self._testimonies.values(),
                    key=lambda each: target.distance_to(Node(each.member)),
                )
            ),
            tuple(newest(self._votes.voters)),
        )

    async def find(self) -> LookupResult:
        """Crawl to the end; requests still out then end by themselves."""
        while True:
            self._start_requests()
            if not self._pending or self._is_settled():
                return self.result()
            done, _ = await asyncio.wait(
                self._pending,
                timeout=self._patience(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._mark_late()
            for task in [each for each in self._pending if each in done]:
                self._take(self._pending.pop(task).node, task.result())

    def _start_requests(self) -> None:
        now = asyncio.get_running_loop().time()
        free = self.alpha - self._count_asked()
        for node in self._front():
            if free <= 0 or len(self._states) >= self._config.max_requests:
                return
            if node.id in self._states:
                continue
            self._states[node.id] = _State.ASKED
            self._taken.add(node.id)
            task = self._surroundings.spawn(self._ask(node))
            self._pending[task] = _Pending(node, now)
            free -= 1

    def _front(self) -> list[Node]:
        """Return the nearest nodes that have neither failed nor are late."""
        front: list[Node] = []
        width = beside = 0
        taken = {False: 0, True: 0}
        for _, each in self._order:
            state = self._states.get(each)
            if state in {_State.FAILED, _State.LATE}:
                continue
            if state is None and each in self._taken:
                continue
            kind = self._is_retiring(each)
            if width < self._width or taken[kind] < self.ksize:
                front.append(self._nodes[each])
                is_beside = beside < self.ksize and self._is_doubted(each)
                beside += is_beside
                width += not is_beside
                taken[kind] += not is_beside
            elif self._width == self.ksize:
                break
        return front

    def _count_answered(self) -> dict[bool, int]:
        """Count who has answered: elected (False) and retiring (True)."""
        answered = {False: 0, True: 0}
        for each, state in self._states.items():
            answered[self._is_retiring(each)] += state is _State.ANSWERED
        return answered

    def _note_agreement(self) -> None:
        is_new = not self.agreed.done()
        is_enough = self._votes.count() >= self._config.quorum and self._has_voices()
        if is_new and is_enough and self._is_either_heard(self._config.quorum):
            self.agreed.set_result(None)

    def _has_voices(self) -> bool:
        """Tell whether as many have answered as a reader is given voices of."""
        states = list(self._states.values())
        able = len(self._nodes) - states.count(_State.FAILED)
        return states.count(_State.ANSWERED) >= min(self._config.voices, able)

    def _is_absence_clear(self) -> bool:
        """Tell whether almost all that should hold a record say that they do not."""
        answered, nearest = Counter[bool](), Counter[bool]()
        for _, each in self._order:
            kind = self._is_retiring(each)
            if nearest[kind] < self.ksize:
                nearest[kind] += 1
                answered[kind] += self._states.get(each) is _State.ANSWERED
        return all(
            answered[kind] >= min(self._config.voices, count)
            for kind, count in nearest.items()
        )

    def _is_either_heard(self, enough: int) -> bool:
        """Tell whether so many of either kind have answered, where so many may."""
        if self._width == self.ksize:
            return True
        failed = {e for e, state in self._states.items() if state is _State.FAILED}
        known = Counter(self._is_retiring(each) for each in self._nodes.keys() - failed)
        answered = self._count_answered()
        return all(
            answered[kind] >= min(enough, count) for kind, count in known.items()
        )

    def _count_asked(self) -> int:
        pending = self._pending.values()
        return sum(self._states[each.node.id] is _State.ASKED for each in pending)

    def _is_settled(self) -> bool:
        """Tell whether only late nodes are missing, and the answer does not need them."""
        if self._count_asked():
            return False
        if self._validate is None:
            return True
        if not self._votes.voters:
            return self._is_absence_clear()
        return self._votes.count() >= _SURE and self._is_either_heard(_SURE)

    def _patience(self) -> float | None:
        """Return the seconds until the next node is late; None when all are."""
        now = asyncio.get_running_loop().time()
        due = [
            pending.asked_at + self._surroundings.soft_timeout - now
            for pending in self._pending.values()
            if self._states[pending.node.id] is _State.ASKED
        ]
        return max(min(due), _TICK) if due else None

    def _mark_late(self) -> None:
        now = asyncio.get_running_loop().time()
        soft_timeout = self._surroundings.soft_timeout
        for task, pending in self._pending.items():
            is_asked = self._states[pending.node.id] is _State.ASKED
            is_due = pending.asked_at + soft_timeout <= now
            if is_asked and is_due and not task.done():
                self._states[pending.node.id] = _State.LATE

    def _take(self, node: Node, reply: Reply | None) -> None:
        if reply is None:
            self._states[node.id] = _State.FAILED
            return
        self._states[node.id] = _State.ANSWERED
        record = refusal = None
        if reply.record is not None and self._validate is not None:
            judged = self._check(reply.record, self._validate)
            if isinstance(judged, OuterRecord):
                record = judged
                self.vote(record, node.id)
            else:
                refusal = judged
        if reply.voice is not None:
            self._testimonies[node.id] = Testimony(
                node.id,
                reply.voice,
                record,
                refusal=refusal,
                is_retiring=self._is_retiring(node.id),
                is_doubted=self._is_doubted(node.id),
            )
        for contact in reply.contacts:
            self._add(contact)
        self._note_agreement()

    def _check(self, raw: bytes, validate: Validate) -> OuterRecord | Refusal:
        """Return the record, or why it is none; each is verified once."""
        judged = self._checked.get(raw)
        if judged is None:
            try:
                judged = validate(raw)
            except RecordRefusedError as refused:
                judged = refused.reason
                self._bad.append(judged)
            self._checked[raw] = judged
        return judged

    def _add(self, node: Node) -> None:
        if node.id not in self._nodes:
            self._nodes[node.id] = node
            insort(self._order, (self.node.distance_to(node), node.id))


def _nobody(contact_id: bytes) -> bool:
    del contact_id
    return False
