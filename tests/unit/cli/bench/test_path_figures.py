"""What counts as p99, added, lost and late (cli/bench/path_figures.py)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.bench.path_figures import build_figures, percentile, ratio, voice_figures


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_percentile_is_the_nearest_rank(share, value):
    assert percentile(range(100, 0, -1), share) == value


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_percentile_is_one_of_the_values_and_not_exceeded_by_that_share(values, share):
    found = percentile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6


def test_percentile_of_nothing_is_no_number():
    assert math.isnan(percentile([], 0.5))
    assert math.isnan(ratio(1, 0))


def test_failed_builds_are_counted_and_not_averaged():
    figures = build_figures([0.003, None, 0.001, 0.002])

    assert figures == {
        "build_ms_p50": 2.0,
        "build_ms_p95": 3.0,
        "build_failures": 1.0,
        "build_circuits": 4.0,
    }


def test_idle_voice_is_its_own_base():
    figures = voice_figures("idle", [0.002] * 98 + [0.004] * 2, None)

    assert figures["voice_idle_p50_ms"] == 2.0
    assert figures["voice_idle_p99_added_ms"] == 2.0
    assert figures["voice_idle_late"] == 0


def test_lost_packets_are_lost_and_not_late():
    trips = [0.010] * 96 + [0.053, 0.0525, None, None]

    figures = voice_figures("busy", trips, 2.5)

    assert figures == {
        "voice_busy_p50_ms": 10.0,
        "voice_busy_p99_ms": 53.0,
        "voice_busy_p99_added_ms": 50.5,
        "voice_busy_loss": 0.02,
        "voice_busy_late": 1.0,
        "voice_busy_packets": 100.0,
    }


def test_silence_is_all_lost():
    figures = voice_figures("busy", [None] * 10, 1.0)

    assert figures["voice_busy_loss"] == 1.0
    assert figures["voice_busy_late"] == 0
    assert math.isnan(figures["voice_busy_p99_ms"])
