"""What a process asks of the operating system when it starts."""

import asyncio
import ctypes
import importlib.util
import resource
import signal
import sys
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
"""Both from linux/prctl.h."""


def harden() -> tuple[str, ...]:
    """Keep this process's memory out of core files and other processes (R-SEC-1).

    Returns:
        What this system refused, in words for the log; empty if nothing.
    """
    refused = []
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        refused.append(f"core files cannot be switched off: {error}")
    if not _forbid_dumps():
        refused.append("this system has no PR_SET_DUMPABLE: debuggers can read memory")
    return tuple(refused)


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies, however.

    Does nothing on systems that cannot.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _forbid_dumps() -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def new_event_loop(*, prefers_uvloop: bool = True) -> asyncio.AbstractEventLoop:
    """Return a fresh loop: uvloop where it is installed and wanted, else asyncio's.

    For ``asyncio.Runner(loop_factory=…)``.
    """
    if prefers_uvloop and importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415 - not installed everywhere

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def loop_clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return a clock of the loop's own epoch that moves while a callback runs.

    uvloop's ``time`` is that at which the iteration began, in whole milliseconds. A train
    that waited for other work of the iteration would seem to have come before it was
    sent, and a delay once measured too small is never outdone.
    """
    if type(loop).__module__.partition(".")[0] == "uvloop":
        return time.monotonic  # CLOCK_MONOTONIC, as libuv's
    return loop.time
