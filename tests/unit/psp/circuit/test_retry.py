"""When requests are repeated."""

import pytest

from psp.circuit.retry import GIVE_UP_AFTER, SEND_TIMES, Retry
from psp.units import Monotonic


def test_five_tries_back_off_by_half_and_double_their_copies():
    tries = [0.0, 0.25, 0.625, 1.1875, 2.03125]
    expected = [
        start + 0.02 * copy
        for start, copies in zip(tries, [1, 2, 4, 8, 8], strict=True)
        for copy in range(copies)
    ]

    assert pytest.approx(expected) == SEND_TIMES
    assert pytest.approx(3.296875) == GIVE_UP_AFTER


def test_each_sending_is_taken_once_at_its_time():
    retry = Retry(Monotonic(100.0))
    sent = []

    while not retry.is_over(retry.next_due):
        now = retry.next_due
        assert retry.take(now)
        assert not retry.take(now)
        sent.append(now - 100.0)

    assert pytest.approx(SEND_TIMES) == sent
    assert retry.next_due == pytest.approx(100.0 + GIVE_UP_AFTER)
    assert not retry.take(Monotonic(200.0))


def test_nothing_is_sent_before_it_is_due():
    retry = Retry(Monotonic(0.0))
    retry.take(Monotonic(0.0))

    assert not retry.take(Monotonic(0.249))
    assert not retry.is_over(Monotonic(0.249))


def test_a_late_call_sends_once_for_all_that_was_due():
    retry = Retry(Monotonic(0.0))

    assert retry.take(Monotonic(1.0))
    assert not retry.take(Monotonic(1.0))
    assert retry.next_due == pytest.approx(1.1875)


def test_giving_up_can_be_earlier():
    retry = Retry(Monotonic(0.0), give_up_after=2.7)
    retry.take(Monotonic(2.5))

    assert not retry.is_over(Monotonic(2.69))
    assert retry.is_over(Monotonic(2.7))
