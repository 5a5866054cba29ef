"""Running a download over something asynchronous."""

import asyncio

from psp.directory.listing import Snapshot
from psp.directory.paging import Outcome, PageDownload
from psp.runtime.directory_download import run_download
from psp.wire.directory_page import CURRENT, PAGE_SIZE, Content

SNAPSHOT = Snapshot(bytes(30 * PAGE_SIZE))


def page_of(fetch):
    page = SNAPSHOT.page(fetch.page)
    assert page is not None
    return page


class Server:
    def __init__(self, broken=()):
        self.broken = set(broken)
        self.is_full = asyncio.Event()
        self.busy = self.most_busy = self.cancelled = 0

    async def ask(self, fetch):
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        if self.busy == 8:
            self.is_full.set()
        try:
            for _ in range(fetch.page % 5 + 1):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.busy -= 1
        if fetch.page in self.broken:
            return None
        return page_of(fetch).encode()


async def test_pages_are_asked_for_side_by_side():
    server = Server()
    download = PageDownload(Content.DESCRIPTORS)

    await run_download(download, server.ask)

    assert download.outcome is Outcome.COMPLETE
    assert download.data == SNAPSHOT.data
    assert server.most_busy == 8


async def test_what_is_on_the_way_is_cancelled_at_the_end():
    server = Server(broken=[1])
    download = PageDownload(Content.DESCRIPTORS)

    await run_download(download, server.ask)

    assert download.outcome is Outcome.SILENT
    assert server.busy == 0


async def test_cancelling_the_download_cancels_its_requests():
    server = Server()
    task = asyncio.create_task(
        run_download(PageDownload(Content.DESCRIPTORS), server.ask)
    )
    await server.is_full.wait()

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert server.busy == 0
    assert server.cancelled > 0


async def test_a_download_that_has_ended_asks_nothing():
    download = PageDownload(Content.DESCRIPTORS, held=SNAPSHOT.name)
    (fetch,) = download.requests()
    download.receive(fetch, page_of(fetch).encode())
    server = Server()

    await run_download(download, server.ask)

    assert download.outcome is Outcome.UNCHANGED
    assert download.snapshot == CURRENT
    assert server.most_busy == 0
