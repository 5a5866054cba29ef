"""Whether our own clock is right (psp/client/lookups/clock_check.py)."""

import pytest

from psp.client.errors import ClockError
from psp.client.lookups.clock_check import check_registry, check_voices, describe
from psp.testing.presence import MemoryRegistry
from psp.units import UnixTime


@pytest.mark.parametrize("now", [850, 1_000, 10**9])
def test_registry_of_the_past_says_nothing(now):
    registry = MemoryRegistry((), ())
    registry.issued = UnixTime(1_000)

    check_registry(registry, now)


def test_registry_of_the_future_does():
    registry = MemoryRegistry((), ())
    registry.issued = UnixTime(1_000)

    with pytest.raises(ClockError, match="3 minutes slow"):
        check_registry(registry, 840)


@pytest.mark.parametrize(
    ("differences", "members"),
    [
        ([], 8),
        ([149, 149, 149, 149], 8),
        ([151, 151, 151], 8),
        ([151, 151, 151, 0, 0], 8),
        ([9_999, -9_999, 9_999, -9_999], 8),
        ([151, 151, 151, 151, 0, 0], 8),
        ([], 0),
        ([151], 2),
    ],
)
def test_few_or_divided_voices_say_nothing(differences, members):
    check_voices(differences, members)


@pytest.mark.parametrize(
    ("differences", "members", "words"),
    [
        ([151] * 4, 8, "3 minutes slow, say 4"),
        ([-151] * 4, 8, "3 minutes fast"),
        ([86_400] * 6 + [0, 0], 8, "24 hours slow, say 6"),
        ([-3_600, -3_600], 2, "60 minutes fast"),
        ([-200], 1, "fast"),
    ],
)
def test_enough_voices_of_one_mind_do(differences, members, words):
    with pytest.raises(ClockError, match=words):
        check_voices(differences, members)


def test_times_are_told_in_words():
    told = [describe(seconds) for seconds in (150, 7_100, 7_200, 86_400, 5 * 86_400)]

    assert told == ["2 minutes", "118 minutes", "2 hours", "24 hours", "5 days"]
