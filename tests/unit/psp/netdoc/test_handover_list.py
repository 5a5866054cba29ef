"""Hand-overs as they are fetched from a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.netdoc.handover import MAX_SIGNATURES, NOBODY, Seat
from psp.netdoc.handover_list import (
    MAX_LIST_BYTES,
    join_hand_overs,
    split_hand_overs,
)
from psp.testing.handovers import Succession

CHAIN = Succession({4: [1, 2, 3], 5: [2, 3, 4]})
SOME = [
    CHAIN.hand_over(4, []),
    CHAIN.hand_over(5, [1, 2, 11]),
    CHAIN.hand_over(5, [4], later=21_600),
]
WIRE = join_hand_overs(SOME)


def test_a_list_survives_the_round_trip():
    assert split_hand_overs(WIRE) == SOME
    assert split_hand_overs(b"") == []


@given(st.binary(max_size=100))
def test_any_bytes_give_decode_error(data):
    if data:
        with pytest.raises(DecodeError):
            split_hand_overs(data)


@given(st.integers(1, len(WIRE) - 1))
def test_a_list_cut_short_is_refused_or_ends_between_two(size):
    try:
        hand_overs = split_hand_overs(WIRE[:size])
    except DecodeError:
        return
    assert hand_overs == SOME[: len(hand_overs)]


@pytest.mark.parametrize("some", [SOME[::-1], [SOME[0], SOME[0]]])
def test_the_oldest_comes_first_and_one_a_period(some):
    with pytest.raises(DecodeError, match="order"):
        split_hand_overs(join_hand_overs(some))


def test_two_bodies_of_one_period_are_not_one_list():
    other = CHAIN.signed(SOME[1], [3])
    changed = CHAIN.hand_over(5, [], later=12)

    assert other.start == changed.start
    with pytest.raises(DecodeError, match="order"):
        split_hand_overs(join_hand_overs([other, changed]))


def test_there_are_sixteen_at_most():
    many = Succession({epoch: [1, 2] for epoch in range(4, 22)})
    hand_overs = [many.hand_over(epoch, []) for epoch in range(4, 21)]

    assert len(split_hand_overs(join_hand_overs(hand_overs[:16]))) == 16
    with pytest.raises(LocalProtocolError):
        join_hand_overs(hand_overs)
    with pytest.raises(DecodeError, match="more than 16"):
        split_hand_overs(WIRE[:0] + b"".join(join_hand_overs([h]) for h in hand_overs))


def test_the_largest_list_has_room():
    seat = 4 + len(NOBODY)
    largest = 4 + len(SOME[0].body) + (2 * 256 + 16) * seat + MAX_SIGNATURES * 96

    assert Seat(1, NOBODY)
    assert 16 * largest < MAX_LIST_BYTES
