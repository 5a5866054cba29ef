"""The client's directory: whom to ask, and the union of what at least three serve.

Descriptors are advice: which relays run. Keys and endpoints come from the registry
alone, so a client whose discovery nodes are all down goes on with what it has and says
so (`explanation`).
"""

import asyncio
from collections.abc import Collection
from pathlib import Path

from psp.client.circuit import Circuit, RequestError
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.directory.cache import DirectoryCache
from psp.directory.fallback import MIN_SOURCES, Decision, Health, decide
from psp.directory.listing import split_listing
from psp.directory.paging import Outcome, PageDownload
from psp.directory.union import SPARE_ELEMENTS, DescriptorUnion
from psp.errors import ConfigError, DecodeError, PspError
from psp.ids import NodeId
from psp.path.selection import PathSelector, Purpose
from psp.runtime import private_files
from psp.runtime.directory_download import run_download
from psp.units import Monotonic, Seconds, UnixTime
from psp.wire.directory_page import Content, Fetch
from psp.wire.relay_message import RelayCommand

REFRESH_EVERY = Seconds(600.0)
RETRY_AFTER = Seconds(15.0)
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
        self._health = Health()
        self._cache = self._read_cache()
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

    async def run(self) -> None:
        """Keep the descriptors fresh for ever."""
        while True:
            await self.refresh()
            pause = REFRESH_EVERY if self.is_complete else RETRY_AFTER
            await asyncio.sleep(pause * (0.75 + self._context.entropy.uniform() / 2))

    async def refresh(self) -> None:
        """Ask three sources, more when one fails, and take the union over."""
        registry = self._context.registry
        union = DescriptorUnion(
            registry.network,
            registry.nodes().keys(),
            held=self._cache.descriptors.values(),
            highest=self._cache.highest,
        )
        decision = self._decide()
        candidates = list(decision.candidates)
        heard = 0
        while candidates and heard < MIN_SOURCES:
            wanted = MIN_SOURCES - heard
            batch, candidates = candidates[:wanted], candidates[wanted:]
            results = await asyncio.gather(*(self._ask(key, union) for key in batch))
            heard += sum(results)
        self._take(union, heard, decision)

    async def _ask(self, source: NodeId, union: DescriptorUnion) -> bool:
        """Download one source's listing into the union; tell whether it was good."""
        try:
            elements = await self._download(source)
        except PspError as error:
            self._context.log.info("directory_failed", error=str(error))
            self.record(source, is_good=False)
            return False
        report = union.add(source, (), self._unix_now())
        for start in range(0, len(elements), _PORTION):
            portion = elements[start : start + _PORTION]
            report = union.add(source, portion, self._unix_now())
            await asyncio.sleep(0)  # calls in progress get their turn
        if report.is_bad:
            self._context.log.warning("directory_source_bad")
        self.record(source, is_good=not report.is_bad)
        return not report.is_bad

    async def _download(self, source: NodeId) -> list[bytes]:
        circuit = await self._circuits.open(Purpose.DIRECTORY, last=source)
        try:
            download = PageDownload(Content.DESCRIPTORS)
            await run_download(download, lambda fetch: _page(circuit, fetch))
        finally:
            circuit.close()
        if download.outcome is not Outcome.COMPLETE:
            raise DecodeError(f"directory download: {download.outcome}")
        limit = len(self._context.registry.nodes()) + SPARE_ELEMENTS
        return split_listing(download.data, limit)

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
        # Without fresh news, relays that spoke within a day count as running.
        known = frozenset(union.descriptors) if heard else self._cache.seen(now)
        self._adopt(known)
        if self.is_complete:
            self._heard.set()
            try:
                private_files.replace(self._cache_file, self._cache.encode())
            except ConfigError as error:  # a full disk must not end the refreshing
                self._context.log.warning("directory_not_kept", error=str(error))

    def _adopt(self, known: frozenset[NodeId]) -> None:
        """Have paths prefer relays that are known to run (R-PATH-3)."""
        self._selector.update(
            self._context.registry.nodes(),
            self._unix_now(),
            self._context.entropy,
            known=known or None,
        )

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
    except RequestError:
        return None
