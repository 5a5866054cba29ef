"""Signs of life, and their absence."""

import pytest

from psp.link.config import LinkConfig
from psp.link.liveness import Liveness
from psp.units import Monotonic

NOW = Monotonic(100.0)


def later(seconds: float) -> Monotonic:
    return Monotonic(NOW + seconds)


def liveness() -> Liveness:
    return Liveness(LinkConfig(), NOW)


def test_an_idle_link_is_asked_after_a_while() -> None:
    assert liveness().due(is_confirmed=True) == later(15)


def test_whoever_sends_and_hears_nothing_asks_each_second() -> None:
    life = liveness()
    life.sent(later(20), is_demanding=True)

    assert life.due(is_confirmed=True) == later(21)
    life.probe(b"12345678", later(21))
    assert life.due(is_confirmed=True) == later(22)
    assert not life.is_silent(later(22.9))
    assert life.is_silent(later(23))


def test_padding_demands_nothing() -> None:
    life = liveness()

    life.sent(later(1), is_demanding=False)

    assert not life.is_silent(later(60))
    assert life.last_sent == later(1)


def test_a_sign_of_life_ends_the_wait() -> None:
    life = liveness()
    life.sent(NOW, is_demanding=True)

    life.heard(later(0.2))

    assert not life.is_silent(later(60))


def test_what_comes_sooner_than_an_answer_can_does_not() -> None:
    life = liveness()
    life.sample(0.1)
    life.sent(NOW, is_demanding=True)
    life.sent(later(0.5), is_demanding=True)

    life.heard(later(0.51))

    assert not life.is_silent(later(3.4))
    assert life.is_silent(later(3.5))


def test_unconfirmed_keys_are_asked_after_sooner_and_less_and_less_often() -> None:
    life = liveness()

    waits = []
    moment = NOW
    for _ in range(4):
        due = life.due(is_confirmed=False)
        waits.append(due - moment)
        moment = due
        life.probe(b"12345678", moment)

    assert waits == pytest.approx([0.25, 0.375, 0.5625, 0.84375])


def test_an_answer_measures_the_round_trip_once() -> None:
    life = liveness()
    life.probe(b"12345678", NOW)

    assert not life.answered(b"87654321", later(0.1))
    assert life.answered(b"12345678", later(0.1))
    assert not life.answered(b"12345678", later(0.9))
    assert life.rtt == pytest.approx(0.1)
    life.sample(0.9)
    assert life.rtt == pytest.approx(0.2)


def test_nobody_answers_before_being_asked() -> None:
    assert not liveness().answered(b"", NOW)
