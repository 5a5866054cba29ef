"""Limits on strangers."""

import itertools

import pytest

from psp.errors import ConfigError
from psp.ids import LinkId
from psp.units import Monotonic
from relay.config import RelayConfig
from relay.policy import CIRCUIT_COST, Memory, TokenBucket, victims

MIB = 1 << 20


def test_bucket_gives_its_burst_then_its_rate():
    bucket = TokenBucket(3.0, 90, Monotonic(0.0))

    assert sum(bucket.take(Monotonic(0.0)) for _ in range(200)) == 90
    assert sum(bucket.take(Monotonic(1.01)) for _ in range(10)) == 3
    assert sum(bucket.take(Monotonic(1000.0)) for _ in range(200)) == 90


def test_memory_thresholds_are_three_quarters_ninety_and_eighty_percent():
    memory = Memory(RelayConfig(max_mem_bytes=100 * MIB))

    assert not memory.is_pressed(75 * MIB)
    assert memory.is_pressed(75 * MIB + 1)
    assert not memory.is_critical(90 * MIB)
    assert memory.is_critical(90 * MIB + 1)
    assert not memory.is_relieved(80 * MIB)
    assert memory.is_relieved(80 * MIB - 1)


def test_ten_thousand_circuits_fit_the_default_ceiling():
    memory = Memory(RelayConfig())

    used = memory.used(circuits=10_000, cells=0, cookies=0, requests=0)

    assert used == 10_000 * CIRCUIT_COST
    assert not memory.is_pressed(used)


def test_victims_are_oldest_queues_then_newest_circuits_of_the_fullest_link():
    by_link = {LinkId(1): [10, 11], LinkId(2): [20, 21, 22, 23], LinkId(3): []}

    order = list(victims([21, 10], by_link))

    assert order[:2] == [21, 10]
    assert order[2:4] == [23, 22]
    assert sorted(order) == [10, 11, 20, 21, 22, 23]


def test_victims_can_be_taken_one_by_one():
    by_link = {LinkId(1): list(range(1000))}

    assert list(itertools.islice(victims([], by_link), 3)) == [999, 998, 997]


@pytest.mark.parametrize(
    "settings",
    [
        {"bandwidth_bytes_per_s": 1000},
        {"max_mem_bytes": 10},
        {"client_circuits": 0},
        {"create_burst": 0},
    ],
)
def test_settings_out_of_range_name_the_key_and_the_fix(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        RelayConfig(**settings)
