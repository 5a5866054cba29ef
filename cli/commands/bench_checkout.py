"""Benchmarks that belong to the tests, and run in a checkout only."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from psp.errors import PspError

_ROOT = Path(__file__).parents[2]


def run_from_checkout(
    module: str, options: Mapping[str, bool], *, what: str
) -> NoReturn:
    """Run a module of the tests in the place of this process.

    Ctrl-C and the exit code are the module's own then.

    Args:
        module: Its dotted name.
        options: Each is given if it is on.
        what: What is asked for, for the error.

    Raises:
        PspError: If this is not a checkout.
    """
    path = _ROOT / module.replace(".", "/")
    if not path.is_dir() and not path.with_suffix(".py").is_file():
        raise PspError(
            f"{what} is part of the project's tests, not of the installed program: "
            "run it in a checkout"
        )
    chosen = [option for option, is_on in options.items() if is_on]
    os.chdir(_ROOT)
    os.execv(  # noqa: S606 - no shell is wanted
        sys.executable, [sys.executable, "-m", module, *chosen]
    )
