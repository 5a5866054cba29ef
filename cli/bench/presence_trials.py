"""Look-ups by strangers while discovery nodes are dead or malicious: who is believed?

Every user has an old and a new record, both valid. A trial is one look-up by a client
that has never heard of the user, over real circuits; it succeeds if the answer is *on
line* and its newest record is the new one.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cli.bench.presence_town import Expected, Publisher, publish_versions, stranger
from cli.testbed.behaviours import Behaviour
from cli.testbed.network import Testbed
from psp.client.api import Client
from psp.client.lookups.lookup import LookupResult
from psp.directory.dht_id import REPLICAS, dht_id
from psp.ids import NodeId
from psp.netdoc.presence_record import locations_at

USERS_PER_ROUND = 200
LOOKUPS_PER_CLIENT = 25
"""A guard lets a client build 90 circuits at once, and 3 a second then."""
AT_ONCE = 8
"""Clients that look up at the same time."""
AT_ONCE_WITH_DEAD = 12
"""They mostly wait for relays that are gone."""

DEAD_SHARE = 0.3
BAD_SHARE = 0.2
BAD_MIX = (
    Behaviour.GARBAGE,
    Behaviour.STALE,
    Behaviour.REFUSE,
    Behaviour.LIE,
    Behaviour.WITHHOLD,
    Behaviour.BOAST,
    Behaviour.STALE,
)
"""One each, in turn; two show the past: only they can make a look-up wrong."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """How trials ended.

    Attributes:
        outcomes: ``newest``, ``older``, or the state that was told instead.
        failures: What is known of some that were not ``newest``, in words.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def trials(self) -> int:
        """How many there were."""
        return self.outcomes.total()

    @property
    def success(self) -> float:
        """Share of those that returned the newest record."""
        return self.outcomes["newest"] / max(self.trials, 1)


def share_of(nodes: int, share: float) -> int:
    """Return how many nodes are at least this share of all."""
    return -int(-nodes * share // 1)


async def with_dead(
    bed: Testbed, trials: int, tally: Tally, *, dice: random.Random, say: Say
) -> None:
    """Kill 30 % of the discovery nodes after everything is published; look up."""
    publisher = Publisher(bed)
    while tally.trials < trials:
        for node_id in bed.discovery_nodes:
            if node_id not in bed.alive:
                await bed.restart(node_id)
        wanted = min(USERS_PER_ROUND, trials - tally.trials)
        expected = await publish_versions(bed, publisher, wanted)
        dead = dice.sample(
            bed.discovery_nodes, share_of(len(bed.discovery_nodes), DEAD_SHARE)
        )
        for node_id in dead:
            await bed.kill(node_id)
        await look_all_up(bed, expected, tally, blamed=dead, at_once=AT_ONCE_WITH_DEAD)
        say(_words("dead", len(dead), tally))


async def with_bad(
    bed: Testbed,
    trials: int,
    tally: Tally,
    *,
    dice: random.Random,
    say: Say,
    mix: Sequence[Behaviour] = BAD_MIX,
) -> None:
    """Corrupt 20 % of the discovery nodes between old and new records; look up."""
    publisher = Publisher(bed)
    while tally.trials < trials:
        bad = dice.sample(
            bed.discovery_nodes, share_of(len(bed.discovery_nodes), BAD_SHARE)
        )
        wanted = min(USERS_PER_ROUND, trials - tally.trials)
        async with corrupted(bed, bad, mix) as corrupt:
            expected = await publish_versions(bed, publisher, wanted, between=corrupt)
            await look_all_up(bed, expected, tally, blamed=bad)
        say(_words("malicious", len(bad), tally))


@asynccontextmanager
async def corrupted(
    bed: Testbed, nodes: Sequence[NodeId], mix: Sequence[Behaviour]
) -> AsyncIterator[Callable[[], object]]:
    """Yield what corrupts the nodes, each in its way; reform them at the end."""

    async def corrupt() -> None:
        for number, node_id in enumerate(nodes):
            await bed.corrupt(node_id, mix[number % len(mix)])

    try:
        yield corrupt
    finally:
        for node_id in nodes:
            await bed.reform(node_id)


async def look_all_up(
    bed: Testbed,
    expected: Sequence[Expected],
    tally: Tally,
    *,
    blamed: Sequence[NodeId] = (),
    at_once: int = AT_ONCE,
) -> None:
    """Look users up, each once, by clients that share nothing."""
    room = asyncio.Semaphore(at_once)

    async def read(number: int, part: Sequence[Expected]) -> None:
        async with room, stranger(bed, number) as client:
            for each in part:
                await _try(bed, client, each, tally, blamed)

    step = min(LOOKUPS_PER_CLIENT, -(-len(expected) // at_once))
    parts = [expected[start : start + step] for start in range(0, len(expected), step)]
    await asyncio.gather(*(read(number, part) for number, part in enumerate(parts)))


async def _try(
    bed: Testbed,
    client: Client,
    expected: Expected,
    tally: Tally,
    blamed: Sequence[NodeId],
) -> None:
    result = await client.lookup(expected.card)
    outcome = _outcome(result, expected)
    tally.outcomes[outcome] += 1
    if outcome != "newest" and len(tally.failures) < 20:
        near = sorted(_bad_among_nearest(bed, expected, blamed))
        tally.failures.append(
            f"{outcome}: state {result.state}, {result.answers} gateways answered, "
            f"bad or dead among the nearest {REPLICAS}: {', '.join(near) or 'none'}"
        )


def _outcome(result: LookupResult, expected: Expected) -> str:
    if not result.points:
        return result.state.value
    is_newest = result.points[0].head.sequence == expected.sequence
    return "newest" if is_newest else "older"


def _bad_among_nearest(
    bed: Testbed, expected: Expected, blamed: Sequence[NodeId]
) -> list[str]:
    registry = next(iter(bed.alive.values())).registry
    places = locations_at(
        expected.card.credential, bed.unix_time(), registry.random_value
    )
    found = []
    for place in places.values():
        nearest = sorted(
            bed.discovery_nodes,
            key=lambda node: (
                int.from_bytes(dht_id(node, bed.network)) ^ int.from_bytes(place)
            ),
        )[:REPLICAS]
        found += [bed.behaviour(node) or "dead" for node in nearest if node in blamed]
    return found


def _words(what: str, nodes: int, tally: Tally) -> str:
    return (
        f"{tally.trials} look-ups with {nodes} {what} discovery nodes: "
        f"{tally.success:.2%} newest"
    )
