"""Bringing records to the members that are to hold them after an election.

::

    holder --OFFER: 16 locations, and what is held there--> newcomer
           <--WANTED: what it lacks------------------------
           --HAND OVER: a record, and who published it---->     each of these
           <--STORED---------------------------------------

Every node that holds a location, retiring or staying, does this for each member that is
among the r nearest now and was not before. It is over when every newcomer has said that
it lacks nothing; whoever is silent, or does not know yet that it is elected, is tried
again until it does or nothing may be handed over any longer.

So that a newcomer is not sent everything by everybody, there are r turns: at each of
them the r holders of a location have different newcomers, and what they offer at later
turns is mostly there.

What is stored with a node although others are to hold it, by one who does not know the
new list, is passed on likewise, some seconds later. Bounds: as many locations as the
store holds, r members for each; `DhtConfig` has the pace.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from kademlia.node import Node

from presence.config import DhtConfig
from presence.dht.members import Members
from presence.dht.messages import (
    HELD_SLOTS,
    MAX_OFFERED,
    Answer,
    HandOver,
    Offer,
    Refused,
    Stored,
    Wanted,
)
from presence.dht.protocol import PresenceProtocol
from presence.limits import Pace
from presence.record_store import HeldRecord, RecordStore
from presence.stats import PresenceStats
from psp.units import Monotonic, Seconds

_REASONS = frozenset({"not_member", "stranger", "too_often"})
_PORTION = 100
"""Locations planned before others get their turn: 5 ms."""

_Work = dict[bytes, dict[bytes, None]]
"""Locations by the DHT id of the member that is to hold them."""
_Offered = list[tuple[bytes, list[HeldRecord]]]


class HandOvers:
    """Hands over what this node holds, whenever the list changes."""

    def __init__(
        self,
        config: DhtConfig,
        *,
        members: Members,
        records: RecordStore,
        protocol: PresenceProtocol,
        stats: PresenceStats,
        unix_time: Callable[[], float],
    ) -> None:
        """Wire the parts; `run` does the work."""
        self._config = config
        self._members = members
        self._records = records
        self._protocol = protocol
        self._stats = stats
        self._unix_time = unix_time
        self._version = members.version
        self._turns: list[_Work] = [{} for _ in range(config.replicas)]
        self._room = asyncio.Semaphore(config.handover_concurrency)
        self._pace = Pace(config.handover_rate)
        self._paces: dict[bytes, Pace] = {}
        self._wait = config.handover_retry
        self._try_at = self._pass_on_at = Monotonic(0.0)

    @property
    def size(self) -> int:
        """How often a location is still to be offered to a member."""
        return sum(len(each) for work in self._turns for each in work.values())

    async def run(self) -> None:
        """Watch the list and hand over, for ever."""
        while True:
            await asyncio.sleep(self._config.watch_interval)
            await self._watch()
            if self.size and _now() >= self._try_at:
                await self._try()
            self._end()

    async def _watch(self) -> None:
        if self._members.version != self._version:
            has_more = bool(self.size or self._protocol.misplaced)
            if self.size:
                self._stats.handovers["superseded"] += 1
            self._clear()
            self._version = self._members.version
            self._wait = self._config.handover_retry
            self._protocol.sync()
            # Who retired earlier, and has handed over, has nothing that others lack.
            if has_more or self._members.was_elected:
                await self._plan(self._records.locations())
        elif self._protocol.misplaced and _now() >= self._pass_on_at:
            self._pass_on_at = Monotonic(_now() + self._config.forward_after)
            misplaced = list(self._protocol.misplaced)
            self._protocol.misplaced.clear()
            await self._plan(misplaced)

    async def _plan(self, locations: Iterable[bytes]) -> None:
        for number, location in enumerate(locations, 1):
            newcomers = self._members.newcomers(location, self._config.replicas)
            for work, node in zip(self._turns, newcomers, strict=True):
                if node is not None:
                    work.setdefault(node.id, {})[location] = None
            if number % _PORTION == 0:
                await asyncio.sleep(0)
        self._try_at = _now()

    async def _try(self) -> None:
        """Go to every member that has not all yet, once."""
        silent: set[bytes] = set()
        start = _now()
        for turn, work in enumerate(self._turns):
            if not work:
                continue
            begins = start + turn * self._config.handover_turn
            await asyncio.sleep(max(begins - _now(), 0))
            if self._members.version != self._version:
                return
            able = [target for target in work if target not in silent]
            offers = (self._serve(target, work[target]) for target in able)
            for target, is_done in zip(
                able, await asyncio.gather(*offers), strict=True
            ):
                if is_done:
                    del work[target]
                else:
                    silent.add(target)
        if self.size:
            self._try_at = Monotonic(_now() + self._wait)
            longest = self._config.longest_handover_retry
            self._wait = Seconds(min(2 * self._wait, longest))
        else:
            self._stats.handovers["done"] += 1

    def _end(self) -> None:
        """Give up what may not be handed over any longer, and lay the role down."""
        if self.size and not self._members.is_changing:
            self._stats.handovers["out_of_time"] += 1
            self._clear()
        has_handed_over = not self.size and not self._protocol.misplaced
        if self._members.may_lay_down(has_handed_over=has_handed_over):
            self._members.lay_down()
            self._records.clear()
            self._protocol.misplaced.clear()
            self._clear()

    def _clear(self) -> None:
        for work in self._turns:
            work.clear()
        self._paces.clear()

    # ---- one member

    async def _serve(self, target: bytes, locations: dict[bytes, None]) -> bool:
        """Offer a member what it is to hold; return whether it has all of it now."""
        async with self._room:
            while locations:
                if self._members.version != self._version:
                    return False
                batch = list(islice(locations, MAX_OFFERED))
                now = self._unix_time()
                held = [(each, self._records.held(each, now)) for each in batch]
                failure = await self._offer(target, [each for each in held if each[1]])
                if failure:
                    self._stats.handover_failed[failure] += 1
                    return False
                for location in batch:
                    del locations[location]
        return True

    async def _offer(self, target: bytes, held: _Offered) -> str:
        """Offer some locations and give what is wanted; return what went wrong."""
        if not held:
            return ""
        offered = tuple(
            (location, tuple(map(_number, each))) for location, each in held
        )
        answer = await self._ask(target, Offer(offered))
        if not isinstance(answer, Wanted):
            return _failure(answer)
        wanted = iter(_chosen(held, answer))
        while portion := list(islice(wanted, self._config.handover_batch)):
            gifts = (self._give(target, *each) for each in portion)
            if failures := [each for each in await asyncio.gather(*gifts) if each]:
                return failures[0]
        return ""

    async def _give(self, target: bytes, location: bytes, held: HeldRecord) -> str:
        message = HandOver(location, held.raw, held.publisher)
        answer = await self._ask(target, message)
        if not isinstance(answer, Stored):
            return _failure(answer)
        self._stats.records_handed_over[answer.refusal or "stored"] += 1
        return ""

    async def _ask(self, target: bytes, message: Offer | HandOver) -> Answer | None:
        pace = self._paces.get(target)
        if pace is None:
            pace = Pace(self._config.handover_rate_per_member)
            self._paces[target] = pace
        await asyncio.sleep(max(pace.delay(_now()), self._pace.delay(_now())))
        return await self._protocol.request(Node(target), message)


def _number(held: HeldRecord) -> tuple[int, int]:
    return held.slot, held.sequence


def _chosen(held: _Offered, wanted: Wanted) -> Iterable[tuple[bytes, HeldRecord]]:
    """Yield what is wanted of what was offered, each once."""
    for number in dict.fromkeys(wanted.numbers):
        place, slot = divmod(number, HELD_SLOTS)
        if place < len(held):
            location, records = held[place]
            for each in records:
                if each.slot == slot:
                    yield location, each


def _failure(answer: Answer | None) -> str:
    if isinstance(answer, Refused) and answer.reason in _REASONS:
        return answer.reason
    return "silent" if answer is None else "malformed"


def _now() -> Monotonic:
    return Monotonic(asyncio.get_running_loop().time())
