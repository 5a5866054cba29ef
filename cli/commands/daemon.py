"""What the programs that run in the background have in common: a relay, and a client."""

import sys
from typing import Annotated

import typer
from structlog.typing import FilteringBoundLogger

from psp.runtime.logs import LogOutput, configure, logger, parse_level
from psp.runtime.system import end_with_parent, harden

LogLevel = Annotated[
    str, typer.Option("--log-level", help="debug, info, warning or error.")
]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="Log JSON lines on standard output.")
]
EndWithParent = Annotated[
    bool, typer.Option("--end-with-parent", help="Stop when the starter dies.")
]


def begin(
    service: str,
    level: str,
    *,
    is_json: bool,
    with_parent: bool,
    worker: int | None = None,
) -> FilteringBoundLogger:
    """Make this process a service: where it logs, what others see of it, when it ends.

    Args:
        service: Its name.
        level: Least level that is logged.
        is_json: Whether to log JSON.
        with_parent: Whether to end with the process that started this one.
        worker: Which of several processes of one relay this is; said in every message.

    Returns:
        The service's log.

    Raises:
        ConfigError: If there is no such level.
    """
    stream = sys.stdout if is_json else sys.stderr
    always = {} if worker is None else {"worker": worker}
    configure(
        LogOutput(parse_level(level), is_json=is_json, stream=stream, always=always)
    )
    log = logger(service)
    for refusal in harden():
        log.warning("not_hardened", what=refusal)
    if with_parent:
        end_with_parent()
    return log
