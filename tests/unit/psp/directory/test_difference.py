"""Differences between listings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.directory.chain.records import NodeStatus
from psp.directory.difference import difference, patched
from psp.errors import DecodeError
from psp.testing.chain import MemoryContracts
from psp.testing.entropy import SeededEntropy


def listing(contracts):
    return b"".join(contracts.nodes)


def later():
    """Return a listing, and the same after some nodes have come, changed and gone."""
    contracts = MemoryContracts.with_nodes(SeededEntropy("difference"), 40)
    before = listing(contracts)
    contracts.end_node(3, NodeStatus.RETIRED)
    contracts.end_node(17, NodeStatus.REVOKED)
    contracts.add_node(SeededEntropy("new"))
    contracts.add_node(SeededEntropy("newer"))
    return before, listing(contracts)


BEFORE, AFTER = later()
CHANGES = difference(BEFORE, AFTER)


def test_a_difference_turns_one_listing_into_the_other():
    assert patched(BEFORE, CHANGES) == AFTER


def test_it_holds_what_has_changed_and_no_more():
    assert len(CHANGES) == 73 + 4 * 4 + 32 + 3 * 192
    assert len(difference(BEFORE, BEFORE)) == 73


def test_all_of_a_listing_is_a_difference_from_nothing():
    assert patched(b"", difference(b"", AFTER)) == AFTER
    assert patched(AFTER, difference(AFTER, AFTER)) == AFTER


def test_a_listing_does_not_shrink():
    with pytest.raises(DecodeError):
        difference(AFTER, BEFORE)


def test_a_difference_from_another_listing_is_refused():
    with pytest.raises(DecodeError, match="another listing"):
        patched(AFTER, CHANGES)


@given(st.integers(0, len(CHANGES) * 8 - 1))
def test_one_flipped_bit_is_refused(bit):
    changed = bytearray(CHANGES)
    changed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(DecodeError):
        patched(BEFORE, bytes(changed))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    with pytest.raises(DecodeError):
        patched(BEFORE, data)


@given(st.integers(0, len(CHANGES) - 1))
def test_a_difference_cut_short_is_refused(size):
    with pytest.raises(DecodeError):
        patched(BEFORE, CHANGES[:size])


@pytest.mark.parametrize(
    ("start", "value"),
    [
        (65, (43).to_bytes(4)),
        (65, (1 << 31).to_bytes(4)),
        (69, (1 << 31).to_bytes(4)),
        (73, (17).to_bytes(4) + (3).to_bytes(4)),
        (73, (0).to_bytes(4)),
        (81, (43).to_bytes(4)),
    ],
    ids=["a record more", "too many", "too many changed", "disorder", "0", "a gap"],
)
def test_numbers_that_make_no_listing_are_refused(start, value):
    changed = bytearray(CHANGES)
    changed[start : start + len(value)] = value

    with pytest.raises(DecodeError):
        patched(BEFORE, bytes(changed))
