"""The token bucket."""

from psp.media.rate_limit import RateLimit
from psp.units import Monotonic


def count(limit, times):
    return sum(limit.allows(Monotonic(at)) for at in times)


def test_burst_passes_and_then_the_rate():
    limit = RateLimit(8.0, 5.0)

    assert count(limit, [0.0] * 20) == 5
    assert count(limit, [at / 8 for at in range(1, 9)]) == 8


def test_pause_saves_no_more_than_a_burst():
    limit = RateLimit(10.0, 5.0)
    count(limit, [0.0] * 5)

    assert count(limit, [1000.0] * 20) == 5


def test_clock_that_stands_still_or_goes_back_gives_nothing():
    limit = RateLimit(10.0, 1.0)

    assert count(limit, [5.0, 5.0, 4.0, 4.0]) == 1
