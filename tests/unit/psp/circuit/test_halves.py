"""Joining halves."""

import pytest

from psp.circuit.halves import MAX_PARTIAL, HalfTable
from psp.units import Monotonic

START = Monotonic(10.0)


@pytest.mark.parametrize("parts", [(1, 2), (2, 1)])
def test_halves_are_joined_in_any_order(parts):
    halves = HalfTable()
    data = {1: b"one", 2: b"two"}

    assert halves.add("a", parts[0], data[parts[0]], START) is None
    assert halves.add("a", parts[1], data[parts[1]], START) == b"onetwo"
    assert len(halves) == 0


def test_the_same_half_twice_is_not_a_whole():
    halves = HalfTable()

    assert halves.add("a", 1, b"one", START) is None
    assert halves.add("a", 1, b"one", START) is None
    assert halves.add("a", 2, b"two", START) == b"onetwo"


def test_halves_of_different_messages_stay_apart():
    halves = HalfTable()
    halves.add("a", 1, b"one", START)

    assert halves.add("b", 2, b"two", START) is None


def test_a_half_waits_two_seconds_after_it_was_last_heard():
    halves = HalfTable()
    halves.add("a", 1, b"one", START)
    halves.add("a", 1, b"one", Monotonic(11.5))

    assert halves.next_timeout() == 13.5
    halves.expire(Monotonic(13.4))
    assert halves.add("a", 2, b"two", Monotonic(13.4)) == b"onetwo"


@pytest.mark.parametrize("is_expired_first", [True, False])
def test_a_half_that_waited_too_long_is_gone(is_expired_first):
    halves = HalfTable()
    halves.add("a", 1, b"one", START)

    if is_expired_first:
        halves.expire(Monotonic(12.0))
        assert len(halves) == 0
    assert halves.add("a", 2, b"two", Monotonic(12.0)) is None


def test_the_fifth_half_drops_the_oldest():
    halves = HalfTable()
    for key in range(MAX_PARTIAL + 1):
        halves.add(key, 1, b"one", Monotonic(START + key / 10))

    assert len(halves) == MAX_PARTIAL
    assert halves.next_timeout() == pytest.approx(12.1)
    assert halves.add(1, 2, b"two", START) == b"onetwo"
    assert halves.add(0, 2, b"two", START) is None


def test_a_half_can_be_forgotten():
    halves = HalfTable()
    halves.add("a", 1, b"one", START)

    halves.discard("a")
    halves.discard("b")

    assert halves.next_timeout() is None
