"""Counters that wrap, unwrapped."""

from hypothesis import given
from hypothesis import strategies as st

from psp.media.sequence import Unwrapper


@given(st.integers(0, 65535), st.lists(st.integers(-3000, 3000), max_size=50))
def test_unwrapped_values_keep_the_distances_of_the_true_ones(first, steps):
    unwrapper = Unwrapper(16)
    true = first
    offset = unwrapper.unwrap(first) - first

    for step in steps:
        true += step
        if true - first < -20000 or true - first > 20000:
            break
        assert unwrapper.unwrap(true & 0xFFFF) - offset == true


def test_value_from_before_the_first_is_not_negative():
    unwrapper = Unwrapper(16)

    first = unwrapper.unwrap(0)

    assert unwrapper.unwrap(65535) == first - 1 > 0
