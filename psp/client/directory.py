"""The client's directory: whom to ask, and the union of what at least three serve.

Each source tells the digests of what it has, and only descriptors that are not held are
fetched, from one source each. In a large network it is looked at rarely, so that a day
costs no more than 2 MB (`psp.client.config.DirectoryConfig`).

Descriptors are advice: which relays run. Keys and endpoints come from the registry
alone, so a client whose discovery nodes are all down goes on with what it has and says
so (`explanation`).
"""

import asyncio
from collections.abc import Collection
from functools import partial
from pathlib import Path

from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.config import DirectoryConfig
from psp.client.context import ClientContext
from psp.directory.cache import DirectoryCache
from psp.directory.digests import Gathering
from psp.directory.fallback import MIN_SOURCES, Decision, Health, decide
from psp.directory.listing import LENGTH_SIZE
from psp.directory.paging import Outcome
from psp.directory.union import SPARE_ELEMENTS, DescriptorUnion
from psp.errors import ConfigError, DecodeError, PspError
from psp.ids import NodeId
from psp.path.selection import PathSelector, Purpose
from psp.runtime import private_files
from psp.runtime.directory_download import gather_descriptors
from psp.units import Monotonic, Seconds, UnixTime
from psp.wire.directory_page import Fetch
from psp.wire.relay_message import RelayCommand

MAX_CACHE_BYTES = 32 << 20
_PORTION = 32
"""Descriptors verified in one go: 4 ms."""


class Directory:
    """What one client knows of the network beyond the registry.

    Attributes:
        explanation: Whom it asked last and what came of it, in a sentence.
        is_complete: Whether at least three sources have been heard.
    """

    def __init__(
        self,
        context: ClientContext,
        circuits: CircuitBuilder,
        selector: PathSelector,
        cache_file: Path,
        config: DirectoryConfig | None = None,
    ) -> None:
        """Start from the cache on the disk.

        Raises:
            ConfigError: If others may read it, or on a disk error.
        """
        self.explanation = "nothing fetched yet"
        self.is_complete = False
        self._context = context
        self._circuits = circuits
        self._selector = selector
        self._cache_file = cache_file
        self._config = config or DirectoryConfig()
        self._health = Health()
        self._cache = self._read_cache()
        self._known: frozenset[NodeId] = frozenset()
        self._heard = asyncio.Event()

    def sources(self, count: int, besides: Collection[NodeId]) -> list[NodeId]:
        """Return up to ``count`` nodes to ask, in the order of fallbacks."""
        candidates = self._decide().candidates
        return [key for key in candidates if key not in besides][:count]

    def record(self, node_id: NodeId, *, is_good: bool) -> None:
        """Note how a source answered."""
        if is_good:
            self._health.record_success(node_id)
        else:
            self._health.record_failure(node_id, self._now())

    async def wait_until_heard(self) -> None:
        """Return once at least three sources have been heard."""
        await self._heard.wait()

    def update_paths(self) -> None:
        """Have paths prefer relays that are known to run (R-PATH-3).

        Call it whenever the registry has changed.
        """
        self._selector.update(
            self._context.registry.nodes(),
            self._unix_now(),
            self._context.entropy,
            known=self._known or None,
        )

    async def run(self) -> None:
        """Keep the descriptors fresh for ever."""
        pause = self._use_cache()
        while True:
            await asyncio.sleep(pause * (0.9 + self._context.entropy.uniform() / 5))
            await self.refresh()
            pause = self.interval if self.is_complete else self._config.retry_after

    @property
    def interval(self) -> Seconds:
        """Seconds between two looks at the directory."""
        held = self._cache.descriptors.values()
        size = sum(LENGTH_SIZE + descriptor.size for descriptor in held)
        return self._config.interval(len(held), size)

    async def refresh(self) -> None:
        """Ask three sources, more when one fails, and take the union over."""
        registry = self._context.registry
        held = list(self._cache.descriptors.values())
        union = DescriptorUnion(
            registry.network,
            registry.nodes().keys(),
            held=held,
            highest=self._cache.highest,
        )
        gathering = Gathering()
        for start in range(0, len(held), _PORTION):
            gathering.hold(d.encode() for d in held[start : start + _PORTION])
            await asyncio.sleep(0)  # calls in progress get their turn
        decision = self._decide()
        candidates = list(decision.candidates)
        heard = 0
        while candidates and heard < MIN_SOURCES:
            wanted = MIN_SOURCES - heard
            batch, candidates = candidates[:wanted], candidates[wanted:]
            heard += await self._ask(batch, gathering, union)
        self._take(union, heard, decision)

    async def _ask(
        self, batch: Collection[NodeId], gathering: Gathering, union: DescriptorUnion
    ) -> int:
        """Gather what some sources have into the union; return how many were good."""
        opened = await asyncio.gather(*map(self._open, batch))
        circuits = {
            source: circuit
            for source, circuit in zip(batch, opened, strict=True)
            if circuit is not None
        }
        try:
            outcomes = await gather_descriptors(
                gathering,
                {key: partial(_page, circuit) for key, circuit in circuits.items()},
                len(self._context.registry.nodes()) + SPARE_ELEMENTS,
            )
        finally:
            for circuit in circuits.values():
                circuit.close()
        judged = [
            await self._judge(source, outcome, gathering.known(source), union)
            for source, outcome in outcomes.items()
        ]
        return sum(judged)

    async def _open(self, source: NodeId) -> Circuit | None:
        """Return a circuit to a source, or None."""
        try:
            return await self._circuits.open(Purpose.DIRECTORY, last=source)
        except PspError as error:
            self._context.log.info("directory_failed", error=str(error))
            self.record(source, is_good=False)
            return None

    async def _judge(
        self,
        source: NodeId,
        outcome: Outcome,
        elements: list[bytes],
        union: DescriptorUnion,
    ) -> bool:
        """Take what one source has into the union; tell whether it was good."""
        report = union.add(source, (), self._unix_now())
        for start in range(0, len(elements), _PORTION):
            portion = elements[start : start + _PORTION]
            report = union.add(source, portion, self._unix_now())
            await asyncio.sleep(0)
        is_good = outcome is Outcome.COMPLETE and not report.is_bad
        if report.is_bad:
            self._context.log.warning("directory_source_bad")
        elif not is_good:
            self._context.log.info("directory_failed", error=str(outcome))
        self.record(source, is_good=is_good)
        return is_good

    def _use_cache(self) -> Seconds:
        """Return how long the kept descriptors still do; not at all in a small network.

        Otherwise a client that is started often would fetch a large directory each
        time. It was kept when at least three sources had been heard.
        """
        now, interval = self._unix_now(), self.interval
        newest = max((d.issued for d in self._cache.descriptors.values()), default=0)
        age = max(0, now - newest)
        if interval <= self._config.refresh_every or age >= interval:
            return Seconds(0.0)
        self._known = self._cache.seen(now)
        self.update_paths()
        self.is_complete = True
        self._heard.set()
        self.explanation = (
            f"kept from {age // 60} minutes ago; {len(self._known)} of "
            f"{len(self._context.registry.nodes())} relays described"
        )
        return Seconds(interval - age)

    def _take(self, union: DescriptorUnion, heard: int, decision: Decision) -> None:
        now = self._unix_now()
        registry = self._context.registry
        self._cache = DirectoryCache(
            registry_sequence=registry.sequence,
            descriptors=dict(union.descriptors),
            highest=dict(union.highest),
        )
        union.prune(now)
        withheld = sum(len(union.withheld(source)) for source in union.reports)
        total = len(registry.nodes())
        self.explanation = (
            f"{decision.explanation}; {heard} answered, {len(union.descriptors)} of "
            f"{total} relays described, {withheld} withheld by somebody"
        )
        self.is_complete = heard >= MIN_SOURCES
        self._known = frozenset(union.descriptors)
        if not self.is_complete:
            # Without fresh news, relays that spoke within a day count as running.
            self._known |= self._cache.seen(now)
        self.update_paths()
        if self.is_complete:
            self._heard.set()
            try:
                private_files.replace(self._cache_file, self._cache.encode())
            except ConfigError as error:  # a full disk must not end the refreshing
                self._context.log.warning("directory_not_kept", error=str(error))

    def _decide(self) -> Decision:
        registry = self._context.registry
        elected, trusted = registry.discovery_nodes(), registry.trusted_nodes()
        named = {*elected, *trusted}
        self._health.trim(registry.nodes())
        return decide(
            elected,
            trusted,
            (key for key in registry.nodes() if key not in named),
            health=self._health,
            now=self._now(),
            entropy=self._context.entropy,
        )

    def _read_cache(self) -> DirectoryCache:
        try:
            return DirectoryCache.decode(
                private_files.read(self._cache_file, MAX_CACHE_BYTES),
                self._context.registry.network,
            )
        except FileNotFoundError:
            return DirectoryCache()
        except DecodeError:
            self._context.log.warning("directory_cache_damaged")
            return DirectoryCache()

    def _unix_now(self) -> UnixTime:
        return UnixTime(int(self._context.unix_time()))

    def _now(self) -> Monotonic:
        return Monotonic(asyncio.get_running_loop().time())


async def _page(circuit: Circuit, fetch: Fetch) -> bytes | None:
    try:
        return await circuit.request(RelayCommand.FETCH, fetch.encode())
    except PspError:  # refused, silent, or the circuit has ended
        return None
