"""Which error ends a command how (cli/exit_codes.py)."""

import pytest

from cli.exit_codes import ExitCode, exit_code
from discovery.replay.client import ReplayError
from discovery.transactions import errors
from psp.client import errors as client_errors
from psp.errors import ConfigError, DecodeError, PassphraseError, PspError
from psp.runtime.chain_reader import ContractError
from psp.runtime.quorum import ChainReadError, ForeignChainError, NoQuorumError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), ExitCode.CONFIG),
        (PassphraseError("x"), ExitCode.CONFIG),
        (client_errors.KeysEndedError("x"), ExitCode.CONFIG),
        (client_errors.UnknownContactError("x"), ExitCode.INPUT),
        (client_errors.WrongNetworkError("x"), ExitCode.INPUT),
        (client_errors.ClockError("x"), ExitCode.FAILED),
        (client_errors.UserOfflineError("x"), ExitCode.FAILED),
        (ChainReadError("x"), ExitCode.CHAIN),
        (NoQuorumError("x"), ExitCode.CHAIN),
        (ForeignChainError("x"), ExitCode.CHAIN),
        (ContractError("x"), ExitCode.CHAIN),
        (ReplayError("x"), ExitCode.FAILED),
        (errors.ChainUnreachableError("x"), ExitCode.CHAIN),
        (errors.WrongChainError(1, 2), ExitCode.CHAIN),
        (errors.ForgottenError("x", 2, 1), ExitCode.CHAIN),
        (errors.TransactionRefusedError("x"), ExitCode.CHAIN),
        (errors.InsufficientFundsError(2, 1), ExitCode.FUNDS),
        (errors.FeeLimitError("max_cost", 2, 1), ExitCode.FUNDS),
        (errors.RevertedError("x"), ExitCode.REFUSED),
        (errors.StillPendingError("x", 1), ExitCode.PENDING),
        (errors.NonceTakenError(1), ExitCode.FAILED),
        (errors.AccountBusyError(), ExitCode.FAILED),
        (DecodeError("x"), ExitCode.FAILED),
        (PspError("x"), ExitCode.FAILED),
    ],
)
def test_each_kind_has_its_code(error, code):
    assert exit_code(error) is code


def test_no_code_is_used_twice():
    assert len({code.value for code in ExitCode}) == len(ExitCode.__members__)
