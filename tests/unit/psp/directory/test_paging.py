"""Downloading page by page, whatever the server and the network do."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.directory.listing import Snapshot
from psp.directory.paging import Outcome, PageDownload, PagingConfig
from psp.wire.directory_page import CURRENT, PAGE_SIZE, Content, Fetched

BODY = random.Random(1).randbytes(20 * PAGE_SIZE + 7)
SNAPSHOT = Snapshot(BODY)


def serve(snapshot, fetch):
    number = fetch.page if fetch.snapshot in {CURRENT, snapshot.name} else 0
    return page_of(snapshot, number).encode()


def page_of(snapshot, number):
    page = snapshot.page(number)
    assert page is not None
    return page


def run(download, answer, dice=None, rounds=1000):
    """Answer requests in random order until the download ends."""
    dice = dice or random.Random(0)
    waiting = []
    for _ in range(rounds):
        waiting += download.requests()
        if download.outcome is not None:
            return download.outcome
        fetch = waiting.pop(dice.randrange(len(waiting)))
        data = answer(fetch)
        if data is None:
            download.fail(fetch)
        else:
            download.receive(fetch, data)
    raise AssertionError("the download never ends")


def test_a_directory_arrives_whole():
    download = PageDownload(Content.DESCRIPTORS)

    outcome = run(download, lambda fetch: serve(SNAPSHOT, fetch))

    assert outcome is Outcome.COMPLETE
    assert download.data == BODY
    assert download.snapshot == SNAPSHOT.name
    assert download.requests() == []


def test_the_first_request_goes_alone_and_then_eight_at_a_time():
    download = PageDownload(Content.DESCRIPTORS)
    (first,) = download.requests()
    idle = download.requests()

    download.receive(first, serve(SNAPSHOT, first))
    window = download.requests()

    assert idle == []
    assert [fetch.page for fetch in window] == list(range(1, 9))
    assert {fetch.snapshot for fetch in window} == {SNAPSHOT.name}


def test_what_is_told_relative_to_a_base_is_asked_for_by_its_name_first():
    base = b"the base"
    download = PageDownload(Content.DIFFERENCE, base=base)
    asked = []

    def answer(fetch):
        asked.append(fetch.snapshot)
        number = 0 if fetch.snapshot == base else fetch.page
        return page_of(SNAPSHOT, number).encode()

    assert run(download, answer) is Outcome.COMPLETE
    assert download.data == BODY
    assert asked == [base, *[SNAPSHOT.name] * 20]


def test_a_server_that_gives_the_base_its_own_name_is_inconsistent():
    for pages in (0, 1):
        download = PageDownload(Content.DIFFERENCE, base=SNAPSHOT.name)
        data = Fetched(SNAPSHOT.name, pages, 0, b"x" * pages).encode()

        assert run(download, lambda _, data=data: data) is Outcome.INCONSISTENT


def test_an_empty_directory_is_complete():
    download = PageDownload(Content.DESCRIPTORS)

    assert run(download, lambda fetch: serve(Snapshot(b""), fetch)) is Outcome.COMPLETE
    assert download.data == b""


def test_nothing_to_fetch_is_unavailable():
    download = PageDownload(Content.REGISTRY)

    assert run(download, lambda _: Fetched(CURRENT).encode()) is Outcome.UNAVAILABLE


def test_what_the_asker_has_already_is_not_fetched_again():
    download = PageDownload(Content.DESCRIPTORS, held=SNAPSHOT.name)

    assert run(download, lambda fetch: serve(SNAPSHOT, fetch)) is Outcome.UNCHANGED


@given(
    st.integers(0, 2**32),
    st.integers(0, 40),
    st.lists(st.integers(0, 120), max_size=3, unique=True).map(sorted),
)
@settings(max_examples=150)
def test_loss_and_changes_cost_time_only(seed, loss, changes):
    dice = random.Random(seed)
    versions = [Snapshot(dice.randbytes(dice.randrange(15_000))) for _ in range(4)]
    served = 0

    def answer(fetch):
        nonlocal served
        served += 1
        if dice.randrange(100) < loss:
            return None
        return serve(versions[sum(change < served for change in changes)], fetch)

    config = PagingConfig(tries=30)
    download = PageDownload(Content.DESCRIPTORS, config)

    outcome = run(download, answer, dice)

    assert outcome is Outcome.COMPLETE
    assert download.data in {version.data for version in versions}


def test_a_page_that_never_comes_ends_it_after_four_tries():
    asked = []

    def answer(fetch):
        asked.append(fetch.page)
        return None if fetch.page == 5 else serve(SNAPSHOT, fetch)

    assert run(PageDownload(Content.DESCRIPTORS), answer) is Outcome.SILENT
    assert asked.count(5) == 4


def test_a_silent_server_ends_it():
    assert run(PageDownload(Content.DESCRIPTORS), lambda _: None) is Outcome.SILENT


@pytest.mark.parametrize("junk", [b"", b"junk", bytes(1183)])
def test_junk_ends_it(junk):
    assert run(PageDownload(Content.DESCRIPTORS), lambda _: junk) is Outcome.MALFORMED


def test_a_huge_directory_is_refused_at_the_first_page():
    huge = Fetched(b"hugehuge", 8000, 0, bytes(PAGE_SIZE)).encode()
    download = PageDownload(Content.DESCRIPTORS)

    assert run(download, lambda _: huge, rounds=2) is Outcome.TOO_LARGE


def test_the_cap_is_exact():
    config = PagingConfig(max_bytes=len(BODY) - 1)
    download = PageDownload(Content.DESCRIPTORS, config)

    assert run(download, lambda fetch: serve(SNAPSHOT, fetch)) is Outcome.TOO_LARGE
    assert download.data == b""


def test_a_server_whose_snapshot_never_stands_still_is_left():
    dice = random.Random(3)

    def answer(fetch):
        return serve(Snapshot(dice.randbytes(5000)), fetch)

    assert run(PageDownload(Content.DESCRIPTORS), answer) is Outcome.RESTLESS


def test_pages_that_do_not_make_up_the_snapshot_are_dropped():
    other = Snapshot(BODY[::-1])

    def answer(fetch):
        page = page_of(other if fetch.page == 3 else SNAPSHOT, fetch.page)
        return Fetched(SNAPSHOT.name, page.pages, page.page, page.data).encode()

    download = PageDownload(Content.DESCRIPTORS)

    assert run(download, answer) is Outcome.INCONSISTENT
    assert download.data == b""


def test_another_number_of_pages_under_one_name_ends_it():
    def answer(fetch):
        count = SNAPSHOT.pages + (fetch.page > 0)
        data = page_of(SNAPSHOT, fetch.page).data.ljust(PAGE_SIZE)
        return Fetched(SNAPSHOT.name, count, fetch.page, data).encode()

    assert run(PageDownload(Content.DESCRIPTORS), answer) is Outcome.INCONSISTENT


def test_another_page_than_the_one_asked_for_ends_it():
    def answer(fetch):
        return page_of(SNAPSHOT, 0).encode()

    assert run(PageDownload(Content.DESCRIPTORS), answer) is Outcome.INCONSISTENT


def test_answers_nobody_waits_for_change_nothing():
    download = PageDownload(Content.DESCRIPTORS)
    (first,) = download.requests()
    download.receive(first, serve(SNAPSHOT, first))
    window = download.requests()

    download.receive(first, b"junk")
    download.fail(first)
    download.receive(window[0], serve(SNAPSHOT, window[0]))
    download.receive(window[0], b"junk")
    download.fail(window[0])

    assert download.outcome is None
    assert len(download.requests()) == 1
