"""Presence: how fast users are found, how surely, and what it costs the nodes.

Everything runs on loopback on this machine: 32 discovery nodes, eight further relays
and all clients in one process, one more process for the node whose requests are
counted. Look-ups go through circuits that were built ahead; building them is measured
apart. `psp bench presence --quick` makes fewer of everything, the same way.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli.bench.presence_dht import serve_rate
from cli.bench.presence_node import store_bytes
from cli.bench.presence_town import Publisher, open_bed, spares_ready, stranger
from cli.bench.presence_trials import Tally, with_bad, with_dead
from cli.bench.presence_watch import measure_watching
from cli.testbed.network import Testbed
from psp.client.api import Client
from psp.client.lookups.lookup import PresenceState
from psp.errors import PspError
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_record import RECORD_SIZE
from psp.path.selection import Purpose

Figures = dict[str, object]
Say = Callable[[str], None]

GOALS: dict[str, str] = {
    "lookup_ms_p50": "<= 60",
    "lookup_ms_p95": "<= 200",
    "announce_to_findable_ms": "<= 1000",
    "success_30pct_dead": ">= 0.999",
    "success_20pct_malicious": ">= 0.999",
    "store_mb_100k": "<= 200",
    "dht_requests_per_s": ">= 2000",
    "watch_share_of_polling": "<= 0.05",
}
"""What the figures are to be."""

STORED = 100_000
_POLL = 0.01


class BenchError(PspError):
    """Something that must work before anything can be measured did not."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured.

    Attributes:
        trials: Look-ups with dead, and with malicious discovery nodes, each.
        lookups: In good weather.
        announcements: Users who come on line.
        seconds: Of DHT requests.
    """

    trials: int
    lookups: int
    announcements: int
    seconds: float


FULL = Amount(trials=2_000, lookups=200, announcements=20, seconds=10.0)
QUICK = Amount(trials=100, lookups=30, announcements=4, seconds=2.0)

LOOKUPS_PER_CLIENT = 10


def run(amount: Amount, *, say: Say, seed: int | None = None) -> Figures:
    """Measure; return figures, with ``is_complete`` False after Ctrl-C.

    Args:
        amount: How much.
        say: Told what is being done, and how trials stand.
        seed: Of the choice which nodes die or turn bad; None draws one.

    Raises:
        BenchError: If somebody cannot be found in good weather.
    """
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    figures: Figures = {"seed": seed, "bytes_per_record": RECORD_SIZE}
    figures["is_complete"] = False
    with tempfile.TemporaryDirectory(prefix="psp-bench-") as folder:
        dice = random.Random(seed)  # noqa: S311 - repeats; nothing here is secret
        bench = _Bench(Path(folder), amount, figures, say, dice)
        try:
            asyncio.run(bench.run())
            figures["is_complete"] = True
        except KeyboardInterrupt:
            say("stopped: what follows is what had been measured by then")
    return figures


class _Bench:
    def __init__(
        self,
        folder: Path,
        amount: Amount,
        figures: Figures,
        say: Say,
        dice: random.Random,
    ) -> None:
        self._folder = folder
        self._amount = amount
        self._figures = figures
        self._say = say
        self._dice = dice

    async def run(self) -> None:
        """Measure everything, the quick things first."""
        names = [f"user-{n}" for n in range(self._amount.announcements)]
        self._say("starting 32 discovery nodes and 8 relays")
        async with open_bed(self._folder / "calm", users=names) as bed:
            await self._look_up_in_calm(bed)
            await self._announce(bed)
            self._say(f"watching {len(names)} contacts")
            self._figures |= await measure_watching(bed)
        self._say(f"filling a store with {STORED} records")
        grown = await asyncio.to_thread(store_bytes, STORED)
        self._figures["store_mb_100k"] = grown / 1e6
        self._say(f"asking one discovery node for {self._amount.seconds:.0f} s")
        rate = await serve_rate(self._folder / "node", self._amount.seconds)
        self._figures |= rate
        async with open_bed(self._folder / "bad") as bed:
            await self._trials(bed, "success_20pct_malicious", with_bad)
        async with open_bed(self._folder / "dead") as bed:
            await self._trials(bed, "success_30pct_dead", with_dead)

    # ---- in good weather

    async def _look_up_in_calm(self, bed: Testbed) -> None:
        amount, publisher = self._amount.lookups, Publisher(bed)
        now = int(bed.unix_time() * 1_000)
        users = [publisher.new_user() for _ in range(LOOKUPS_PER_CLIENT)]
        for user in users:
            await publisher.publish(user, now)
        cards = [publisher.expected(user, now).card for user in users]
        times: list[float] = []
        builds: list[float] = []
        messages: list[float] = []
        while len(times) < amount:
            self._say(f"look-up {len(times)} of {amount}")
            async with stranger(bed, len(times)) as client:
                await _build_some(client, builds)
                for card in cards:
                    await spares_ready(client)
                    before, started = _messages(bed), time.perf_counter()
                    found = await client.lookup(card)
                    times.append(time.perf_counter() - started)
                    messages.append(_messages(bed) - before)
                    if found.state is not PresenceState.ONLINE:
                        raise BenchError(f"a user is {found.state} in good weather")
        self._figures |= {
            "lookup_ms_p50": _percentile(times, 0.5) * 1e3,
            "lookup_ms_p95": _percentile(times, 0.95) * 1e3,
            "lookups": len(times),
            "messages_per_lookup": statistics.mean(messages),
            "circuit_build_ms": _percentile(builds, 0.5) * 1e3,
        }

    async def _announce(self, bed: Testbed) -> None:
        """Let users come on line, and a contact ask for them all the time."""
        times: list[float] = []
        for name in bed.users:
            self._say(f"user {len(times)} of {len(bed.users)} comes on line")
            card = bed.identity(name).contact_card(bed.network)
            async with bed.connect(name) as user, stranger(bed, len(times)) as reader:
                await spares_ready(reader)
                started = time.perf_counter()
                announcing = asyncio.create_task(user.announce())
                await _find(reader, card)
                times.append(time.perf_counter() - started)
                await announcing
        self._figures |= {
            "announce_to_findable_ms": _percentile(times, 0.5) * 1e3,
            "announce_to_findable_ms_max": max(times) * 1e3,
        }

    # ---- in bad weather

    async def _trials(
        self, bed: Testbed, name: str, condition: Callable[..., object]
    ) -> None:
        tally = Tally()
        try:
            trials = condition(
                bed, self._amount.trials, tally, dice=self._dice, say=self._say
            )
            if asyncio.iscoroutine(trials):
                await trials
        finally:
            if tally.trials:
                self._figures[name] = tally.success
                self._figures[f"{name}_trials"] = tally.trials
                self._figures[f"{name}_outcomes"] = dict(tally.outcomes)
        for failure in tally.failures:
            self._say(f"  {failure}")


async def _build_some(client: Client, times: list[float]) -> None:
    for _ in range(3):
        started = time.perf_counter()
        circuit = await client.circuits.open(Purpose.LOOKUP)
        times.append(time.perf_counter() - started)
        circuit.close()


async def _find(reader: Client, card: ContactCard) -> None:
    while True:
        if (await reader.lookup(card)).state is PresenceState.ONLINE:
            return
        await asyncio.sleep(_POLL)


def _messages(bed: Testbed) -> int:
    """Return how many requests for records were made so far, by users and nodes."""
    stats = [node.presence.stats for node in bed.alive.values()]
    return sum(each.dht_asked + each.lookups.total() for each in stats)


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
