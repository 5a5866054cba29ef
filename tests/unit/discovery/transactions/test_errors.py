"""Errors of sending (discovery/transactions/errors.py)."""

import pytest

from discovery.transactions import errors
from psp.errors import PspError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.WrongChainError(1, 5), "serve chain 5, the settings say 1"),
        (errors.InsufficientFundsError(7, 3), "send it 4 wei more"),
        (errors.FeeLimitError("max_cost", 7, 3), "exceed the limit max_cost of 3 wei"),
        (errors.RevertedError("no"), "the contract refuses: no"),
        (
            errors.RevertedError("no", transaction=b"", cost=5),
            "fees of 5 wei are spent",
        ),
        (errors.TransactionRefusedError("no"), "or cancel it"),
        (errors.StillPendingError("", 3), "not mined yet: a transaction (nonce 3)"),
        (errors.NonceTakenError(3), "used nonce 3 of this account"),
        (errors.AccountBusyError(), "another process is sending"),
        (errors.ForgottenError("f", 3, 0), "move f away"),
        (errors.ChainUnreachableError("no endpoint"), "no endpoint"),
    ],
)
def test_text_says_what_is_wrong(error, text):
    assert text in str(error)
    assert isinstance(error, errors.ChainError)
    assert isinstance(error, PspError)
