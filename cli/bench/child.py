"""A process of its own for whoever is measured: told what to do over a pipe, ends with it.

The parent asks and waits for answers. A child whose pipe closes ends, and so does one
whose parent dies; Ctrl-C is the parent's alone to act on, so that nothing is left over
and nothing ends in the wrong order.
"""

import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from cli.bench.place import LOOPBACK, Place
from psp.errors import PspError
from psp.runtime.system import end_with_parent, new_event_loop

CONTEXT = multiprocessing.get_context("spawn")
"""Starts processes that share nothing with this one, so that they measure themselves."""

_ANSWERS_WITHIN = 30.0
"""Seconds, the start included."""
_ENDS_WITHIN = 5.0


class ChildError(PspError):
    """A child has ended, does not answer, or says that it failed; the text says which."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A child's answer when it could not do what it was asked; it says why."""

    text: str


class Child:
    """A child; use as a context manager.

    Attributes:
        name: What errors call it.
        pid: Its process id.
    """

    def __init__(
        self, target: Callable[..., None], *args: object, name: str = "a child"
    ) -> None:
        """Start ``target`` with its end of the pipe and ``args``, all to be pickled."""
        self.name = name
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(
            target=target, args=(theirs, *args), daemon=True
        )
        # Blocked signals are inherited: Ctrl-C finds the child deaf from its first moment.
        # Starting the tracker, which the first child would do, unblocks them.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        self.pid = self._process.pid

    def ask(self, question: object, within: float = _ANSWERS_WITHIN) -> object:
        """Send something and return the answer.

        Raises:
            ChildError: If there is none within so many seconds, the child has ended, or
                it says that it failed.
        """
        self.send(question)
        return self.receive(within)

    def send(self, question: object) -> None:
        """Send something; raises `ChildError` if the child has ended."""
        try:
            self._pipe.send(question)
        except OSError as error:
            raise self.ended() from error

    def receive(self, within: float = _ANSWERS_WITHIN) -> object:
        """Return what the child says next; raises as `ask` does."""
        return answers([self], within=within)[0]

    def take(self) -> object:
        """Return what the child has said; raises `ChildError` as `ask` does."""
        try:
            received: object = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self.ended() from error
        if isinstance(received, Failure):
            raise ChildError(f"{self}: {received.text}")
        return received

    @property
    def end(self) -> int:
        """What becomes readable when it ends, for ``multiprocessing.connection.wait``."""
        return self._process.sentinel

    @property
    def pipe(self) -> Connection:
        """What becomes readable when it says something."""
        return self._pipe

    def ended(self) -> ChildError:
        """Return how it has ended, to be raised."""
        self._process.join(_ENDS_WITHIN)
        code = self._process.exitcode
        if code is None:
            return ChildError(f"{self} has closed its pipe")
        if code < 0:
            return ChildError(f"{self} was ended by {signal.Signals(-code).name}")
        return ChildError(f"{self} has ended with exit code {code}")

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"

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


def answers(
    asked: Sequence[Child],
    *,
    watched: Sequence[Child] = (),
    within: float = _ANSWERS_WITHIN,
) -> list[object]:
    """Return the next answer of each; raise as soon as one of all has ended.

    Raises:
        ChildError: As `Child.ask`.
    """
    give_up = time.monotonic() + within
    received: dict[Child, object] = {}
    while waiting := [child for child in asked if child not in received]:
        left = give_up - time.monotonic()
        signs: list[Connection | int] = [child.pipe for child in waiting]
        signs += [child.end for child in watched]
        ready = connection.wait(signs, left) if left > 0 else []
        if not ready:
            raise ChildError(f"{waiting[0]} does not answer within {within:.0f} s")
        for child in watched:
            if child.end in ready:
                raise child.ended()
        for child in waiting:
            if child.pipe.poll():
                received[child] = child.take()
    return [received[child] for child in asked]


def watch(children: Sequence[Child], seconds: float) -> None:
    """Sleep; raise `ChildError` as soon as one of them ends."""
    ready = connection.wait([child.end for child in children], seconds)
    for child in children:
        if child.end in ready:
            raise child.ended()


# ---- inside the child


def run_child(
    pipe: Connection,
    work: Callable[[], Coroutine[Any, Any, None]],
    place: Place = LOOPBACK,
) -> None:
    """Do the child's work, on the event loop and with the logs of a relay that is quiet.

    What goes wrong in it is said to the parent.
    """
    end_with_parent()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    try:
        place.enter()
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(work())
    except PspError as error:
        pipe.send(Failure(str(error)))


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

    _read_when_ready(pipe, command)
    await closed.wait()
    loop.remove_reader(pipe.fileno())


async def answer_calls(pipe: Connection, target: object) -> None:
    """Call methods of ``target`` as the parent asks, until the pipe closes.

    A question is ``(name, arguments)`` of a coroutine method; the answer is what it
    returns, or the `Failure` of its `PspError` or TimeoutError. What is still being done when the pipe
    closes is cancelled.
    """
    loop = asyncio.get_running_loop()
    questions: asyncio.Queue[tuple[str, tuple[object, ...]] | None] = asyncio.Queue()

    def command() -> None:
        try:
            questions.put_nowait(pipe.recv())
        except EOFError:
            loop.remove_reader(pipe.fileno())
            questions.put_nowait(None)
            if task is not None:
                task.cancel()

    task: asyncio.Task[object] | None = None
    _read_when_ready(pipe, command)
    while (question := await questions.get()) is not None:
        name, arguments = question
        task = asyncio.create_task(getattr(target, name)(*arguments))
        answer: object
        try:
            answer = await task
        except PspError as error:
            answer = Failure(str(error))
        except TimeoutError:
            answer = Failure(f"{name} took too long")
        except asyncio.CancelledError:
            return
        pipe.send(answer)
        task = None


def _read_when_ready(pipe: Connection, read: Callable[[], None]) -> None:
    asyncio.get_running_loop().add_reader(pipe.fileno(), read)
    # uvloop makes what it watches non-blocking; a long message comes in several parts.
    os.set_blocking(pipe.fileno(), True)


def cpu_seconds() -> float:
    """Return what this process used so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
