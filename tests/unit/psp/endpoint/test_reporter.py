"""When a receiver gives feedback, and what is in it (psp/endpoint/reporter.py)."""

import pytest

from psp.endpoint.reporter import Reporter
from psp.units import Monotonic
from psp.wire.feedback import Feedback

BEGAN = Monotonic(50.0)


def at(seconds):
    return Monotonic(BEGAN + seconds)


def feedback_times(blocks_per_second, seconds):
    reporter = Reporter(BEGAN)
    times = []
    for number in range(int(blocks_per_second * seconds)):
        now = at(number / blocks_per_second)
        reporter.note_blocks(1, 1, number, now)
        if reporter.feedback_to_send(now) is not None:
            times.append(now)
    return times


@pytest.mark.parametrize(
    ("blocks_per_second", "least", "most"),
    [(50, 4, 7), (300, 36, 41), (20_000, 90, 101)],
)
def test_feedback_is_as_frequent_as_blocks_are(blocks_per_second, least, most):
    assert least <= len(feedback_times(blocks_per_second, 1.0)) <= most


def test_the_first_block_is_told_at_once():
    reporter = Reporter(BEGAN)
    reporter.note_blocks(2, 1, 107, at(3.0))

    assert reporter.next_timeout() is not None
    assert reporter.feedback_to_send(at(3.25)) == Feedback(
        107, 2, 0, 3_000_000, 250_000
    )


def test_blocks_that_hold_nothing_of_the_apps_ask_for_no_feedback_but_count():
    reporter = Reporter(BEGAN)
    reporter.note_blocks(3, 0, 9, at(1.0))
    assert reporter.next_timeout() is None
    assert reporter.feedback_to_send(at(9.0)) is None

    reporter.note_blocks(1, 1, 10, at(9.0))

    assert reporter.feedback_to_send(at(9.0)) == Feedback(10, 4, 0, 9_000_000, 0)


def test_a_late_block_counts_and_changes_nothing_of_the_highest():
    reporter = Reporter(BEGAN)
    reporter.note_blocks(1, 1, 20, at(1.0))
    reporter.note_blocks(1, 1, 20, at(1.1))
    reporter.note_marks(2)

    assert reporter.feedback_to_send(at(1.2)) == Feedback(20, 2, 2, 1_000_000, 200_000)
    assert reporter.feedback_to_send(at(5.0)) is None
