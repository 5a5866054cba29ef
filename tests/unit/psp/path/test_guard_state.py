"""What a client keeps of its guards."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError
from psp.ids import NodeId
from psp.path.guard_state import MAX_SAMPLE, Guard, decode_guards, encode_guards
from psp.units import UnixTime

TIMES = st.integers(0, 2**40 - 1)
GUARDS = st.builds(
    Guard,
    st.binary(min_size=32, max_size=32),
    TIMES,
    st.none() | TIMES,
    st.none() | TIMES,
    st.just(9),
    st.integers(0, 9),
)


def guard(node_id, sampled, **fields):
    return Guard(NodeId(node_id), UnixTime(sampled), **fields)


@given(st.lists(GUARDS, max_size=MAX_SAMPLE, unique_by=lambda g: g.node_id))
def test_state_survives_the_round_trip_in_order(guards):
    assert decode_guards(encode_guards(guards)) == guards


@given(st.binary(max_size=200))
def test_any_bytes_give_a_state_or_decode_error(data):
    with pytest.raises(DecodeError):
        decode_guards(data)


@given(st.data())
def test_one_flipped_bit_gives_a_state_or_decode_error(data):
    state = bytearray(encode_guards([guard(bytes(32), 5), guard(b"x" * 32, 6)]))
    bit = data.draw(st.integers(0, len(state) * 8 - 1))
    state[bit // 8] ^= 1 << bit % 8

    with contextlib.suppress(DecodeError):
        decode_guards(bytes(state))


@pytest.mark.parametrize(
    "guards",
    [
        [guard(bytes(32), 5), guard(bytes(32), 6)],
        [guard(bytes(32), 5, attempts=1, built=2)],
        [guard(i.to_bytes(32), 5) for i in range(MAX_SAMPLE + 1)],
        [guard(b"short", 5)],
        [guard(bytes(32), -5)],
    ],
)
def test_an_impossible_state_is_refused(guards):
    with pytest.raises(DecodeError):
        decode_guards(encode_guards(guards))
