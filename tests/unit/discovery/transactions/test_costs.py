"""What a transaction costs (discovery/transactions/costs.py)."""

import pytest

from discovery.transactions.answers import Receipt
from discovery.transactions.call import Call
from discovery.transactions.costs import Cost, Outcome, gas_limit
from discovery.transactions.errors import InsufficientFundsError, RevertedError
from discovery.transactions.fees import Fees


def cost(balance):
    return Cost(100, 150, 10, Fees(25, 2), value=1_000, balance=balance)


def test_expected_and_highest_cost_are_told_apart():
    assert cost(0).expected == 100 * 12
    assert cost(0).maximum == 150 * 25


def test_account_must_be_able_to_pay_the_highest():
    cost(4_750).check_funds()

    with pytest.raises(InsufficientFundsError) as refused:
        cost(4_749).check_funds()

    assert (refused.value.needed, refused.value.available) == (4_750, 4_749)


def test_gas_limit_leaves_room_within_a_block():
    assert gas_limit(100_000, 30_000_000) == 145_000
    assert gas_limit(29_000_000, 30_000_000) == 30_000_000
    assert gas_limit(31_000_000, 30_000_000) == 31_000_000
    assert gas_limit(21_000, 30_000_000) == 21_000


def test_outcome_that_the_contract_refused_is_an_error():
    good = Receipt(b"h" * 32, 1, 100, 3, is_success=True)
    bad = Receipt(b"h" * 32, 1, 100, 3, is_success=False)
    Outcome(Call(None), good).check("")

    with pytest.raises(RevertedError, match="outbid; fees of 300 wei") as refused:
        Outcome(Call(None), bad).check("outbid")

    assert (refused.value.hash, refused.value.cost) == (b"h" * 32, 300)
