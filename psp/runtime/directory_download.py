"""Runs directory downloads over whatever carries their requests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from psp.directory.digests import Gathering, Plan, split_digests
from psp.directory.element_download import ElementDownload
from psp.directory.listing import LENGTH_SIZE, split_listing
from psp.directory.paging import Outcome, PageDownload, PagingConfig
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.descriptor import MAX_DESCRIPTOR_BYTES
from psp.wire.directory_page import DIGEST_SIZE, Content, Fetch

Ask = Callable[[Fetch], Awaitable[bytes | None]]
"""Sends one request; returns the answer's data, or None without one."""


_HOSTILE = {Outcome.MALFORMED, Outcome.INCONSISTENT, Outcome.TOO_LARGE}


class Download(Protocol):
    """What `run_download` runs: a `PageDownload` or an `ElementDownload`."""

    outcome: Outcome | None

    def requests(self) -> list[Fetch]:
        """Return the requests to send now."""
        ...

    def receive(self, fetch: Fetch, data: bytes) -> None:
        """Take an answer."""

    def fail(self, fetch: Fetch) -> None:
        """Note the lack of one."""


async def run_download(download: Download, ask: Ask) -> None:
    """Ask for pages until the download has an outcome.

    Requests go out side by side, as many as the download's window allows. Those still
    on the way when it ends are cancelled.
    """
    asking: dict[asyncio.Future[bytes | None], Fetch] = {}
    try:
        while download.outcome is None:
            for fetch in download.requests():
                asking[asyncio.ensure_future(ask(fetch))] = fetch
            answered, _ = await asyncio.wait(
                asking, return_when=asyncio.FIRST_COMPLETED
            )
            # In the order they were sent: a set of futures has none of its own.
            for future in [future for future in asking if future in answered]:
                fetch, data = asking.pop(future), future.result()
                if data is None:
                    download.fail(fetch)
                else:
                    download.receive(fetch, data)
    finally:
        for future in asking:
            future.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def gather_descriptors(
    gathering: Gathering, asks: Mapping[NodeId, Ask], max_elements: int
) -> dict[NodeId, Outcome]:
    """Ask sources for digests, then for what is missing, until nothing more comes.

    Args:
        gathering: What is held; takes what comes, unverified.
        asks: How to ask each source.
        max_elements: That one source may list.

    Returns:
        How each source did: `Outcome.COMPLETE` only if it listed what it has and
        delivered nearly all it was asked for.
    """
    outcomes = dict(
        zip(
            asks,
            await asyncio.gather(
                *(_list(gathering, *item, max_elements) for item in asks.items())
            ),
            strict=True,
        )
    )
    while plan := gathering.plan(asks):
        fetched = await asyncio.gather(
            *(
                _fetch(gathering, plan, source, asks[source], max_elements)
                for source in plan.sources
            )
        )
        outcomes |= {source: outcome for source, outcome in fetched if outcome}
    for source, outcome in outcomes.items():
        if outcome is Outcome.COMPLETE and gathering.is_hollow(source):
            outcomes[source] = Outcome.HOLLOW
    return outcomes


async def _list(
    gathering: Gathering, source: NodeId, ask: Ask, max_elements: int
) -> Outcome:
    """Fetch one source's digests."""
    limits = PagingConfig(max_bytes=max_elements * DIGEST_SIZE)
    download = PageDownload(Content.DIGESTS, limits)
    await run_download(download, ask)
    outcome = download.outcome or Outcome.SILENT
    if outcome is Outcome.COMPLETE:
        try:
            gathering.add_source(source, split_digests(download.data, max_elements))
        except DecodeError:
            return Outcome.MALFORMED
    return outcome


async def _fetch(
    gathering: Gathering, plan: Plan, source: NodeId, ask: Ask, max_elements: int
) -> tuple[NodeId, Outcome | None]:
    """Fetch one source's share of a plan; return how it failed, if it did."""
    if source == plan.whole:
        outcome = await _fetch_whole(gathering, source, ask, max_elements)
        if outcome in _HOSTILE:
            gathering.forget(source)
            return source, outcome
    download = ElementDownload(plan.elements.get(source, ()))
    await run_download(download, ask)
    gathering.take(source, download.elements)
    gathering.lose(source, download.lost)
    is_good = download.outcome is Outcome.COMPLETE
    return source, None if is_good else download.outcome


async def _fetch_whole(
    gathering: Gathering, source: NodeId, ask: Ask, max_elements: int
) -> Outcome | None:
    """Fetch all that one source has, in pages.

    What fails because it takes too long is left to be asked for in elements.
    """
    size = max_elements * (LENGTH_SIZE + MAX_DESCRIPTOR_BYTES)
    download = PageDownload(Content.DESCRIPTORS, PagingConfig(max_bytes=size))
    await run_download(download, ask)
    gathering.lose_whole(source)
    if download.outcome is Outcome.COMPLETE:
        try:
            gathering.take_whole(source, split_listing(download.data, max_elements))
        except DecodeError:
            return Outcome.MALFORMED
    return download.outcome
