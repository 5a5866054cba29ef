"""FETCH and FETCHED."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.directory_page import (
    CURRENT,
    MAX_PAGES,
    PAGE_SIZE,
    Content,
    Fetch,
    Fetched,
)
from psp.wire.onion import message_capacity

NAME = bytes(range(1, 9))
NAMES = st.binary(min_size=8, max_size=8).filter(lambda name: name != CURRENT)


@st.composite
def pages(draw):
    count = draw(st.integers(1, MAX_PAGES))
    number = draw(st.integers(0, count - 1))
    least = 1 if number == count - 1 else PAGE_SIZE
    size = draw(st.integers(least, PAGE_SIZE))
    return Fetched(draw(NAMES), count, number, bytes([size % 251]) * size)


PAGED = [content for content in Content if content is not Content.ELEMENTS]
DIGESTS = st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=8)


@given(st.sampled_from(PAGED), st.just(CURRENT) | NAMES, st.integers(0, MAX_PAGES - 1))
def test_request_survives_the_round_trip(content, snapshot, page):
    fetch = Fetch(content, snapshot, page)

    assert Fetch.decode(fetch.encode()) == fetch


@given(DIGESTS)
def test_request_for_elements_survives_the_round_trip(digests):
    fetch = Fetch(Content.ELEMENTS, digests=tuple(digests))

    assert Fetch.decode(fetch.encode()) == fetch
    assert len(fetch.encode()) == 11 + 8 * len(digests)


@given(pages())
def test_page_survives_the_round_trip_and_fits_any_hop(page):
    wire = page.encode()

    assert Fetched.decode(wire) == page
    assert 1 + len(wire) <= message_capacity(4), "a part byte stands in front"


def test_an_empty_snapshot_and_none_survive_the_round_trip():
    for fetched in (Fetched(NAME), Fetched(CURRENT)):
        assert Fetched.decode(fetched.encode()) == fetched


@given(st.binary(max_size=1200))
def test_any_bytes_give_a_message_or_decode_error(data):
    for kind in (Fetch, Fetched):
        try:
            message = kind.decode(data)
        except DecodeError:
            continue
        assert message.encode() == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01" + NAME + b"\x00",
        b"\x09" + NAME + b"\x00\x00",
        b"\x01" + NAME + b"\xff\xff",
        b"\x01" + NAME + b"\x00\x00\x00",
        b"\x01" + NAME + b"\x00\x00" + NAME,
        b"\x04" + CURRENT + b"\x00\x00",
        b"\x04" + CURRENT + b"\x00\x00" + 9 * NAME,
        b"\x04" + CURRENT + b"\x00\x00" + NAME[:7],
        b"\x04" + CURRENT + b"\x00\x01" + NAME,
        b"\x04" + NAME + b"\x00\x00" + NAME,
    ],
    ids=[
        "empty",
        "short",
        "unknown content",
        "page 65535",
        "long",
        "digests for a page",
        "no digest",
        "nine digests",
        "half a digest",
        "a page of elements",
        "a snapshot of elements",
    ],
)
def test_bad_requests_are_refused(data):
    with pytest.raises(DecodeError):
        Fetch.decode(data)


def fetched(name, count, number, data):
    numbers = b"".join(n.to_bytes(2) for n in (count, number, len(data)))
    return name + numbers + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        fetched(NAME, 0, 0, b"x"),
        fetched(NAME, 0, 1, b""),
        fetched(NAME, 1, 1, b"x"),
        fetched(NAME, 1, 0, b""),
        fetched(NAME, 2, 0, b"not full"),
        fetched(NAME, 1, 0, bytes(PAGE_SIZE + 1)),
        fetched(CURRENT, 1, 0, b"x"),
        fetched(NAME, 1, 0, b"x") + b"\x00",
        fetched(NAME, 1, 0, b"xy")[:-1],
    ],
)
def test_bad_pages_are_refused(data):
    with pytest.raises(DecodeError):
        Fetched.decode(data)


@pytest.mark.parametrize(
    "message",
    [
        Fetch(Content.DESCRIPTORS, b"short"),
        Fetch(Content.DESCRIPTORS, NAME, MAX_PAGES),
        Fetch(Content.DIGESTS, digests=(NAME,)),
        Fetch(Content.ELEMENTS),
        Fetch(Content.ELEMENTS, digests=(NAME,) * 9),
        Fetch(Content.ELEMENTS, digests=(b"short",)),
        Fetched(NAME, 2, 0, b"not full"),
        Fetched(b"short"),
        Fetched(NAME, MAX_PAGES + 1, 0, bytes(PAGE_SIZE)),
    ],
)
def test_what_nobody_would_read_is_not_written(message):
    with pytest.raises(LocalProtocolError):
        message.encode()
