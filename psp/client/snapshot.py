"""The chain's list for a client without an RPC endpoint, from those who read the chain.

::

    3 sources, over circuits --> hand-overs after the one held --> verified (pure)
    one of them              --> what has changed in the listing, or all of it
                             --> a view, for the owner to adopt

What cannot be verified changes nothing: the client keeps what it has and says why
(`explanation`). Sources are those of the descriptors: elected, else trusted, else known.
"""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.config import SnapshotConfig
from psp.client.context import ClientContext
from psp.crypto.primitives import sha256
from psp.directory.chain.view import ChainView
from psp.directory.difference import patched
from psp.directory.fallback import MIN_SOURCES
from psp.directory.listing import snapshot_name
from psp.directory.paging import Outcome, PageDownload, PagingConfig
from psp.directory.snapshot import (
    SnapshotRefusedError,
    SnapshotVerifier,
    hand_over_of,
    rules_of,
)
from psp.errors import DecodeError, PspError
from psp.ids import NodeId
from psp.netdoc.election_rules import PERIOD
from psp.netdoc.handover import HandOver
from psp.netdoc.handover_list import MAX_LIST_BYTES, split_hand_overs
from psp.path.selection import Purpose
from psp.runtime.directory_download import run_download
from psp.units import UnixTime
from psp.wire.directory_page import CURRENT, SNAPSHOT_SIZE, Content, Fetch
from psp.wire.relay_message import RelayCommand

_SPARE_BYTES = 1 << 16
"""By which a difference may be larger than the listing it leads to."""


class Sources(Protocol):
    """Whom to ask (`psp.client.directory.Directory`)."""

    def sources(self, count: int, besides: Collection[NodeId]) -> list[NodeId]:
        """Return up to ``count`` nodes to ask, in the order of fallbacks."""
        ...

    def record(self, node_id: NodeId, *, is_good: bool) -> None:
        """Note how a source answered."""


class NoSnapshotError(PspError):
    """There is nothing newer, or it could not be had; the text says why."""


class SnapshotReader:
    """Follows the chain's list by hand-overs.

    Attributes:
        explanation: How far it has come, and why no further, in a sentence.
    """

    def __init__(
        self,
        context: ClientContext,
        circuits: CircuitBuilder,
        sources: Sources,
        *,
        current: Callable[[], ChainView | None],
        adopt: Callable[[ChainView], bool],
        anchor: HandOver | None = None,
        partners: Collection[bytes] = (),
        config: SnapshotConfig | None = None,
    ) -> None:
        """Wire the parts; nothing runs before `run`.

        Args:
            context: Of this client.
            circuits: Opens circuits to sources.
            sources: Whom to ask.
            current: The view in use, verified by this host or kept from then.
            adopt: Takes a newer one; returns whether anything changed.
            anchor: The release's own start, for a client that has never had a view.
            partners: Trusted partners' own keys.
            config: Times.
        """
        self.explanation = "no hand-over fetched yet"
        self._context = context
        self._circuits = circuits
        self._sources = sources
        self._current = current
        self._adopt = adopt
        self._anchor = anchor
        self._partners = tuple(partners)
        self._config = config or SnapshotConfig()
        self._open: dict[NodeId, Circuit] = {}

    async def run(self) -> None:
        """Keep the list fresh for ever; cancel it when an endpoint answers again."""
        failures = 0
        while True:
            is_newer = await self.refresh()
            failures = 0 if is_newer else failures + 1
            await asyncio.sleep(self._pause(failures))

    async def refresh(self) -> bool:
        """Look for a newer list once; tell whether there was one. Never fails."""
        try:
            view = await self._newer()
        except PspError as error:
            self.explanation = str(error)
            self._context.log.info("no_snapshot", error=str(error))
            return False
        finally:
            for circuit in self._open.values():
                circuit.close()
            self._open.clear()
        self._adopt(view)
        age = max(0, self._unix_now() - view.timestamp)
        self.explanation = (
            f"list of epoch {view.state.list_epoch} handed over {age // 60} minutes ago"
        )
        return True

    async def _newer(self) -> ChainView:
        """Return a newer view than the one in use.

        Raises:
            PspError: If there is none; says why.
        """
        view = self._current()
        start = await self._start(view)
        lists = await self._hear(start)
        verifier = SnapshotVerifier(start, self._partners)
        refused = await asyncio.to_thread(verifier.follow, lists, self._unix_now())
        if view is not None and verifier.last is start:
            raise NoSnapshotError(_nothing_newer(start, len(lists), refused))
        listing = await self._listing(view, verifier.last)
        previous = None if view is None else view.nodes
        return await asyncio.to_thread(verifier.view, listing, previous)

    async def _start(self, view: ChainView | None) -> HandOver:
        if view is not None:
            return await asyncio.to_thread(hand_over_of, view)
        if self._anchor is None:
            raise NoSnapshotError(
                "no list of the chain to start from; use an RPC endpoint once"
            )
        return self._anchor

    # ---- asking

    async def _hear(self, start: HandOver) -> list[list[HandOver]]:
        """Return what at least three sources have, fewer if nobody else answers."""
        base = start.digest[:SNAPSHOT_SIZE]
        heard: list[list[HandOver]] = []
        asked: set[NodeId] = set()
        while len(heard) < MIN_SOURCES and len(asked) < self._config.most_sources:
            room = self._config.most_sources - len(asked)
            wanted = min(MIN_SOURCES - len(heard), room)
            batch = self._sources.sources(wanted, asked)
            if not batch:
                break
            asked.update(batch)
            found = await asyncio.gather(*(self._hand_overs(n, base) for n in batch))
            heard += [hand_overs for hand_overs in found if hand_overs is not None]
        if not heard:
            raise NoSnapshotError(f"none of {len(asked)} sources has any hand-over")
        return heard

    async def _hand_overs(self, source: NodeId, base: bytes) -> list[HandOver] | None:
        """Return one source's hand-overs after the one held; None without an answer."""
        try:
            self._open[source] = await self._circuits.open(
                Purpose.DIRECTORY, last=source
            )
            data = await self._fetch(source, Content.HANDOVERS, MAX_LIST_BYTES, base)
            hand_overs = split_hand_overs(data)
        except PspError as error:
            self._context.log.info("hand_overs_failed", error=str(error))
            self._sources.record(source, is_good=False)
            return None
        self._sources.record(source, is_good=True)
        return hand_overs

    async def _listing(self, view: ChainView | None, wanted: HandOver) -> bytes:
        """Return the listing that was handed over, from whoever has it."""
        held = b"" if view is None else view.listing
        if view is not None and view.digest == wanted.listing_digest:
            return held
        for source in list(self._open):
            listing = b""
            if view is not None:
                listing = await self._changed(source, held, wanted)
            if not _is_named(listing, wanted):
                listing = await self._whole(source, wanted)
            if _is_named(listing, wanted):
                return listing
        raise NoSnapshotError(
            f"epoch {wanted.epoch} was handed over, but nobody has its listing"
        )

    async def _changed(self, source: NodeId, held: bytes, wanted: HandOver) -> bytes:
        """Return what a source's difference makes of the listing held, or nothing."""
        name, limit = snapshot_name(held), wanted.listing_size + _SPARE_BYTES
        try:
            changes = await self._fetch(source, Content.DIFFERENCE, limit, name)
            return await asyncio.to_thread(patched, held, changes)
        except PspError:
            return b""

    async def _whole(self, source: NodeId, wanted: HandOver) -> bytes:
        """Return a source's whole listing, or nothing."""
        try:
            return await self._fetch(source, Content.LISTING, wanted.listing_size)
        except PspError:
            return b""

    async def _fetch(
        self, source: NodeId, content: Content, max_bytes: int, base: bytes = CURRENT
    ) -> bytes:
        """Return what one source serves.

        Raises:
            DecodeError: If it does not come, or not whole.
        """
        limits = PagingConfig(max_bytes=max_bytes)
        download = PageDownload(content, limits, base=base)
        await run_download(download, partial(_page, self._open[source]))
        if download.outcome is not Outcome.COMPLETE:
            raise DecodeError(f"{content.name.lower()}: {download.outcome}")
        return download.data

    # ---- time

    def _pause(self, failures: int) -> float:
        """Return the seconds until the next look.

        After news that is when the next period has begun and its block is final; all
        clients do not come at once. Without any it is sooner, then later and later.
        """
        jitter = 0.75 + self._context.entropy.uniform() / 2
        view = self._current()
        if view is None:
            return self._config.first_wait * jitter
        rules, now = rules_of(view), self._unix_now()
        first = min(self._config.first_wait, min(PERIOD, rules.epoch_length) / 8)
        if failures:
            wait: float = first * 2 ** min(failures - 1, 16)
            return min(wait, self._config.longest_wait) * jitter
        return max(0, rules.period_end(view.timestamp) - now) + first * jitter

    def _unix_now(self) -> UnixTime:
        return UnixTime(int(self._context.unix_time()))


def _is_named(listing: bytes, wanted: HandOver) -> bool:
    return sha256(listing) == wanted.listing_digest


def _nothing_newer(
    start: HandOver, heard: int, refused: list[SnapshotRefusedError]
) -> str:
    kept = (
        f"keeping the list of epoch {start.list_epoch}, read at height {start.height}"
    )
    why = f"{heard} sources have nothing newer"
    if refused:
        why = f"{len(refused)} hand-overs of {heard} sources refused: {refused[0]}"
    return f"{kept}; {why}"


async def _page(circuit: Circuit, fetch: Fetch) -> bytes | None:
    try:
        return await circuit.request(RelayCommand.FETCH, fetch.encode())
    except PspError:  # refused, silent, or the circuit has ended
        return None
