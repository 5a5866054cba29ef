"""Who is doubted, for how long (presence/dht/reputation.py)."""

import pytest

from presence.dht.reputation import Fault, Reputations
from psp.units import Monotonic


def at(seconds):
    return Monotonic(seconds)


@pytest.mark.parametrize("fault", [Fault.FORGED, Fault.WITHHELD])
def test_one_lie_is_enough_and_is_forgotten_in_time(fault):
    reputations = Reputations(10)

    assert not reputations.is_doubted(b"a", at(0))
    assert reputations.blame(b"a", fault, at(0))
    assert reputations.is_doubted(b"a", at(0))
    assert not reputations.is_doubted(b"b", at(0))
    assert not reputations.is_doubted(b"a", at(1_300))


def test_being_behind_counts_once_a_minute():
    reputations = Reputations(10)

    counted = [reputations.blame(b"a", Fault.STALE, at(second)) for second in range(60)]
    assert counted == [True] + [False] * 59
    assert not reputations.is_doubted(b"a", at(59))
    for minute in (1, 2):
        assert reputations.blame(b"a", Fault.STALE, at(60 * minute))
    assert reputations.is_doubted(b"a", at(120))


def test_blame_halves_every_ten_minutes():
    reputations = Reputations(10)
    reputations.blame(b"a", Fault.FORGED, at(0))

    assert reputations.is_doubted(b"a", at(599))
    assert not reputations.is_doubted(b"a", at(601))


def test_clock_that_goes_back_makes_nothing_worse():
    reputations = Reputations(10)
    reputations.blame(b"a", Fault.WITHHELD, at(1_000))

    assert reputations.is_doubted(b"a", at(0))
    assert not reputations.is_doubted(b"a", at(1_601))


def test_no_more_members_are_remembered_than_allowed():
    reputations = Reputations(2)
    for member in (b"a", b"b", b"a", b"c"):
        reputations.blame(member, Fault.FORGED, at(0))

    doubted = [m for m in (b"a", b"b", b"c") if reputations.is_doubted(m, at(0))]
    assert doubted == [b"a", b"c"]
