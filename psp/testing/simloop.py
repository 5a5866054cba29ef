"""A deterministic asyncio event loop in virtual time.

Nothing ever waits: when no callback is ready, the clock jumps to the next timer. Hours
pass in seconds, and the same seed gives the same run::

    async def main(hub: SimHub) -> int: ...


    assert run_simulation(main, seed=7) == run_simulation(main, seed=7)

Rules that keep it so: sockets come from the hub, random bytes from a
`psp.testing.entropy.SeededEntropy`, wall-clock time from `SimHub.unix_time`, and no
code under test iterates over sets of objects. Threads are not simulated: what goes to
an executor runs at once, in place.
"""

import asyncio
import heapq
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from itertools import count
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack
from unittest import mock

from psp.testing.hub import SimHub
from psp.testing.weather import Weather
from psp.units import Seconds

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


_MAX_TICKS_PER_INSTANT = 100_000
"""Ticks without the clock moving before we call it a livelock."""


class SimulationError(Exception):
    """The simulated program did what no simulation can carry on from."""


class SimDeadlockError(SimulationError):
    """Nothing is scheduled, yet the main coroutine has not finished."""


class SimLivelockError(SimulationError):
    """The clock stands still while callbacks keep scheduling each other."""


class SimLoop(asyncio.BaseEventLoop):
    """An event loop that owns its clock.

    Callbacks run in the order they were scheduled, timers by time and then in that
    order. An exception in a callback, which asyncio would log, ends the simulation.
    """

    def __init__(self, *, shuffle_seed: int | str | None = None) -> None:
        """Start at time 0.

        Args:
            shuffle_seed: Run callbacks that are ready together in a random order.
                asyncio promises the order; code that needs it is fragile.
        """
        super().__init__()
        self._time = 0.0
        self._queue: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._serial = count()
        self._ticks = 0
        self._failure: BaseException | None = None
        self._dice = None if shuffle_seed is None else random.Random(shuffle_seed)
        self.set_exception_handler(self._remember_failure)

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._time

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Run ``callback`` in the next tick."""
        handle = asyncio.Handle(callback, args, self, context)
        self._queue.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Do as `call_soon`: there is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run ``callback`` in ``delay`` virtual seconds."""
        return self.call_at(self._time + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run ``callback`` when the clock shows ``when``."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._serial), handle))
        return handle

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002 - there are no threads to choose from
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run ``func`` in place, in the next tick."""

        async def run() -> T:
            return func(*args)

        return self.create_task(run())

    async def getaddrinfo(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse: no name is ever looked up."""
        raise SimulationError(f"look-up of {args} {kwargs} in a simulation")

    def _run_once(self) -> None:
        """Run what is ready; called in a loop by asyncio.BaseEventLoop.run_forever."""
        if self._queue:
            self._ticks += 1
            if self._ticks > _MAX_TICKS_PER_INSTANT:
                raise SimLivelockError(
                    f"{self._ticks} ticks at {self._time}: {self._queue[0]!r}"
                )
        else:
            self._advance()
        ready, self._queue = self._queue, deque()
        if self._dice is not None:
            self._dice.shuffle(ready)
        for position, handle in enumerate(ready):
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - how every asyncio loop runs one
            if self._failure is not None:
                self._queue.extendleft(list(ready)[:position:-1])
                failure, self._failure = self._failure, None
                raise SimulationError(f"a callback raised {failure!r}") from failure

    def _advance(self) -> None:
        """Move the clock to the next timer and make every timer due ready."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self))
            raise SimDeadlockError(
                f"nothing is scheduled at {self._time}; waiting: {', '.join(waiting)}"
            )
        if timers[0][0] > self._time:
            self._time = timers[0][0]
            self._ticks = 0
        while timers and timers[0][0] <= self._time:
            self._queue.append(heapq.heappop(timers)[2])

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to do: cancelled timers are dropped when they surface."""

    def _remember_failure(
        self, _: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        if self._failure is None:
            self._failure = context.get("exception")


def _refuse_socket(*_: object, **__: object) -> NoReturn:
    raise SimulationError("a real socket in a simulation; take one from the hub")


def run_simulation(
    main: Callable[[SimHub], Awaitable[T]],
    *,
    seed: int | str = 0,
    weather: Weather | None = None,
    within: Seconds = Seconds(86_400.0),
    shuffle: bool = False,
) -> T:
    """Run ``main`` in virtual time and return what it returns.

    Whatever it raises carries a note of the seed.

    Args:
        main: Gets the network; what it leaves running is cancelled.
        seed: Of the weather, and of the order of callbacks if shuffled.
        weather: Of all paths, until changed through `SimHub.sky`.
        within: Virtual seconds after which the run is given up.
        shuffle: See `SimLoop`.

    Raises:
        SimulationError: On deadlock, livelock, a real socket or a callback that raises.
        TimeoutError: If ``main`` takes longer than ``within``.
    """

    async def bounded() -> T:
        hub = SimHub(asyncio.get_running_loop(), weather, seed=seed)
        async with asyncio.timeout(within):
            return await main(hub)

    def new_loop() -> SimLoop:
        return SimLoop(shuffle_seed=seed if shuffle else None)

    with (
        mock.patch.object(socket.socket, "__init__", _refuse_socket),
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        try:
            return runner.run(bounded())
        except BaseException as error:
            error.add_note(f"simulation seed: {seed!r}, shuffle: {shuffle}")
            raise
