"""Runs one directory download over whatever carries its requests."""

import asyncio
from collections.abc import Awaitable, Callable

from psp.directory.paging import PageDownload
from psp.wire.directory_page import Fetch

Ask = Callable[[Fetch], Awaitable[bytes | None]]
"""Sends one request; returns the answer's data, or None without one."""


async def run_download(download: PageDownload, ask: Ask) -> None:
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
