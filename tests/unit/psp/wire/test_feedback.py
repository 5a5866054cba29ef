"""FEEDBACK blocks (psp/wire/feedback.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError
from psp.wire.feedback import Feedback

u32 = st.integers(0, 2**32 - 1)


@given(st.integers(0, 2**64 - 1), u32, u32, u32, u32)
def test_feedback_survives(highest, received, marked, came, held):
    feedback = Feedback(highest, received, marked, came, held)

    assert Feedback.decode(feedback.encode()) == feedback


def test_counts_wrap_and_a_long_wait_is_held_at_its_limit():
    feedback = Feedback(1, 2**32 + 2, 2**33 + 3, 2**34 + 4, 2**35)

    decoded = Feedback.decode(feedback.encode())

    assert decoded == Feedback(1, 2, 3, 4, 2**32 - 1)


def test_the_bytes_are_those_of_the_specification():
    assert Feedback(1, 2, 3, 4, 5).encode().hex() == (
        "000000000000000100000002000000030000000400000005"
    )


@given(st.binary(max_size=64).filter(lambda content: len(content) != 24))
def test_another_length_is_refused(content):
    with pytest.raises(DecodeError, match=f"feedback of {len(content)} bytes"):
        Feedback.decode(content)
