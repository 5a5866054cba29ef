"""Bandwidth that is asked for."""

import pytest

from psp.bandwidth import MAX_KBIT_PER_S, NO_BANDWIDTH, Bandwidth
from psp.errors import LocalProtocolError


@pytest.mark.parametrize(
    ("least", "wanted"),
    [(-8, 0), (481, 480), (0, MAX_KBIT_PER_S + 1), (MAX_KBIT_PER_S + 8,) * 2],
)
def test_absurd_rates_are_refused_in_a_sentence(least, wanted):
    with pytest.raises(LocalProtocolError, match="use 0 <= min <= wanted <= 524280"):
        Bandwidth(least, wanted)


def test_units_are_rounded_up_and_fit_sixteen_bits():
    assert NO_BANDWIDTH.units == (0, 0)
    assert Bandwidth(1, 9).units == (1, 2)
    assert Bandwidth(480, 3000).units == (60, 375)
    assert Bandwidth(MAX_KBIT_PER_S, MAX_KBIT_PER_S).units == (0xFFFF, 0xFFFF)
