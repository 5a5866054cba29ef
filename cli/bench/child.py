"""A process of its own for whoever is measured: told what to do over a pipe, ends with it.

The parent asks and waits for each answer. A child whose pipe closes ends, so none is left
over when the parent dies.
"""

import asyncio
import logging
import multiprocessing
import os
import resource
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from psp.runtime.system import new_event_loop

CONTEXT = multiprocessing.get_context("spawn")
"""Starts processes that share nothing with this one, so that they measure themselves."""

_ANSWERS_WITHIN = 30.0
"""Seconds, the start included."""
_ENDS_WITHIN = 5.0


class Child:
    """A child; use as a context manager.

    Attributes:
        pid: Its process id.
    """

    def __init__(self, target: Callable[..., None], *args: object) -> None:
        """Start ``target`` with its end of the pipe and ``args``, all to be pickled."""
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(
            target=target, args=(theirs, *args), daemon=True
        )
        self._process.start()
        theirs.close()
        self.pid = self._process.pid

    def ask(self, question: object) -> object:
        """Send something and return the answer.

        Raises:
            TimeoutError: If there is none within half a minute.
            EOFError: If the child has ended.
        """
        self._pipe.send(question)
        return self.receive()

    def receive(self) -> object:
        """Return what the child says next; raises as `ask` does."""
        if not self._pipe.poll(_ANSWERS_WITHIN):
            raise TimeoutError(f"process {self.pid} does not answer")
        received: object = self._pipe.recv()
        return received

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(_ENDS_WITHIN)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


# ---- inside the child


def run_child(work: Coroutine[Any, Any, None]) -> None:
    """Do the child's work, on the event loop and with the logs of a relay that is quiet."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work)


async def answer_until_closed(pipe: Connection, measure: Callable[[], object]) -> None:
    """Answer each question with what ``measure`` returns, until the pipe closes."""
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def command() -> None:
        try:
            pipe.recv()
        except EOFError:
            closed.set()
        else:
            pipe.send(measure())

    loop.add_reader(pipe.fileno(), command)
    await closed.wait()
    loop.remove_reader(pipe.fileno())


def cpu_seconds() -> float:
    """Return what this process used so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
