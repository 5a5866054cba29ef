"""Runs one machine on one socket in an asyncio loop; makes no decisions.

Per wake: take in some trains, then flush once - send, report events, re-arm the timer.
The loop may be asyncio's, uvloop or `psp.testing.simloop.SimLoop`; the machine's clock is
`psp.runtime.system.loop_clock`, asked anew for every train, as delays are measured by it.

A machine that has `note_backlog` is told how much is left behind by wakes that end before
the socket is empty.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, runtime_checkable

from psp.runtime.system import loop_clock
from psp.sansio import Address, Machine, Train
from psp.units import Monotonic

EventT = TypeVar("EventT")

_MAX_BYTES = 262_144
"""Bytes read per wake: a millisecond of a relay's work, which is also how long its first
packet waits for the last before it leaves, and timers and other tasks for their turn
(R-LNK-11). A flooded relay that read 64 full trains a wake spent 2 % less per cell."""

_TRAIN_COST = 4_096
"""Bytes that a train counts at least: one packet alone takes as long as three in a train."""

_MAX_ROUNDS = 8
"""Times one flush sends what its event listener caused; the rest waits for the next
tick. A guess: listeners rarely cause more than one round."""


class TrainSocket(Protocol):
    """What a driver needs of a socket: `UdpSocket`, or a simulated one."""

    def backlog(self) -> float:
        """Return how much of the receive buffer is in use, 0 … 1."""
        ...

    def receive_batch(self) -> tuple[memoryview, int, Address] | None:
        """Return the next train, or None when there is no more for now."""

    def send(self, train: Train) -> int:
        """Send now or drop and count; return how many datagrams were taken."""
        ...

    def start_reading(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        """Call ``callback`` whenever, and as long as, there is something to receive."""

    def stop_reading(self) -> None:
        """Undo `start_reading`."""


@runtime_checkable
class NotesBacklog(Protocol):
    """A machine that wants to know when it is behind."""

    def note_backlog(self, backlog: float, now: Monotonic) -> None:
        """Take in how full the receive buffer is, 0 … 1, after a wake that left some.

        Called once with 0 by the first wake that leaves nothing.
        """


class Driver(Generic[EventT]):
    """Owns the timer of a machine and moves its trains.

    Call `flush` or `schedule_flush` after every use of the machine. The socket stays
    its opener's to close, after the driver.
    """

    def __init__(
        self,
        machine: Machine[EventT],
        udp: TrainSocket,
        on_event: Callable[[EventT], None],
    ) -> None:
        """Start in the running loop; ``on_event`` is first called in a later tick."""
        self._machine = machine
        self._udp = udp
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._clock = loop_clock(self._loop)
        self._timer: asyncio.TimerHandle | None = None
        self._armed = Monotonic(0.0)
        self._scheduled: asyncio.Handle | None = None
        self._is_flushing = False
        self._is_closed = False
        self._note_backlog = (
            machine.note_backlog if isinstance(machine, NotesBacklog) else None
        )
        self._is_behind = False
        udp.start_reading(self._loop, self._readable)
        self.schedule_flush()

    def now(self) -> Monotonic:
        """Return the time to tell the machine."""
        return Monotonic(self._clock())

    def schedule_flush(self) -> None:
        """Flush once at the end of this tick, however often this is called."""
        if self._scheduled is None and not self._is_closed:
            self._scheduled = self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send, report, re-arm.

        A call from within ``on_event`` does nothing: the flush under way sends what
        the listener caused.
        """
        if self._is_flushing or self._is_closed:
            return
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        self._is_flushing = True
        try:
            self._send_and_report()
        finally:
            self._is_flushing = False
        if not self._is_closed:
            self._arm()

    def close(self) -> None:
        """Stop reading and forget the timer; what was not flushed is lost."""
        if self._is_closed:
            return
        self._is_closed = True
        self._udp.stop_reading()
        for handle in (self._timer, self._scheduled):
            if handle is not None:
                handle.cancel()
        self._timer = self._scheduled = None

    def _readable(self) -> None:
        now = self.now()
        clock = self._clock
        receive_batch = self._udp.receive_batch
        receive = self._machine.receive
        room = _MAX_BYTES
        while room > 0:
            batch = receive_batch()
            if batch is None:
                break
            now = Monotonic(clock())
            receive(batch[0], batch[1], batch[2], now)
            room -= max(len(batch[0]), _TRAIN_COST)
        if room <= 0:
            self._tell_backlog(self._udp.backlog(), now)
        elif self._is_behind:
            self._tell_backlog(0.0, now)
        self.flush()

    def _tell_backlog(self, backlog: float, now: Monotonic) -> None:
        self._is_behind = backlog > 0.0
        if self._note_backlog is not None:
            self._note_backlog(backlog, now)

    def _send_and_report(self) -> None:
        machine = self._machine
        for _ in range(_MAX_ROUNDS):
            for train in machine.trains_to_send(Monotonic(self._clock())):
                self._udp.send(train)
            event = machine.next_event()
            if event is None:
                return
            while event is not None and not self._is_closed:
                self._on_event(event)
                event = machine.next_event()
            if self._is_closed:
                return
        self.schedule_flush()

    def _arm(self) -> None:
        """See that a timer fires at or before the machine's deadline.

        A timer that is early is left alone: early calls do nothing, and moving a timer
        at every wake would cost more than they do.
        """
        deadline = self._machine.next_timeout()
        if deadline is None:
            return
        if self._timer is not None:
            if self._armed <= deadline:
                return
            self._timer.cancel()
        self._armed = deadline
        self._timer = self._loop.call_at(deadline, self._expired)

    def _expired(self) -> None:
        self._timer = None
        # asyncio may fire a timer up to one clock tick early.
        self._machine.handle_timeout(max(self._armed, self.now()))
        self.flush()
