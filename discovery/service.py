"""The discovery service of one relay.

::

    this relay --PUBLISH--> every discovery node          (an hour apart, with retries)
    3 discovery nodes --FETCH--> this relay's own copy    (10 minutes apart: digests
                                                           first, then what is missing)
    circuits and links --FETCH--> this relay's own copy   (whether elected or not)

Every relay publishes itself and serves its copy of the directory, so "any known node"
works as a last resort. Whether it also takes in others' descriptors is asked of the
registry each time: an election needs no restart. A node that is newly to collect them
fetches at once what the retiring ones have; those go on serving their copy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TypeVar

from discovery.config import DiscoveryConfig
from discovery.descriptor_store import DescriptorStore, Offer
from discovery.publisher import Facts, Publisher
from discovery.server import (
    DirectoryServer,
    HandOverDesk,
    TooManyRequestsError,
    collectors,
)
from discovery.stats import DiscoveryStats
from psp.crypto.keys import SigningKey
from psp.directory.digests import Gathering
from psp.directory.fallback import Decision, Health, decide
from psp.directory.listing import snapshot_name
from psp.directory.paging import Outcome, PageDownload, PagingConfig
from psp.directory.registry import Registry
from psp.directory.union import SPARE_ELEMENTS
from psp.entropy import Entropy
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.descriptor import Descriptor
from psp.netdoc.trusted_file import MAX_FILE_BYTES
from psp.runtime.directory_download import gather_descriptors, run_download
from psp.runtime.ports import CircuitPeer, CircuitPort, LinkPort, RefusedError
from psp.units import Monotonic, UnixTime
from psp.wire.cell import Reason
from psp.wire.directory_page import CURRENT, Content, Fetch
from psp.wire.directory_service import (
    DIRECTORY_SERVICE,
    DirectoryRequest,
    Operation,
    PublishStatus,
)
from psp.wire.relay_message import RelayCommand

_PORTION = 32
"""Descriptors verified before others get their turn: 4 ms."""

_HAS_IT = {PublishStatus.STORED, PublishStatus.HELD}
_GOOD = {Outcome.COMPLETE}

ItemT = TypeVar("ItemT")


class DiscoveryService:
    """Publishing, refreshing and serving the directory on one relay.

    Attributes:
        stats: What happened since the start.
        store: The descriptors held.
        decision: Whom the last refresh asked, for ``psp status``; None before.
    """

    def __init__(
        self,
        config: DiscoveryConfig,
        *,
        identity: SigningKey,
        registry: Registry,
        circuits: CircuitPort,
        links: LinkPort,
        entropy: Entropy,
        unix_time: Callable[[], float],
        facts: Callable[[], Facts] = Facts,
        registry_file: Callable[[], bytes | None] = lambda: None,
        on_registry_file: Callable[[bytes], bool] | None = None,
        hand_overs: HandOverDesk | None = None,
    ) -> None:
        """Wire the parts; nothing runs before `start`.

        Args:
            config: Limits and intervals.
            identity: Of this relay; signs its descriptor.
            registry: Who is registered and elected.
            circuits: Requests over circuits that end here.
            links: Requests to and from other relays.
            entropy: For jitter and the choice of sources.
            unix_time: The wall clock.
            facts: What this relay says about itself now.
            registry_file: The registry's signed file, to be served; None if it does
                not come from one.
            on_registry_file: Takes a file fetched from others, unverified; returns
                whether it was newer and good. None: none is fetched.
            hand_overs: Serves hand-overs of the chain's list; None without a chain.
        """
        self._config = config
        self._own_id = NodeId(identity.public)
        self._registry = registry
        self._circuits = circuits
        self._links = links
        self._entropy = entropy
        self._unix_time = unix_time
        self._facts = facts
        self._registry_file = registry_file
        self._on_registry_file = on_registry_file
        self.stats = DiscoveryStats()
        self.store = DescriptorStore(config.server, registry.network)
        self.decision: Decision | None = None
        self._publisher = Publisher(
            config.publisher, registry.network, identity, entropy
        )
        self._server = DirectoryServer(
            config.server,
            own_id=self._own_id,
            registry=registry,
            store=self.store,
            registry_file=registry_file,
            stats=self.stats,
            hand_overs=hand_overs,
        )
        self._health = Health()
        self._registry_sequence = -1
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_collecting(self) -> bool:
        """Whether relays push their descriptors to this node now."""
        return self._server.is_collecting

    def start(self) -> None:
        """Serve, publish and refresh; call once, inside the loop."""
        self._follow_registry()
        self._circuits.serve(RelayCommand.FETCH, self._on_fetch)
        self._links.serve(DIRECTORY_SERVICE, self._on_request)
        self._tasks = [
            asyncio.create_task(self._publish_for_ever()),
            asyncio.create_task(self._refresh_for_ever()),
            asyncio.create_task(self._watch_for_ever()),
        ]

    async def close(self) -> None:
        """Stop everything under way."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    # ---- serving

    async def _on_fetch(self, peer: CircuitPeer, data: bytes) -> bytes:
        try:
            return self._server.fetch(peer.key, data, _now())
        except TooManyRequestsError:
            raise RefusedError(Reason.RESOURCE_LIMIT) from None
        except DecodeError:
            raise RefusedError(Reason.PROTOCOL) from None

    async def _on_request(self, peer: NodeId, data: bytes) -> bytes | None:
        return self._server.answer(peer, data, _now(), self._unix_now())

    # ---- publishing

    async def _publish_for_ever(self) -> None:
        while True:
            self._follow_registry()
            self.store.expire(self._unix_now())
            is_done = await self.publish()
            pause = self._config.sweep_every
            if not is_done:
                pause = min(pause, self._config.publisher.first_wait)
            await asyncio.sleep(pause)

    async def publish(self) -> bool:
        """Push this relay's descriptor to every discovery node that lacks it.

        Returns:
            Whether all of those that were due now have it.
        """
        descriptor = self._publisher.descriptor(self._facts(), self._unix_now())
        self.store.offer(descriptor.encode(), self._unix_now())
        targets = [key for key in collectors(self._registry) if key != self._own_id]
        due = self._publisher.due(descriptor, targets, _now())
        room = asyncio.Semaphore(self._config.publisher.concurrency)
        pushes = (self._push(key, descriptor, room) for key in due)
        return all(await asyncio.gather(*pushes))

    async def _push(
        self, node_id: NodeId, descriptor: Descriptor, room: asyncio.Semaphore
    ) -> bool:
        request = DirectoryRequest(Operation.PUBLISH, descriptor.encode()).encode()
        async with room:
            answer = await self._links.request(
                node_id, DIRECTORY_SERVICE, request, self._config.publisher.within
            )
        try:
            status = None if answer is None else PublishStatus.decode(answer)
        except DecodeError:
            status = None
        if status is None:
            self.stats.publications_failed += 1
        else:
            self.stats.published[status.name.lower()] += 1
        if status in _HAS_IT:
            self._publisher.delivered(node_id, descriptor)
            return True
        self._publisher.failed(node_id, _now())
        return False

    # ---- refreshing

    async def _refresh_for_ever(self) -> None:
        wait = float(self._config.refresh.first_wait)
        while True:
            await asyncio.sleep(wait * (0.9 + 0.2 * self._entropy.uniform()))
            await self.refresh()
            wait = min(2 * wait, self._config.refresh.every)

    async def refresh(self) -> None:
        """Fetch from some other nodes what they hold, and take in what is new.

        Goes on to others, and to the next kind of node, until one has answered well.
        """
        asked: set[NodeId] = set()
        for _ in range(self._config.refresh.attempts):
            self.decision = self._decide()
            fresh = [key for key in self.decision.candidates if key not in asked]
            sources = fresh[: self._config.refresh.sources]
            asked.update(sources)
            if await self._gather(sources):
                break
        if self._on_registry_file is not None:
            await self._fetch_registry(self._on_registry_file)

    async def _watch_for_ever(self) -> None:
        was_collecting = self.is_collecting
        while True:
            await asyncio.sleep(self._config.watch_every)
            is_collecting = self.is_collecting
            if is_collecting and not was_collecting:
                await self.catch_up()
            was_collecting = is_collecting

    async def catch_up(self) -> None:
        """Fetch what those have who collected before this node, and beside it.

        The relays push their descriptors as soon as they know of the election, too; but
        some will hear of it later than those who ask this node for a directory.
        """
        self.stats.catch_ups += 1
        self._follow_registry()
        for nodes in (self._registry.retiring_nodes(), collectors(self._registry)):
            others = [key for key in nodes if key != self._own_id]
            order = decide(
                others, (), (), health=self._health, now=_now(), entropy=self._entropy
            ).candidates
            await self._gather_from_some(order)

    async def _gather_from_some(self, order: Sequence[NodeId]) -> None:
        """Ask some side by side, and others while all of them fail."""
        limits = self._config.refresh
        rounds = _portions(order, limits.sources)
        for sources in islice(rounds, limits.attempts):
            if await self._gather(sources):
                return

    def _decide(self) -> Decision:
        registry = self._registry
        others = {key for key in registry.nodes() if key != self._own_id}
        return decide(
            [key for key in registry.discovery_nodes() if key in others],
            [key for key in registry.trusted_nodes() if key in others],
            sorted(others),
            health=self._health,
            now=_now(),
            entropy=self._entropy,
        )

    async def _gather(self, sources: Sequence[NodeId]) -> bool:
        """Fetch what is missing from some sources; tell whether one of them was good.

        One bad element condemns the sources that list it, and not the others, which
        are signed.
        """
        gathering = Gathering()
        for portion in _portions(self.store.elements(), _PORTION):
            gathering.hold(portion)
            await asyncio.sleep(0)
        limit = len(self._registry.nodes()) + SPARE_ELEMENTS
        asks = {source: self._asking(source) for source in sources}
        outcomes = await gather_descriptors(gathering, asks, limit)
        is_bad = await self._take(gathering.fetched())
        for source in outcomes:
            if not is_bad.isdisjoint(gathering.listed(source)):
                outcomes[source] = Outcome.MALFORMED
            self._note(source, outcomes[source])
        return Outcome.COMPLETE in outcomes.values()

    async def _take(self, fetched: Mapping[bytes, bytes]) -> set[bytes]:
        """Offer what was fetched to the store; return digests of what is malformed."""
        bad: set[bytes] = set()
        for portion in _portions(list(fetched.items()), _PORTION):
            for digest, element in portion:
                offer = self.store.offer(element, self._unix_now())
                self.stats.offered[offer.name.lower()] += 1
                if offer is Offer.MALFORMED:
                    bad.add(digest)
            await asyncio.sleep(0)
        return bad

    async def _fetch_registry(self, adopt: Callable[[bytes], bool]) -> None:
        """Ask one collecting node, at random, for a newer file of the registry.

        The partners' nodes are among them: they have a new file first.
        """
        sources = [
            key
            for key in collectors(self._registry)
            if key != self._own_id and not self._health.is_waiting(key, _now())
        ]
        if not sources:
            return
        source = sources[self._entropy.below(len(sources))]
        own = self._registry_file()
        held = CURRENT if own is None else snapshot_name(own)
        limits = PagingConfig(max_bytes=MAX_FILE_BYTES)
        download = PageDownload(Content.REGISTRY, limits, held=held)
        await run_download(download, self._asking(source))
        result = str(download.outcome).replace(" ", "_")
        if download.outcome is Outcome.COMPLETE:
            result = "adopted" if adopt(download.data) else "refused"
            self._follow_registry()
        self.stats.registry_files[result] += 1

    def _asking(self, source: NodeId) -> Callable[[Fetch], Awaitable[bytes | None]]:
        async def ask(fetch: Fetch) -> bytes | None:
            request = DirectoryRequest(Operation.FETCH, fetch.encode()).encode()
            return await self._links.request(
                source, DIRECTORY_SERVICE, request, self._config.refresh.within
            )

        return ask

    def _note(self, source: NodeId, outcome: Outcome | None) -> None:
        self.stats.downloads[str(outcome).replace(" ", "_")] += 1
        if outcome in _GOOD:
            self._health.record_success(source)
        else:
            self._health.record_failure(source, _now())

    def _follow_registry(self) -> None:
        if self._registry.sequence == self._registry_sequence:
            return
        self._registry_sequence = self._registry.sequence
        members = self._registry.nodes()
        self.store.retain(members.keys())
        self._health.trim(members)

    def _unix_now(self) -> UnixTime:
        return UnixTime(int(self._unix_time()))


def _portions(items: Sequence[ItemT], size: int) -> Iterator[Sequence[ItemT]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _now() -> Monotonic:
    return Monotonic(asyncio.get_running_loop().time())
