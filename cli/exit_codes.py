"""Exit codes of the psp program, documented in the README."""

import enum

from discovery.replay.client import ReplayError
from discovery.transactions import errors as writing
from psp.client.errors import (
    KeysEndedError,
    UnknownContactError,
    WrongNetworkError,
)
from psp.errors import ConfigError, PspError
from psp.runtime.quorum import ChainReadError


class ExitCode(enum.IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    """The command ran and what it was to do did not come about."""
    USAGE = 2
    """The command line makes no sense (also typer's own code)."""
    CONFIG = 3
    """A setting, file or port must be changed; the message says which."""
    INPUT = 4
    """An input cannot be used: a file, a contact card, the name of a contact."""
    CHAIN = 5
    """The chain cannot be read or written: endpoints do not answer, do not agree, or
    serve another chain or another contract."""
    FUNDS = 6
    """The account has not enough, or a limit on fees forbids it. Nothing was sent."""
    REFUSED = 7
    """The contract refuses; the message says why, and what it cost if anything."""
    PENDING = 8
    """Sent and not mined in time; the next command of the account takes it up."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; everything that was started has been stopped."""


_CODES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], ExitCode], ...] = (
    ((ConfigError, KeysEndedError), ExitCode.CONFIG),
    ((UnknownContactError, WrongNetworkError), ExitCode.INPUT),
    (ReplayError, ExitCode.FAILED),
    (ChainReadError, ExitCode.CHAIN),
    ((writing.InsufficientFundsError, writing.FeeLimitError), ExitCode.FUNDS),
    (writing.RevertedError, ExitCode.REFUSED),
    (writing.StillPendingError, ExitCode.PENDING),
    ((writing.NonceTakenError, writing.AccountBusyError), ExitCode.FAILED),
    (writing.ChainError, ExitCode.CHAIN),
    (PspError, ExitCode.FAILED),
)
"""The first that fits."""


def exit_code(error: PspError) -> ExitCode:
    """Return the exit code for an error that a command ends with."""
    return next(code for kind, code in _CODES if isinstance(error, kind))
