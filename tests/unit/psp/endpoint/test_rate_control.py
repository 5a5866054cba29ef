"""What a sender makes of feedback (psp/endpoint/rate_control.py).

Whole sessions over narrow paths are in tests/sim/test_session_rates.py.
"""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.endpoint.rate_control import (
    BLOCK_BITS,
    SILENCE,
    RateConfig,
    RateControl,
)
from psp.units import Monotonic
from psp.wire.feedback import Feedback

CONFIG = RateConfig(initial=864_000, floor=64_000)
"""100 blocks a second to begin with."""

EVERY = 0.025


class Path:
    """Carries one burst each 25 ms; feedback comes 20 ms after it."""

    def __init__(self, first: int = 5_000_000_000) -> None:
        self.now = Monotonic(1000.0)
        self.control = RateControl(CONFIG, self.now)
        self.counter = first
        self.received = 0
        self.marked = 0
        self.credit = 0.0

    def step(self, *, share=1.0, come=1.0, marked=0.0, queue=0.0, answers=True):
        """Send ``share`` of the rate; ``come`` of it comes, ``queue`` s late."""
        control = self.control
        self.credit += control.rate * share * EVERY
        blocks = int(self.credit)
        self.credit -= blocks
        if blocks:
            control.note_sent(self.counter, self.counter + blocks - 1, self.now)
            self.counter += blocks
            self.received += round(blocks * come)
            self.marked += round(blocks * marked)
        if share >= 1:
            control.note_waiting()
        if answers and blocks:
            came = Monotonic(self.now + 0.01 + queue)
            feedback = Feedback(
                self.counter - 1,
                self.received % 2**32,
                self.marked % 2**32,
                round((came - 900) * 1e6) % 2**32,
                5_000,
            )
            control.receive(feedback, Monotonic(came + 0.015))
        self.now = Monotonic(self.now + EVERY)
        control.check_silence(self.now)

    def steps(self, count, **how):
        for _ in range(count):
            self.step(**how)


def started(rate: float = 1000.0) -> Path:
    """Return a path that has found its limit, near ``rate`` blocks a second."""
    path = Path()
    while path.control.is_starting:
        path.step(queue=0.05 if path.control.rate > 1.2 * rate else 0.0)
    path.steps(12)
    return path


def test_it_begins_where_it_is_told_and_finds_more_in_a_second():
    path = Path()
    assert path.control.rate * BLOCK_BITS == CONFIG.initial

    path.steps(40)

    assert path.control.is_starting
    assert path.control.rate > 1000
    assert path.control.round_trip == pytest.approx(0.02)


def test_an_unused_start_makes_room_for_twice_what_is_sent_and_no_more():
    path = Path()

    path.steps(200, share=0.3)

    assert 100 <= path.control.rate < 1000
    assert path.control.is_starting


def test_one_queue_stops_the_start_and_a_second_ends_it():
    path = Path()
    path.steps(30)
    while path.control.queueing < 0.01:
        path.step(queue=0.03)
    held = path.control.rate

    assert path.control.is_starting
    path.steps(20, queue=0.03)
    assert not path.control.is_starting
    assert path.control.rate < held


@pytest.mark.parametrize(
    "trouble", [{"queue": 0.03}, {"marked": 1.0}, {"come": 0.8}], ids=str
)
def test_trouble_slows_down_and_its_end_lets_go(trouble):
    path = started()
    before = path.control.rate

    path.steps(30, **trouble)
    slow = path.control.rate
    path.steps(80)

    assert slow < 0.9 * before
    assert path.control.rate > 1.3 * slow


def test_a_queue_that_stands_is_answered_by_one_step_below_what_passes():
    path = started()
    while path.control.queueing < 0.01:
        path.step(queue=0.03)
    once = path.control.rate

    path.steps(4, queue=0.03)

    assert path.control.rate >= 0.9 * once


def test_many_quiet_rounds_start_it_anew():
    path = started()
    before = path.control.rate

    path.steps(60)

    assert path.control.is_starting
    assert path.control.rate > 10 * before


def test_few_marks_and_little_loss_are_no_trouble():
    path = started()
    before = path.control.rate

    path.steps(100, marked=0.02, come=0.95)

    assert path.control.rate > before


def test_marks_on_our_own_circuits_count_too():
    path = started()
    before = path.control.rate

    for _ in range(30):
        path.control.note_marks(10, 5)
        path.step()

    assert path.control.marked == pytest.approx(0.5)
    assert path.control.rate < before


def test_who_sends_little_learns_nothing_and_keeps_its_rate():
    path = started()
    path.steps(10, share=0.2)
    before = path.control.rate

    path.steps(400, share=0.2)

    assert path.control.rate == before


def test_silence_halves_the_rate_down_to_the_floor_and_starts_anew():
    path = started()
    before = path.control.rate

    path.steps(int(SILENCE / EVERY) + 2, answers=False)
    assert path.control.rate == pytest.approx(before / 2)
    assert path.control.is_starting
    path.steps(400, answers=False)

    assert path.control.rate * BLOCK_BITS == pytest.approx(CONFIG.floor)
    path.steps(100)
    assert path.control.rate > 1000


def test_nothing_sent_is_no_silence():
    path = started()
    before = path.control.rate

    path.steps(200, share=0.0)

    assert path.control.rate == before


def test_another_path_has_other_delays():
    path = started()
    path.control.change_path(path.now)

    path.steps(3, queue=0.2)

    assert path.control.queueing < 0.001


feedbacks = st.builds(
    Feedback,
    st.one_of(st.integers(0, 2**64 - 1), st.integers(5 * 10**9, 5 * 10**9 + 10_000)),
    *[st.integers(0, 2**32 - 1)] * 4,
)


@given(st.lists(feedbacks, max_size=20))
def test_whatever_the_peer_says_the_rate_stays_above_the_floor_and_finite(said):
    path = Path()
    path.steps(5)
    for feedback in said:
        path.control.receive(feedback, path.now)
        path.step()

    assert CONFIG.floor / BLOCK_BITS <= path.control.rate < 1e9
    assert 0 <= path.control.loss <= 1
    assert 0 <= path.control.marked <= 1


def test_more_than_was_sent_is_not_believed():
    path = started()
    path.steps(10)
    path.received += 10_000_000

    path.steps(20)

    assert path.control.loss == 0
    honest = started()
    honest.steps(30)
    assert path.control.rate <= 1.5 * honest.control.rate


def test_old_and_repeated_words_change_nothing():
    path = started()
    control = path.control
    old = Feedback(path.counter - 1, 0, 0, 0, 0)
    before = (control.rate, control.loss, control.queueing)

    control.receive(old, path.now)
    control.receive(dataclasses.replace(old, highest=3), path.now)

    assert (control.rate, control.loss, control.queueing) == before
