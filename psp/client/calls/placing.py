"""Placing one call: at several presence points, one at a time unless one is slow.

::

    meeting    circuit to R, ESTABLISH(cookie) ......... again every 15 s while it rings
    point 1    circuit to C1, INTRODUCE -- no answer for 0.8 s, or failed
    point 2                    circuit to C2, INTRODUCE -- DELIVERED: it rings
    point 3                                    3 s later, lest C2 has only said so
                                        <- message 2 through R: the callee answers

All introductions of a call have one cookie, so that the callee rings once, and each its
own handshake, as a user has a contact key for each presence point. Whichever the callee
takes is answered at the rendezvous.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from psp.client.calls.handshake import BlockSender, CallerHandshake
from psp.client.calls.introducing import Caller, Initiators, Introducing
from psp.client.circuit import Circuit
from psp.client.errors import (
    BusyError,
    CallError,
    CallRefusedError,
    NoAnswerError,
    UnreachableError,
    UserOfflineError,
)
from psp.crypto.session import SessionKeys
from psp.errors import PspError
from psp.ids import NodeId
from psp.netdoc.presence_inner import Presence
from psp.path.selection import Purpose
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand

HEDGE_AFTER = Seconds(0.8)
"""A presence point that has not answered by then gets company (R-PRE-3: with one of
them dead a call reaches another within 2 s)."""
FURTHER_AFTER = Seconds(3.0)
"""Seconds of ringing after which the callee is told at another point as well."""
KEEP_MEETING_EVERY = Seconds(15.0)
"""A rendezvous forgets after 30 s who waits there."""

_Any = asyncio.Future[SessionKeys] | asyncio.Future[Reason] | asyncio.Future[None]

_TELLING = (CallRefusedError, BusyError, UserOfflineError)
"""What the callee itself, or its presence point, has said; the most telling first."""


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call that the callee has answered.

    Attributes:
        meeting: The circuit to the rendezvous, joined.
        keys: Of the session.
        presence_point: Over which the callee was reached.
    """

    meeting: Circuit
    keys: SessionKeys
    presence_point: NodeId


class Placing:
    """One call on its way.

    Attributes:
        absent: Points that have said that the user has signed off there.
    """

    def __init__(
        self,
        caller: Caller,
        sender: BlockSender,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Be ready to call.

        Args:
            caller: Who calls whom.
            sender: Sends handshake blocks.
            on_step: Told, in words, how far the call has come.
        """
        self.absent: list[Presence] = []
        self._caller = caller
        self._sender = sender
        self._on_step = on_step
        self._initiators = Initiators()
        self._handshake: CallerHandshake | None = None
        self._establishing: asyncio.Task[None] | None = None

    async def run(self, points: Sequence[Presence]) -> PlacedCall:
        """Call, and wait until the callee answers or the introduction has ended.

        Raises:
            CallError: The most telling of what the points have said; or NoAnswerError.
        """
        meeting = asyncio.create_task(self._open_meeting(points))
        try:
            left = await self._introduce(points, meeting)
            self._on_step("introduction delivered")
            circuit = await meeting
            await self._wait_until_established()
            further = asyncio.create_task(self._introduce_further(left, meeting))
            try:
                keys = await self._wait_for_keys(circuit)
            finally:
                further.cancel()
                await asyncio.gather(further, return_exceptions=True)
        except BaseException:
            await self._close(meeting)
            raise
        self._on_step("keys agreed end to end")
        return PlacedCall(circuit, keys, self._initiators.presence_point)

    async def _open_meeting(self, points: Sequence[Presence]) -> Circuit:
        """Go to a relay, none of the callee's points: it must not die with one.

        That we wait there is said on the way: the callee takes longer to come.
        """
        caller = self._caller
        avoid = [point.place.node_id for point in points]
        circuit = await caller.circuits.open(Purpose.RENDEZVOUS_CALLER, avoid=avoid)
        self._on_step("circuits built")
        self._handshake = CallerHandshake(self._initiators, circuit, self._sender)
        self._establishing = asyncio.create_task(self._establish(circuit))
        return circuit

    async def _establish(self, meeting: Circuit) -> None:
        await meeting.request(RelayCommand.ESTABLISH, self._caller.cookie)
        self._on_step("rendezvous established")

    async def _wait_until_established(self) -> None:
        assert self._establishing is not None  # noqa: S101 - the meeting is open
        try:
            await self._establishing
        except PspError as error:
            raise UnreachableError(f"the rendezvous does not serve: {error}") from None

    async def _introduce(
        self, points: Sequence[Presence], meeting: "asyncio.Task[Circuit]"
    ) -> list[Presence]:
        """Return when one point has delivered an introduction; return the untried.

        A point that wants work does not hold the others up: it may have made that up.
        """
        left, ids = list(points), {point.place.node_id for point in points}
        running: dict[asyncio.Task[None], Introducing] = {}
        failures: list[Exception] = []
        try:
            while (left or running) and not _has_failed(meeting):
                if left:
                    try_ = self._try(left.pop(0), ids)
                    running[asyncio.create_task(try_.run(meeting))] = try_
                done, _ = await asyncio.wait(
                    running,
                    timeout=HEDGE_AFTER if left else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in [each for each in running if each in done]:
                    try_ = running.pop(task)
                    error = _failure(task)
                    if error is None:
                        return [each.point for each in running.values()] + left
                    failures.append(error)
                    if isinstance(error, UserOfflineError):
                        self.absent.append(try_.point)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        error = _most_telling(failures)
        if _has_failed(meeting) and not isinstance(error, _TELLING):
            words = str(_failure(meeting)) or "no answer in time"
            raise UnreachableError(f"no rendezvous: {words}")
        raise error

    async def _introduce_further(
        self, points: Sequence[Presence], meeting: "asyncio.Task[Circuit]"
    ) -> None:
        """Tell the callee again at other points, while nobody answers.

        A point may say that it has delivered what it has dropped. To a callee that has
        been told, a second introduction of the same call is nothing new.
        """
        ids = {point.place.node_id for point in points}
        for point in points:
            await asyncio.sleep(FURTHER_AFTER)
            with suppress(PspError, TimeoutError):
                await self._try(point, ids).run(meeting)

    def _try(self, point: Presence, ids: Collection[NodeId]) -> Introducing:
        """Prepare a try; the callee's other points are not to be on its way."""
        others = [each for each in ids if each != point.place.node_id]
        return Introducing(self._caller, point, self._initiators, others)

    async def _wait_for_keys(self, meeting: Circuit) -> SessionKeys:
        assert self._handshake is not None  # noqa: S101 - the meeting is open
        left = max(self._caller.expiry - self._caller.context.unix_time(), 0.0)
        answering = asyncio.create_task(self._handshake.keys(Seconds(left)))
        keeping = asyncio.create_task(self._keep_meeting(meeting))
        waiting: list[_Any] = [answering, meeting.closed, keeping]
        try:
            while not answering.done():
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if meeting.closed.done() or _has_failed(keeping):
                    raise UnreachableError("the rendezvous is gone")
                if keeping in waiting and keeping.done():
                    waiting.remove(keeping)  # the callee has come; keys will follow
            return answering.result()
        except TimeoutError:
            raise NoAnswerError("nobody took the call in time") from None
        finally:
            answering.cancel()
            keeping.cancel()
            await asyncio.gather(answering, keeping, return_exceptions=True)

    async def _keep_meeting(self, meeting: Circuit) -> None:
        while True:
            await asyncio.sleep(KEEP_MEETING_EVERY)
            if meeting.joined.is_set():
                return
            await meeting.request(RelayCommand.ESTABLISH, self._caller.cookie)

    async def _close(self, meeting: "asyncio.Task[Circuit]") -> None:
        """Close the circuit to the rendezvous, or give its build up."""
        meeting.cancel()
        (outcome,) = await asyncio.gather(meeting, return_exceptions=True)
        if not isinstance(outcome, BaseException):
            outcome.close()
        if self._establishing is not None:
            self._establishing.cancel()
            await asyncio.gather(self._establishing, return_exceptions=True)


def _has_failed(task: "asyncio.Task[Circuit] | asyncio.Task[None]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _failure(task: "asyncio.Task[Circuit] | asyncio.Task[None]") -> Exception | None:
    """Return why a try failed, None if it did not."""
    try:
        task.result()
    except (PspError, TimeoutError) as error:
        return error
    return None


def _most_telling(failures: Sequence[Exception]) -> CallError:
    reasons = [str(error) or "no answer in time" for error in failures]
    words = "no presence point led to the user: " + "; ".join(
        reasons or ["no rendezvous"]
    )
    for kind in _TELLING:
        if any(isinstance(error, kind) for error in failures):
            return kind(words)
    return UnreachableError(words)
