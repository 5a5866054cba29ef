"""Exit codes of the psp program, documented in the README."""

import enum


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
    """An input file cannot be used."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; everything that was started has been stopped."""
