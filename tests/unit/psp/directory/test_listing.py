"""A directory as one string of bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.directory.listing import (
    MAX_ELEMENT_BYTES,
    Snapshot,
    encode_listing,
    snapshot_name,
    split_listing,
)
from psp.errors import DecodeError, LocalProtocolError
from psp.wire.directory_page import CURRENT, MAX_PAGES, PAGE_SIZE

ELEMENTS = st.lists(st.binary(min_size=1, max_size=300), max_size=30)


@given(ELEMENTS)
def test_listing_survives_the_round_trip(elements):
    assert split_listing(encode_listing(elements), 30) == elements


@given(st.binary(max_size=300))
def test_any_bytes_give_elements_or_decode_error(data):
    with contextlib.suppress(DecodeError):
        assert encode_listing(split_listing(data, 1000)) == data


def test_too_many_elements_are_refused():
    with pytest.raises(DecodeError, match="more than 2"):
        split_listing(encode_listing([b"a", b"b", b"c"]), 2)


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x00", b"\x00\x02a", b"\xff\xff"])
def test_a_malformed_listing_is_refused(data):
    with pytest.raises(DecodeError):
        split_listing(data, 10)


@pytest.mark.parametrize("element", [b"", bytes(MAX_ELEMENT_BYTES + 1)])
def test_elements_that_nobody_reads_are_not_listed(element):
    with pytest.raises(LocalProtocolError):
        encode_listing([element])


@given(st.binary(max_size=5000))
def test_pages_put_together_are_the_snapshot(data):
    snapshot = Snapshot(data)

    found = [snapshot.page(n) for n in range(max(1, snapshot.pages))]
    pages = [page for page in found if page is not None]

    assert b"".join(page.data for page in pages) == data
    assert {page.snapshot for page in pages} == {snapshot_name(data)}
    assert all(page.encode() for page in pages)


def test_there_is_no_page_beyond_the_last():
    assert Snapshot(bytes(PAGE_SIZE)).page(1) is None
    assert Snapshot(b"").page(1) is None
    assert Snapshot(b"x").page(-1) is None


def test_other_bytes_have_another_name_and_none_is_current():
    assert snapshot_name(b"a") != snapshot_name(b"b")
    assert snapshot_name(b"") != CURRENT


def test_a_snapshot_too_large_for_page_numbers_is_a_bug():
    with pytest.raises(LocalProtocolError):
        Snapshot(bytes(MAX_PAGES * PAGE_SIZE + 1))
