"""Keeps the tasks of one process running, and ends them in order.

::

    supervisor = Supervisor(logger("relay"), entropy)
    supervisor.add("presence renewal", renew, on_failure=OnFailure.RESTART)
    supervisor.on_close("udp", close_udp)
    await supervisor.run()

This is the only place that catches ``Exception``: everywhere else an unexpected one is
a bug that ends its task, and is logged here, without its text (R-LOG-1).
"""

import asyncio
import enum
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from structlog.typing import FilteringBoundLogger

from psp.entropy import Entropy
from psp.errors import PspError
from psp.redact import Sensitive
from psp.runtime.scrub import describe, where
from psp.units import Seconds


class OnFailure(enum.Enum):
    """What an exception of a task means."""

    RESTART = enum.auto()
    STOP = enum.auto()


class TaskFailedError(PspError):
    """A task without which the process is useless has failed."""


@dataclass(frozen=True, slots=True)
class SupervisorConfig:
    """Times of the supervisor; our choice.

    Attributes:
        first_delay: Before the first restart of a task.
        max_delay: Each restart waits twice as long as the last, up to this.
        healthy_after: A task that ran this long starts again from ``first_delay``.
        closing_time: What a task, and each closing step, gets to finish.
    """

    first_delay: Seconds = Seconds(1.0)
    max_delay: Seconds = Seconds(60.0)
    healthy_after: Seconds = Seconds(120.0)
    closing_time: Seconds = Seconds(5.0)


@dataclass(slots=True)
class SupervisorStats:
    """What went wrong so far.

    Attributes:
        failures: Exceptions that reached the supervisor, from tasks and callbacks.
        restarts: Tasks started again.
        stuck: Tasks and closing steps given up at the end.
    """

    failures: int = 0
    restarts: int = 0
    stuck: int = 0


class Supervisor:
    """Owns named tasks and what must be closed after them.

    Attributes:
        stats: Counters.
    """

    def __init__(
        self,
        log: FilteringBoundLogger,
        entropy: Entropy,
        config: SupervisorConfig | None = None,
    ) -> None:
        self.stats = SupervisorStats()
        self._log = log
        self._entropy = entropy
        self._config = config or SupervisorConfig()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closers: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._stopping = asyncio.Event()
        self._failed: str | None = None

    def add(
        self,
        name: str,
        start: Callable[[], Awaitable[None]],
        *,
        on_failure: OnFailure = OnFailure.RESTART,
    ) -> None:
        """Start a task now; one that returns has done its work and is forgotten."""
        if name in self._tasks:
            raise ValueError(f"task {name} runs already")
        task = asyncio.create_task(self._keep(name, start, on_failure), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    def on_close(self, name: str, close: Callable[[], Awaitable[None]]) -> None:
        """Call ``close`` at the end, before what was named earlier."""
        self._closers.append((name, close))

    def stop(self) -> None:
        """Have `run` end."""
        self._stopping.set()

    async def run(self, *, owns_process: bool = False) -> None:
        """Wait for `stop`, then end all tasks and close everything.

        Args:
            owns_process: Also stop on SIGINT and SIGTERM (a second one kills), and log
                exceptions of callbacks. Not for a supervisor inside an app.

        Raises:
            TaskFailedError: If a task with `OnFailure.STOP` failed.
        """
        if owns_process:
            self._own_process()
        try:
            await self._stopping.wait()
        finally:
            await self._close()
        if self._failed is not None:
            raise TaskFailedError(f"{self._failed} failed; see the log")

    def _own_process(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._callback_failed)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        self._log.info("stopping", signal=number.name)
        asyncio.get_running_loop().remove_signal_handler(number)
        self.stop()

    def _callback_failed(
        self, _: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            self._log_failure("callback", error)
        else:
            self._log.warning("loop_message", text=Sensitive(context.get("message")))

    async def _keep(
        self, name: str, start: Callable[[], Awaitable[None]], on_failure: OnFailure
    ) -> None:
        loop = asyncio.get_running_loop()
        delay = self._config.first_delay
        while True:
            started = loop.time()
            try:
                await start()
            except Exception as error:  # noqa: BLE001 - the one place; see above
                self._log_failure(name, error)
            else:
                return
            if on_failure is OnFailure.STOP:
                self._failed = name
                self.stop()
                return
            if loop.time() - started >= self._config.healthy_after:
                delay = self._config.first_delay
            # Tasks that failed together must not come back together.
            await asyncio.sleep(delay * (0.5 + self._entropy.uniform()))
            delay = Seconds(min(2 * delay, self._config.max_delay))
            self.stats.restarts += 1

    def _log_failure(self, name: str, error: BaseException) -> None:
        self.stats.failures += 1
        self._log.error(
            "task_failed",
            kind=name,
            error=describe(error),
            where=where(error.__traceback__),
        )

    async def _close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=self._config.closing_time)
            for task in pending:
                self._stuck(task.get_name())
        for name, close in reversed(self._closers):
            try:
                await asyncio.wait_for(close(), self._config.closing_time)
            except TimeoutError:
                self._stuck(name)
            except Exception as error:  # noqa: BLE001 - the others must be closed too
                self._log_failure(name, error)
        self._closers.clear()

    def _stuck(self, name: str) -> None:
        self.stats.stuck += 1
        self._log.warning("stuck_at_the_end", kind=name)
