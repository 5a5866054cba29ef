"""Requests for missing packets, by timer."""

from psp.media.missing import MAX_TRIES, REORDER_PATIENCE, MissingPackets
from psp.units import Monotonic


def test_first_request_waits_for_an_overtaken_packet():
    missing = MissingPackets()
    missing.notice(range(3, 5), Monotonic(1.0))

    assert missing.due(Monotonic(1.0)) == []
    assert missing.next_request() == 1.0 + REORDER_PATIENCE
    assert missing.due(Monotonic(1.0 + REORDER_PATIENCE)) == [3, 4]


def test_request_is_repeated_after_a_pause_and_not_for_ever():
    missing = MissingPackets()
    missing.notice(range(1), Monotonic(0.0))

    tries = 0
    while (when := missing.next_request()) is not None:
        assert missing.due(when) == [0]
        tries += 1

    assert tries == MAX_TRIES


def test_pause_follows_short_and_long_round_trips_within_bounds():
    for round_trip, expected in ((0.001, 0.04), (0.1, 0.125), (5.0, 0.4)):
        missing = MissingPackets()
        missing.notice(range(1), Monotonic(0.0))
        missing.due(Monotonic(0.01))
        missing.resolve(0, Monotonic(0.01 + round_trip))

        assert abs(missing.pause - expected) < 1e-9


def test_packet_asked_for_twice_does_not_measure_the_round_trip():
    missing = MissingPackets()
    before = missing.pause
    missing.notice(range(1), Monotonic(0.0))
    missing.due(Monotonic(1.0))
    missing.due(Monotonic(2.0))

    assert missing.resolve(0, Monotonic(2.001))
    assert missing.pause == before


def test_what_is_given_up_is_forgotten():
    missing = MissingPackets()
    missing.notice(range(10), Monotonic(0.0))

    assert missing.give_up_below(4) == 4
    assert len(missing) == 6
    assert missing.noticed_at(3) is None
    assert not missing.resolve(3, Monotonic(1.0))
