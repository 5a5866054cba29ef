"""Packets that were overtaken are asked for, and once more if that is of no avail."""

from psp.link.config import (
    REORDER_TOLERANCE,
    REPAIR_AGE,
    REPAIR_CREDIT,
    REPAIR_RING,
    REPAIR_SHARE,
)
from psp.link.gaps import Gaps
from psp.units import Monotonic

NOW = Monotonic(100.0)
SOON = Monotonic(NOW + REORDER_TOLERANCE)


def after(moment: Monotonic, seconds: float) -> Monotonic:
    return Monotonic(moment + seconds)


def gaps_with_round_trip(seconds: float) -> Gaps:
    """Return gaps that have been answered after ``seconds`` many times."""
    gaps = Gaps()
    for counter in range(60):
        gaps.note(counter, counter + 1, NOW)
        gaps.pop_due(SOON)
        gaps.fill(counter, after(SOON, seconds))
    gaps.received += 1000
    return gaps


def test_a_gap_waits_for_reordered_packets_before_it_is_asked_for() -> None:
    gaps = Gaps()
    gaps.note(3, 6, NOW)

    before = gaps.due
    assert before == SOON
    assert gaps.pop_due(NOW) == []
    assert gaps.fill(4, NOW) is False
    assert gaps.pop_due(SOON) == [3, 5]
    assert gaps.fill(5, after(SOON, 0.05)) is True
    assert gaps.fill(5, after(SOON, 0.05)) is False
    assert gaps.repaired == 1


def test_what_does_not_come_within_a_round_trip_is_asked_for_once_more() -> None:
    gaps = gaps_with_round_trip(0.08)
    gaps.note(100, 102, NOW)
    assert gaps.pop_due(SOON) == [100, 101]

    assert gaps.pop_due(after(SOON, 0.081)) == []
    gaps.fill(101, after(SOON, 0.081))
    again = gaps.due
    assert again is not None
    assert 0.085 < again - SOON < 0.11
    assert gaps.pop_due(again) == [100]
    assert gaps.due is None
    assert gaps.pop_due(after(NOW, 10)) == []
    assert gaps.fill(100, after(again, 0.08)) is True


def test_the_round_trip_is_measured() -> None:
    assert abs(gaps_with_round_trip(0.02).round_trip - 0.02) < 0.001


def test_nothing_is_asked_for_again_that_the_sender_no_longer_has() -> None:
    gaps = gaps_with_round_trip(REPAIR_AGE / 2)
    gaps.note(100, 101, NOW)
    assert gaps.pop_due(SOON) == [100]

    again = gaps.due
    assert again is not None
    assert gaps.pop_due(again) == []
    assert gaps.due is None


def test_deadlines_are_never_left_behind() -> None:
    # Sums of floats: what is due at a moment must be done at that very moment.
    gaps = gaps_with_round_trip(1 / 30)
    moment = Monotonic(4.0606249999999955)
    for number in range(500):
        gaps.note(100 + number, 101 + number, moment)
        while (due := gaps.due) is not None and due < moment + 0.01:
            gaps.pop_due(due)
            assert gaps.due is None or gaps.due > due
        moment = after(moment, 1 / 300)


def test_a_huge_gap_is_bounded() -> None:
    gaps = Gaps()

    gaps.note(0, 1 << 40, NOW)

    asked = gaps.pop_due(SOON)
    assert asked == list(range((1 << 40) - int(REPAIR_CREDIT), 1 << 40))
    for _ in range(3):
        gaps.received += 10_000
        gaps.note(0, REPAIR_RING, NOW)
        assert len(gaps.pop_due(SOON)) == REPAIR_CREDIT


def test_no_more_of_a_gap_is_noted_than_can_be_asked_for() -> None:
    # A peer may send packets that each leave a gap: work must stay what they are worth.
    gaps = Gaps()
    for number in range(1, 101):
        gaps.note(10_000 * (number - 1), 10_000 * number, NOW)
        assert len(gaps._missing) == min(number * int(REPAIR_CREDIT), REPAIR_RING)

    assert gaps.fill(10_000 * 100 - 1, NOW) is False
    assert max(gaps._missing) == 10_000 * 100 - 2


def test_asking_is_paid_for_by_packets_received() -> None:
    gaps = Gaps()
    gaps.note(0, 128, NOW)
    assert len(gaps.pop_due(SOON)) == REPAIR_CREDIT

    gaps.received += 50
    gaps.note(200, 300, NOW)

    assert gaps.pop_due(SOON) == list(range(300 - int(50 * REPAIR_SHARE), 300))
