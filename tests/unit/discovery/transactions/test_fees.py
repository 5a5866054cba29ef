"""Fees (discovery/transactions/fees.py)."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from discovery.transactions.errors import FeeLimitError
from discovery.transactions.fees import GWEI, FeeLimits, Fees, bump, check_cost, offer

LIMITS = FeeLimits(
    max_fee_per_gas=100 * GWEI,
    max_tip_per_gas=2 * GWEI,
    max_cost=1_000_000 * GWEI,
    max_cost_per_period=2_000_000 * GWEI,
)
FEE = st.integers(0, 200 * GWEI)


def test_twice_the_base_fee_and_the_tip_are_offered():
    assert offer(10 * GWEI, GWEI, LIMITS) == Fees(21 * GWEI, GWEI)


def test_offer_is_cut_to_the_limits():
    assert offer(60 * GWEI, 5 * GWEI, LIMITS) == Fees(100 * GWEI, 2 * GWEI)


def test_block_that_costs_more_than_allowed_is_not_paid():
    with pytest.raises(FeeLimitError) as refused:
        offer(99 * GWEI, 2 * GWEI, LIMITS)

    assert refused.value.what == "max_fee_per_gas"
    assert (refused.value.needed, refused.value.allowed) == (101 * GWEI, 100 * GWEI)


def test_price_is_what_the_block_asks():
    assert Fees(21 * GWEI, GWEI).price(10 * GWEI) == 11 * GWEI
    assert Fees(21 * GWEI, GWEI).price(21 * GWEI) == 21 * GWEI


@given(FEE, FEE)
def test_offers_keep_the_limits(base_fee, tip):
    try:
        fees = offer(base_fee, tip, LIMITS)
    except FeeLimitError:
        assert base_fee + min(tip, LIMITS.max_tip_per_gas) > LIMITS.max_fee_per_gas
        return

    assert base_fee + fees.tip <= fees.max_fee <= LIMITS.max_fee_per_gas
    assert fees.tip <= LIMITS.max_tip_per_gas


@given(FEE, FEE, FEE, FEE)
def test_replacement_offers_an_eighth_more_and_keeps_the_limit(first, tip, base, more):
    assume(tip <= first)
    last = Fees(first, tip)
    try:
        fees = bump(last, base, more, LIMITS)
    except FeeLimitError:
        assert first * 9 // 8 + 2 > LIMITS.max_fee_per_gas
        return

    assert 8 * fees.max_fee > 9 * last.max_fee
    assert 8 * fees.tip > 9 * last.tip
    assert fees.tip <= fees.max_fee <= LIMITS.max_fee_per_gas


def test_replacement_follows_a_risen_base_fee():
    last = offer(10 * GWEI, GWEI, LIMITS)

    assert bump(last, 30 * GWEI, GWEI, LIMITS).max_fee > 60 * GWEI


def test_costs_are_counted_at_their_highest():
    assert check_cost(100_000, Fees(10 * GWEI, 0), LIMITS) == 1_000_000 * GWEI

    with pytest.raises(FeeLimitError) as of_one:
        check_cost(100_001, Fees(10 * GWEI, 0), LIMITS)
    with pytest.raises(FeeLimitError) as of_period:
        check_cost(100_000, Fees(10 * GWEI, 0), LIMITS, spent=1_000_001 * GWEI)

    assert of_one.value.what == "max_cost"
    assert of_period.value.what == "max_cost_per_period"
