"""The least value of late (psp/endpoint/windowed_min.py)."""

from psp.endpoint.windowed_min import BASE_AGE, WindowedMin
from psp.units import Monotonic


def test_a_minimum_counts_for_ten_to_twenty_seconds():
    least = WindowedMin()
    least.update(1.0, Monotonic(100.0))
    least.update(2.0, Monotonic(100.0 + BASE_AGE))
    assert least.value == 1.0

    least.update(3.0, Monotonic(100.1 + 2 * BASE_AGE))

    assert least.value == 2.0
