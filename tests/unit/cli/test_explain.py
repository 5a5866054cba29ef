"""Errors in units that people know (cli/explain.py)."""

import pytest

from cli.explain import explain
from discovery.transactions.errors import (
    AccountBusyError,
    FeeLimitError,
    InsufficientFundsError,
    RevertedError,
)
from psp.errors import ConfigError

ETHER, GWEI = 10**18, 10**9


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            InsufficientFundsError(3 * ETHER, ETHER // 2),
            (
                "the account has 0.5 ether, up to 3 ether are needed, fees included; "
                "send it 2.5 ether more. Nothing was sent"
            ),
        ),
        (
            FeeLimitError("max_fee_per_gas", 3 * GWEI, 2 * GWEI),
            (
                "a unit of gas costs 3 gwei now, above the limit of 2 gwei; wait for "
                "lower fees, or raise --max-fee"
            ),
        ),
        (
            FeeLimitError("max_cost", 3 * GWEI, 2 * GWEI),
            (
                "fees may come to 0.000000003 ether (3 gwei), above the limit of "
                "0.000000002 ether (2 gwei); wait for lower fees, or raise --max-cost"
            ),
        ),
        (RevertedError("owner"), "the contract refuses: owner. Nothing was sent"),
        (
            RevertedError("owner", transaction=b"\x01" * 32, cost=GWEI),
            "the contract refuses: owner; fees of 0.000000001 ether (1 gwei) are spent",
        ),
        (ConfigError("change x"), "change x"),
        (AccountBusyError(), str(AccountBusyError())),
    ],
)
def test_each_is_one_sentence(error, sentence):
    assert explain(error) == sentence
