"""Running a download over something asynchronous."""

import asyncio

import pytest

from psp.directory.digests import Gathering
from psp.directory.listing import Snapshot
from psp.directory.paging import Outcome, PageDownload
from psp.runtime.directory_download import gather_descriptors, run_download
from psp.testing.directory_source import MemorySource
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


ELEMENTS = [b"%04d" % number + bytes(119) for number in range(500)]
A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))


def asking(source):
    async def ask(fetch):
        await asyncio.sleep(0)
        return source.answer(fetch)

    return ask


async def gather(held, **sources):
    gathering = Gathering()
    gathering.hold(held)
    names = {"a": A, "b": B, "c": C}
    asks = {names[name]: asking(source) for name, source in sources.items()}
    outcomes = await gather_descriptors(gathering, asks, 600)
    return gathering, outcomes


async def test_all_is_fetched_whole_from_one_and_the_rest_from_those_who_have_it():
    a, b, c = (
        MemorySource(ELEMENTS[:480]),
        MemorySource(ELEMENTS[20:]),
        MemorySource(ELEMENTS[:480]),
    )

    gathering, outcomes = await gather((), a=a, b=b, c=c)

    assert set(outcomes.values()) == {Outcome.COMPLETE}
    assert sorted(gathering.elements.values()) == ELEMENTS
    assert sorted(gathering.known(B)) == ELEMENTS[20:]
    assert [source.asked[Content.DESCRIPTORS] > 0 for source in (a, b, c)].count(
        True
    ) == 1
    assert sum(source.asked[Content.ELEMENTS] for source in (a, b, c)) == 3


async def test_only_what_is_missing_is_fetched_and_the_sources_share_it():
    a, b, c = MemorySource(ELEMENTS), MemorySource(ELEMENTS), MemorySource(ELEMENTS)

    gathering, _ = await gather(ELEMENTS[:404], a=a, b=b, c=c)

    assert sorted(gathering.known(C)) == ELEMENTS
    for source in (a, b, c):
        assert source.asked[Content.ELEMENTS] == 4
        assert source.asked[Content.DESCRIPTORS] == 0


async def test_nothing_new_costs_the_digests_only():
    source = MemorySource(ELEMENTS)

    _, outcomes = await gather(ELEMENTS, a=source)

    assert outcomes == {A: Outcome.COMPLETE}
    assert source.asked[Content.DIGESTS] == 4
    assert sum(source.asked.values()) == 4


async def test_whoever_lists_what_it_does_not_have_is_hollow_and_made_up_for():
    hollow = MemorySource(ELEMENTS[:1], listed=ELEMENTS[:60])

    gathering, outcomes = await gather((), a=hollow, b=MemorySource(ELEMENTS[:60]))

    assert outcomes == {A: Outcome.HOLLOW, B: Outcome.COMPLETE}
    assert sorted(gathering.elements.values()) == ELEMENTS[:60]


async def test_a_listing_that_does_not_come_is_made_up_for_in_elements():
    slow = MemorySource(ELEMENTS)
    slow.silent_about = {Content.DESCRIPTORS}

    gathering, outcomes = await gather((), a=slow)

    assert outcomes == {A: Outcome.COMPLETE}
    assert len(gathering.elements) == 500


@pytest.mark.parametrize("junk", [b"junk", b"\0\0" + bytes(8000)])
async def test_a_hostile_listing_is_forgotten_and_others_are_asked(junk):
    hostile = MemorySource(ELEMENTS)
    hostile.snapshots[Content.DESCRIPTORS] = Snapshot(junk)

    gathering, outcomes = await gather((), a=hostile, b=MemorySource(ELEMENTS))

    assert outcomes == {A: Outcome.MALFORMED, B: Outcome.COMPLETE}
    assert gathering.known(A) == []
    assert len(gathering.elements) == 500


async def test_silence_in_the_middle_costs_time_only():
    silent = MemorySource(ELEMENTS[:60])
    silent.silent_about = {Content.ELEMENTS}

    gathering, outcomes = await gather((), a=silent, b=MemorySource(ELEMENTS[:60]))

    assert outcomes == {A: Outcome.SILENT, B: Outcome.COMPLETE}
    assert len(gathering.elements) == 60
    assert len(gathering.known(A)) == 60


@pytest.mark.parametrize("digests", [bytes(7), bytes(16), bytes(range(250)) * 20])
async def test_a_bad_list_of_digests_counts_as_no_answer(digests):
    bad = MemorySource(())
    bad.snapshots[Content.DIGESTS] = Snapshot(digests)

    gathering, outcomes = await gather((), a=bad, b=MemorySource(ELEMENTS[:5]))

    assert outcomes[A] in {Outcome.MALFORMED, Outcome.TOO_LARGE}
    assert outcomes[B] is Outcome.COMPLETE
    assert gathering.known(A) == []
