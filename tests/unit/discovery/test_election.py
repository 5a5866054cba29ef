"""The arithmetic of the draw; tests/chain holds it to the contract, bit by bit."""

import decimal
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.election import (
    MAX_WEIGHT,
    beacon_of,
    draw_key,
    effective_weight,
    elect,
    neglog2,
    number_of,
    seed_of,
    weight_at_start,
)
from psp.crypto.keccak import keccak256

SEED = bytes(range(32))
ETHER = 10**18

# read from `key_of` of a deployed contract; tests/chain/test_election.py reads them again
DRAWN = 28_134_377_698_159_064_743_835_575_208_902_663
COUNTED = 340_282_366_908_053_561_575_374_607_427_473_244_167


def exact_neglog2(u):
    with decimal.localcontext(prec=80):
        exact = -(decimal.Decimal(u) / 2**128).ln() / decimal.Decimal(2).ln()
        return exact * 2**48


@pytest.mark.parametrize(
    ("u", "expected"),
    [
        (1, 128 << 48),
        (2**64, 64 << 48),
        (2**127, 1 << 48),
        (3 * 2**126, 116_822_670_443_562),  # log2(4 / 3), cut at 2**-48
        (2**128 - 1, 1),
    ],
)
def test_logarithm_of_known_values(u, expected):
    assert neglog2(u) == expected


@given(st.integers(1, 2**128 - 1))
def test_logarithm_is_the_exact_one_rounded_up(u):
    error = neglog2(u) - exact_neglog2(u)

    # 48 squarings, each cut off at 2**-127, cost far less than the last bit
    assert -decimal.Decimal("1e-10") <= error <= 1 + decimal.Decimal("1e-10")


def test_key_of_a_draw_is_what_the_contract_computed():
    assert draw_key(SEED, 7, 3 * ETHER, sortition=True) == DRAWN
    assert draw_key(SEED, 7, 3 * ETHER, sortition=False) == COUNTED


def test_heavier_clock_rings_earlier():
    keys = [draw_key(SEED, 9, n * ETHER, sortition=True) for n in (1, 2, 4)]

    assert keys == sorted(keys, reverse=True)
    assert (keys[0] >> 32) // (keys[2] >> 32) in {3, 4}
    assert {number_of(key) for key in keys} == {9}


def test_largest_weight_wins_where_nothing_is_drawn():
    weights = {1: 5, 2: 9, 3: 9, 4: 1, 5: MAX_WEIGHT}

    assert elect(SEED, weights, 4, sortition=False) == [5, 2, 3, 1]


def test_node_without_weight_is_not_elected():
    assert elect(SEED, {1: 0, 2: 1}, 2, sortition=True) == [2]
    assert elect(SEED, {1: 0, 2: 1}, 2, sortition=False) == [2]


def test_election_is_the_sorted_list_cut_off():
    random_source = random.Random(1)
    weights = {n: random_source.randint(1, 50) * ETHER for n in range(1, 200)}

    order = sorted(weights, key=lambda n: draw_key(SEED, n, weights[n], sortition=True))

    assert elect(SEED, weights, 32, sortition=True) == order[:32]
    assert elect(SEED, weights, 500, sortition=True) == order
    assert elect(SEED, {}, 32, sortition=True) == []


def test_first_seat_is_drawn_in_proportion_to_weight():
    weights = {1: 1 * ETHER, 2: 2 * ETHER, 3: 3 * ETHER, 4: 4 * ETHER, 5: 10 * ETHER}
    draws = 4000
    wins = dict.fromkeys(weights, 0)
    for n in range(draws):
        (winner,) = elect(n.to_bytes(32, "big"), weights, 1, sortition=True)
        wins[winner] += 1

    expected = {n: draws * w / sum(weights.values()) for n, w in weights.items()}
    chi_squared = sum((wins[n] - expected[n]) ** 2 / expected[n] for n in weights)
    assert chi_squared < 18.5  # 4 degrees of freedom: p = 0.001


def word(now, following, changed, nominated=0):
    return now | following << 96 | changed << 192 | nominated << 224


def test_change_of_weight_counts_from_the_next_epoch_on():
    changed_in_8 = word(now=5, following=9, changed=8, nominated=8)

    assert weight_at_start(changed_in_8, 8) == 5
    assert weight_at_start(changed_in_8, 9) == 9
    assert weight_at_start(changed_in_8, 100) == 9


def test_stake_taken_away_counts_no_more():
    assert effective_weight(word(now=9, following=5, changed=8), 8) == 5
    assert effective_weight(word(now=5, following=9, changed=8), 8) == 5
    assert effective_weight(word(now=5, following=9, changed=8), 9) == 9
    assert effective_weight(word(now=MAX_WEIGHT, following=0, changed=8), 8) == 0


def test_seed_hashes_four_words():
    seed = seed_of(b"\1" * 32, b"\2" * 32, 0x0304, b"\5" * 20)

    words = b"\1" * 32 + b"\2" * 32 + bytes(30) + b"\3\4" + bytes(12) + b"\5" * 20
    assert seed == keccak256(words)


def test_beacon_hashes_seed_and_day():
    assert beacon_of(SEED, 20_000) == keccak256(SEED + bytes(30) + b"\x4e\x20")
