"""Asking for single elements, whatever the server and the network do."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.directory.digests import element_digest
from psp.directory.element_download import ElementDownload
from psp.directory.listing import Snapshot, encode_listing
from psp.directory.paging import Outcome
from psp.wire.directory_page import CURRENT, PAGE_SIZE, Content, Fetched

ELEMENTS = [b"%04d" % number + bytes(119) for number in range(100)]
LARGE = [b"%04d" % number + bytes(181) for number in range(20)]
BY_DIGEST = {element_digest(element): element for element in ELEMENTS + LARGE}


def digests_of(elements):
    return [element_digest(element) for element in elements]


def serve(fetch, held=BY_DIGEST):
    """Answer as a server does: in order, until the next one does not fit."""
    found = [held[digest] for digest in fetch.digests if digest in held]
    while len(encode_listing(found)) > PAGE_SIZE:
        found.pop()
    if not found:
        return Fetched(CURRENT).encode()
    return page_of(found)


def page_of(elements):
    page = Snapshot(encode_listing(elements)).page(0)
    assert page is not None
    return page.encode()


def run(download, answer, dice=None):
    dice = dice or random.Random(0)
    waiting = []
    for _ in range(1000):
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


def test_elements_arrive_eight_to_a_request():
    download = ElementDownload(digests_of(ELEMENTS))
    asked = []

    def answer(fetch):
        asked.append(len(fetch.digests))
        return serve(fetch)

    assert run(download, answer) is Outcome.COMPLETE
    assert sorted(download.elements) == ELEMENTS
    assert download.lost == []
    assert sorted(asked) == [4] + [8] * 12


def test_eight_requests_are_on_the_way_at_once():
    download = ElementDownload(digests_of(ELEMENTS))

    requests = download.requests()

    assert len(requests) == 8
    assert {fetch.content for fetch in requests} == {Content.ELEMENTS}
    assert download.requests() == []


def test_what_does_not_fit_is_asked_for_again():
    download = ElementDownload(digests_of(LARGE))

    assert run(download, serve) is Outcome.COMPLETE
    assert sorted(download.elements) == LARGE
    assert download.lost == []


def test_what_the_server_does_not_have_is_lost_and_asked_for_once():
    held = {k: v for i, (k, v) in enumerate(BY_DIGEST.items()) if i % 3 and i < 100}
    download = ElementDownload(digests_of(ELEMENTS))
    count = 0

    def answer(fetch):
        nonlocal count
        count += 1
        return serve(fetch, held)

    assert run(download, answer) is Outcome.COMPLETE
    assert set(download.elements) == set(held.values())
    assert set(download.lost) == set(digests_of(ELEMENTS)) - set(held)
    assert count == 13


def test_a_server_that_has_nothing_ends_it_with_everything_lost():
    download = ElementDownload(digests_of(ELEMENTS))

    assert run(download, lambda fetch: serve(fetch, {})) is Outcome.COMPLETE
    assert sorted(download.lost) == sorted(digests_of(ELEMENTS))


def test_nothing_to_ask_for_is_complete():
    download = ElementDownload([])

    assert download.outcome is Outcome.COMPLETE
    assert download.requests() == []


@given(st.integers(0, 1000), st.floats(0.0, 0.4))
def test_loss_costs_time_only(seed, loss):
    dice = random.Random(seed)
    download = ElementDownload(digests_of(ELEMENTS), tries=100)

    outcome = run(download, lambda f: None if dice.random() < loss else serve(f), dice)

    assert outcome is Outcome.COMPLETE
    assert sorted(download.elements) == ELEMENTS


def test_a_silent_server_ends_it_and_what_came_is_kept():
    download = ElementDownload(digests_of(ELEMENTS))
    first = download.requests()[0]
    download.receive(first, serve(first))

    assert run(download, lambda _: None) is Outcome.SILENT
    assert len(download.elements) == 8
    assert sorted(download.lost) == sorted(digests_of(ELEMENTS[8:]))


BAD = {
    "junk": b"junk",
    "two pages": Fetched(b"whatever", 2, 0, bytes(PAGE_SIZE)).encode(),
    "an empty snapshot": Fetched(b"whatever").encode(),
    "something else": page_of([b"something else"]),
    "out of order": page_of([ELEMENTS[1], ELEMENTS[0]]),
    "twice": page_of([ELEMENTS[0], ELEMENTS[0]]),
    "not a listing": Fetched(Snapshot(bytes(3)).name, 1, 0, bytes(3)).encode(),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_bad_answer_ends_it(data):
    download = ElementDownload(digests_of(ELEMENTS[:9]))

    assert run(download, lambda _: data) is Outcome.MALFORMED
    assert download.elements == []
    assert sorted(download.lost) == sorted(digests_of(ELEMENTS[:9]))


def test_answers_nobody_waits_for_change_nothing():
    download = ElementDownload(digests_of(ELEMENTS[:9]))
    first, second = download.requests()
    download.receive(first, serve(first))

    download.receive(first, serve(first))
    download.fail(first)
    download.receive(second, b"junk")
    download.receive(second, serve(second))
    download.fail(second)

    assert download.outcome is Outcome.MALFORMED
    assert download.elements == ELEMENTS[:8]


@given(st.binary(max_size=1200))
def test_any_bytes_end_it_or_are_taken(data):
    download = ElementDownload(digests_of(ELEMENTS[:3]))

    assert run(download, lambda _: data) is not None
    assert set(download.elements) <= set(ELEMENTS)
