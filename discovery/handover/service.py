"""Signs, collects and serves hand-overs on one relay.

::

    own view at a period's anchor block --> body --> own signature, if it has a say
    own signature --HAND_OVER--> nodes of both lists and of trusted partners
    one of these --FETCH--> what they have collected, until it is enough
    clients and relays --FETCH--> hand-overs, listing, differences (`desk`)

Every relay that reads the chain does it, elected or not: so "any known node" can serve
those who do not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from discovery.handover.collector import HandOverCollector
from discovery.handover.config import HandOverConfig
from discovery.handover.desk import HandOverDesk
from discovery.handover.listings import Listings
from discovery.handover.outbox import Outbox
from discovery.handover.stats import HandOverStats
from psp.crypto.keys import SigningKey
from psp.directory.chain.view import ChainView
from psp.directory.paging import Outcome, PageDownload, PagingConfig
from psp.directory.registry import Registry
from psp.directory.snapshot import SnapshotRefusedError, hand_over_of, rules_of
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError, PspError
from psp.ids import NodeId
from psp.netdoc.handover import MAX_LISTING_BYTES, HandOver, ids_of
from psp.netdoc.handover_list import MAX_LIST_BYTES, split_hand_overs
from psp.runtime import private_files
from psp.runtime.directory_download import run_download
from psp.runtime.ports import LinkPort
from psp.runtime.statefile import StateFile
from psp.units import Monotonic, UnixTime
from psp.wire.directory_page import CURRENT, SNAPSHOT_SIZE, Content, Fetch
from psp.wire.directory_service import (
    DIRECTORY_SERVICE,
    DirectoryRequest,
    HandOverSignature,
    Operation,
    SignatureStatus,
)

ViewAt = Callable[[UnixTime, ChainView | None], Awaitable[ChainView | None]]
"""Returns the view at the first finalised block not before a time; None if there is none
yet. Gets an earlier view, so that what has not changed is not read again. May raise
`PspError`."""

_LISTING_FILE = "hand-over-{}.listing"
_MAX_STATE_BYTES = 4 << 20
"""Twenty hand-overs of 256 seats, in hex digits."""


class HandOverService:
    """The hand-overs of one relay.

    Attributes:
        stats: What happened since the start.
        desk: Answers others; give it to the directory service.
    """

    def __init__(
        self,
        config: HandOverConfig,
        *,
        identity: SigningKey,
        registry: Registry,
        view: Callable[[], ChainView | None],
        view_at: ViewAt,
        links: LinkPort,
        entropy: Entropy,
        state_dir: Path,
        log: FilteringBoundLogger,
        partners: Collection[bytes] = (),
    ) -> None:
        """Read what was kept; nothing runs before `start`.

        Args:
            config: Limits and intervals.
            identity: Of this relay; signs.
            registry: Whom to bring signatures to.
            view: The newest view of the chain that this relay has verified itself.
            view_at: Reads the chain at a period's beginning.
            links: Requests to other relays.
            entropy: For jitter and the choice of sources.
            state_dir: Keeps hand-overs and listings; private.
            log: Where refusals are said.
            partners: Keys with which trusted partners sign themselves.

        Raises:
            ConfigError: If what was kept is damaged, or open to others.
        """
        self.stats = HandOverStats()
        self.desk = HandOverDesk(
            HandOverCollector(partners), Listings(config.listings_kept), self.stats
        )
        self._config = config
        self._identity = identity
        self._own_id = NodeId(identity.public)
        self._registry = registry
        self._view = view
        self._view_at = view_at
        self._links = links
        self._entropy = entropy
        self._log = log
        self._state = StateFile(
            state_dir / "hand-overs.json",
            form="psp-hand-overs",
            version=1,
            max_bytes=_MAX_STATE_BYTES,
        )
        self._state_dir = state_dir
        self._outbox = Outbox(config, entropy)
        self._saved = 0
        self._failures = 0
        self._next_fetch = Monotonic(float("-inf"))
        self._passed = UnixTime(0)
        self._task: asyncio.Task[None] | None = None
        self._load()

    def start(self) -> None:
        """Begin; call once, inside the loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop everything under way."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self.sweep()
            jitter = 0.9 + 0.2 * self._entropy.uniform()
            await asyncio.sleep(self._config.sweep_every * jitter)

    async def sweep(self) -> None:
        """Do what is due now: open a period, sign, push, fetch, keep."""
        await self._open()
        signature = self._sign()
        is_kept = await self._keep()
        newest = self.desk.collector.newest
        if signature is not None and newest is not None and is_kept:
            self._outbox.put(signature, self._targets(newest))
        await self._push()
        if newest is not None and not self.desk.collector.is_complete(newest.start):
            await self._fetch(newest)
            await self._keep()

    # ---- making bodies

    async def _open(self) -> None:
        """Make the body of the present period, unless there is one."""
        view, newest = self._view(), self.desk.collector.newest
        if view is None:
            return
        start = rules_of(view).period_start(view.timestamp)
        if start <= self._passed or self._has(newest, start):
            return
        hand_over, listing = await self._read(start, view)
        if hand_over is None:
            return
        self.desk.listings.add(listing)
        self.desk.collector.open(hand_over)
        self.stats.opened += 1
        self._failures, self._next_fetch = 0, self._soon()
        self.desk.follow()

    def _has(self, newest: HandOver | None, start: UnixTime) -> bool:
        """Tell whether the body of a period and its listing are there."""
        if newest is None or newest.start < start:
            return False
        held = self.desk.listings.digests
        return newest.start > start or newest.listing_digest in held

    async def _read(
        self, start: UnixTime, view: ChainView
    ) -> tuple[HandOver | None, bytes]:
        """Return the body of a period and the listing it names, or None."""
        try:
            anchor = await self._view_at(start, view)
        except PspError as error:
            self._log.info("anchor_not_read", error=str(error))
            anchor = None
        if anchor is None:
            self.stats.views_missing += 1
            return None, b""
        try:
            hand_over = hand_over_of(anchor)
        except SnapshotRefusedError:  # nobody is elected: nothing to hand over
            self._passed = start
            return None, b""
        if hand_over.start != start:
            # The chain stood still for a whole period: there is no block in it.
            self._passed = start
            return None, b""
        return hand_over, anchor.listing

    def _sign(self) -> HandOverSignature | None:
        """Sign the newest body, if this node has a say in it."""
        newest = self.desk.collector.newest
        if newest is None:
            return None
        signature = self.desk.collector.sign(newest.start, self._identity)
        if signature is not None and self._own_id not in newest.signatures:
            self.desk.follow()
        return signature

    # ---- bringing and fetching

    def _targets(self, hand_over: HandOver) -> list[NodeId]:
        wanted = ids_of((*hand_over.elected, *hand_over.handing, *hand_over.trusted))
        known = self._registry.nodes()
        return sorted(key for key in wanted if key in known and key != self._own_id)

    async def _push(self) -> None:
        signature = self._outbox.signature
        if signature is None:
            return
        request = DirectoryRequest(Operation.HAND_OVER, signature.encode()).encode()
        room = asyncio.Semaphore(self._config.concurrency)
        due = self._outbox.due(_now())
        await asyncio.gather(*(self._push_to(key, request, room) for key in due))

    async def _push_to(
        self, node_id: NodeId, request: bytes, room: asyncio.Semaphore
    ) -> None:
        async with room:
            answer = await self._links.request(
                node_id, DIRECTORY_SERVICE, request, self._config.within
            )
        try:
            status = None if answer is None else SignatureStatus.decode(answer)
        except DecodeError:
            status = None
        if status is None:
            self.stats.pushes_failed += 1
        else:
            self.stats.pushed[status.name.lower()] += 1
        self._outbox.answered(node_id, status, _now())

    async def _fetch(self, newest: HandOver) -> None:
        """Fetch what one of those who collect has, if it is time."""
        sources = self._targets(newest)
        if not sources or _now() < self._next_fetch:
            return
        wait = self._config.first_wait * 2 ** min(self._failures, 16)
        wait = min(wait, self._config.longest_wait)
        jitter = 0.9 + 0.2 * self._entropy.uniform()
        self._failures += 1
        self._next_fetch = Monotonic(_now() + wait * jitter)
        source = sources[self._entropy.below(len(sources))]
        complete = self.desk.collector.complete()
        base = complete[-1].digest[:SNAPSHOT_SIZE] if complete else CURRENT
        limits = PagingConfig(max_bytes=MAX_LIST_BYTES)
        download = PageDownload(Content.HANDOVERS, limits, base=base)
        await run_download(download, self._asking(source))
        result = str(download.outcome).replace(" ", "_")
        if download.outcome is Outcome.COMPLETE:
            try:
                found = split_hand_overs(download.data)
            except DecodeError:
                result = str(Outcome.MALFORMED)
            else:
                self.desk.collector.merge(found)
                self.desk.follow()
        self.stats.fetched[result] += 1

    def _asking(self, source: NodeId) -> Callable[[Fetch], Awaitable[bytes | None]]:
        async def ask(fetch: Fetch) -> bytes | None:
            request = DirectoryRequest(Operation.FETCH, fetch.encode()).encode()
            return await self._links.request(
                source, DIRECTORY_SERVICE, request, self._config.within
            )

        return ask

    def _soon(self) -> Monotonic:
        """Return when to fetch first: those who sign need a moment."""
        return Monotonic(_now() + self._config.first_wait)

    # ---- the disk

    async def _keep(self) -> bool:
        """Keep what has changed; tell whether all of it is kept."""
        changes = self.desk.collector.changes
        if changes == self._saved:
            return True
        try:
            await asyncio.to_thread(self._save, self.desk.collector.held())
        except ConfigError as error:  # a full disk must not end the serving
            self._log.warning("hand_overs_not_kept", error=str(error))
            return False
        self._saved = changes
        return True

    def _save(self, held: list[HandOver]) -> None:
        listings = self.desk.listings
        newest = listings.digests[-self._config.listings_on_disk :]
        kept = {self._listing_file(digest): digest for digest in newest}
        for path, digest in kept.items():
            if not path.exists():
                private_files.replace(path, listings.get(digest))
        self._state.save(
            {
                "hand_overs": [hand_over.encode().hex() for hand_over in held],
                "listings": [digest.hex() for digest in newest],
            }
        )
        for path in self._state_dir.glob(_LISTING_FILE.format("*")):
            if path not in kept:
                with suppress(OSError):  # it costs a little room, nothing else
                    path.unlink()

    def _load(self) -> None:
        state = self._state.load()
        if state is None:
            return
        try:
            hand_overs = [_hand_over(text) for text in _texts(state, "hand_overs")]
            digests = [bytes.fromhex(text) for text in _texts(state, "listings")]
        except (DecodeError, ValueError):
            raise ConfigError(
                f"{self._state.path} is not what this program keeps; move it away"
            ) from None
        for hand_over in hand_overs:
            if hand_over.network == self._registry.network:
                self.desk.collector.open(hand_over)
        for digest in digests:
            with suppress(FileNotFoundError, DecodeError):  # it can be done without
                path = self._listing_file(digest)
                self.desk.listings.add(private_files.read(path, MAX_LISTING_BYTES))
        self.desk.follow()

    def _listing_file(self, digest: bytes) -> Path:
        return self._state_dir / _LISTING_FILE.format(digest.hex())


def _texts(state: dict[str, object], key: str) -> list[str]:
    texts = state.get(key)
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise DecodeError(f"no list of {key}")
    return texts


def _hand_over(text: str) -> HandOver:
    return HandOver.decode(bytes.fromhex(text))


def _now() -> Monotonic:
    return Monotonic(asyncio.get_running_loop().time())
