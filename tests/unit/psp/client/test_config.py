"""How often a client looks, by the size of the network."""

import itertools

import pytest

from psp.client.config import DirectoryConfig

CONFIG = DirectoryConfig()
DAY = 86_400
DESCRIPTOR = 123
"""Bytes of one without a family, in a listing."""


def interval(relays):
    return CONFIG.interval(relays, relays * DESCRIPTOR)


@pytest.mark.parametrize("relays", [0, 1, 12, 100])
def test_a_small_network_is_looked_at_every_ten_minutes(relays):
    assert interval(relays) == 600.0


@pytest.mark.parametrize("relays", [200, 500, 650, 1_000, 3_000, 10_000, 10_900])
def test_a_day_costs_no_more_than_two_megabytes(relays):
    every = interval(relays)
    renewed = relays * min(1.0, every / 3_600)

    day = DAY / every * (3 * 8 * relays + renewed * DESCRIPTOR)

    assert day <= CONFIG.day_bytes


def test_looks_become_rarer_with_size_and_stay_within_a_relays_day():
    waits = [interval(relays) for relays in range(0, 20_000, 100)]

    assert all(a <= b for a, b in itertools.pairwise(waits))
    assert max(waits) * 1.1 + 3_600 < DAY


def test_families_make_descriptors_larger_and_looks_rarer():
    assert CONFIG.interval(5_000, 5_000 * 187) > interval(5_000)
