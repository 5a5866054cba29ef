"""What a hop bears."""

import pytest

from psp.circuit.limits import MAX_EXTENDS, HopLimits
from psp.errors import RemoteProtocolError
from psp.units import Monotonic
from psp.wire.onion import MAX_EARLY


def test_early_cells_are_limited():
    limits = HopLimits()
    for _ in range(MAX_EARLY):
        limits.count_early()

    with pytest.raises(RemoteProtocolError, match="EARLY"):
        limits.count_early()


def test_extend_requests_are_limited():
    limits = HopLimits()

    verdicts = [limits.allows_extend() for _ in range(MAX_EXTENDS + 1)]

    assert verdicts == [True] * MAX_EXTENDS + [False]


def test_late_cells_are_not_bad_ones():
    limits = HopLimits()

    assert [limits.is_bad_tag(count) for count in (0, 1, 1, 2)] == [0, 1, 0, 1]


def test_bad_tags_are_watched_from_the_first():
    limits = HopLimits()

    verdicts = [limits.record_bad_tag(Monotonic(0.0)) for _ in range(32)]

    assert verdicts == [False] * 31 + [True]
