"""Requests for missing packets, by timer."""

import pytest

from psp.media.missing import (
    MAX_TRIES,
    MIN_PATIENCE,
    PATIENCE_OF_ROUND_TRIP,
    UNKNOWN_ROUND_TRIP,
    MissingPackets,
)
from psp.units import Monotonic, Seconds


def missing_over(round_trip: float) -> MissingPackets:
    return MissingPackets(lambda: Seconds(round_trip))


def test_first_request_waits_for_an_overtaken_packet():
    missing = missing_over(0.01)
    missing.notice(range(3, 5), Monotonic(1.0))

    assert missing.due(Monotonic(1.0)) == []
    assert missing.next_request() == 1.0 + MIN_PATIENCE
    assert missing.due(Monotonic(1.0 + MIN_PATIENCE)) == [3, 4]


def test_on_a_long_path_the_first_request_waits_for_repair_by_a_link():
    missing = missing_over(0.56)
    missing.notice(range(1), Monotonic(0.0))

    assert missing.next_request() == pytest.approx(0.56 * PATIENCE_OF_ROUND_TRIP)
    assert missing.next_request() > 0.56 / 7


def test_request_is_repeated_after_a_pause_and_not_for_ever():
    missing = missing_over(0.1)
    missing.notice(range(1), Monotonic(0.0))

    tries = 0
    while (when := missing.next_request()) is not None:
        assert missing.due(when) == [0]
        tries += 1

    assert tries == MAX_TRIES


@pytest.mark.parametrize(
    ("round_trip", "pause"),
    [
        (0.0, 1.25 * UNKNOWN_ROUND_TRIP),
        (0.001, 0.04),
        (0.1, 0.125),
        (0.56, 0.7),
        (5, 2),
    ],
)
def test_pause_follows_short_and_long_round_trips_within_bounds(round_trip, pause):
    assert missing_over(round_trip).pause == pytest.approx(pause)


def test_what_is_given_up_is_forgotten():
    missing = missing_over(0.1)
    missing.notice(range(10), Monotonic(0.0))

    assert missing.give_up_below(4) == 4
    assert len(missing) == 6
    assert missing.noticed_at(3) is None
    assert not missing.resolve(3)


def test_the_path_is_asked_once_however_much_is_missing():
    asked: list[None] = []

    def round_trip() -> Seconds:
        asked.append(None)
        return Seconds(0.1)

    missing = MissingPackets(round_trip)
    missing.notice(range(200), Monotonic(1.0))
    missing.next_request()
    missing.due(Monotonic(1.0))

    assert len(asked) == 4  # the patience and the pause, in each call
