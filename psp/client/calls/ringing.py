"""Calls that ring here: introduced, and neither answered nor refused yet.

Nothing is built for a call before the app says so (R-PATH-5): until then it is a few
hundred bytes in this list. A call rings until its introduction ends, a minute at most;
then it is a missed call.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable

from psp.client.calls.established import EstablishedCall
from psp.client.calls.session import ClientSession
from psp.client.errors import NoAnswerError
from psp.ids import Cookie

MAX_RINGING = 32
"""Calls neither answered nor refused; the gate lets fewer in a minute."""

Answering = Callable[["IncomingCall"], Awaitable[EstablishedCall]]
"""Builds to the rendezvous and agrees on keys with the caller."""


class CallDecision(enum.Enum):
    """What an app's policy says of a call, before anything is built."""

    ANSWER = "answer"
    RING = "ring"
    REFUSE = "refuse"


CallPolicy = Callable[["IncomingCall"], Awaitable[CallDecision]]
"""The app's say before a call rings; it has two seconds, then it rings."""


class CallState(enum.Enum):
    """How far a call has come."""

    RINGING = "ringing"
    ANSWERED = "answered"
    REFUSED = "refused"
    MISSED = "missed"


class IncomingCall:
    """One call that rings; `answer` or `refuse` it.

    Attributes:
        contact: Name of the contact whose ticket came with it; None for a stranger. Who
            really calls is known when it is answered.
        effort: Bits of work that a stranger has proven.
        expires: Unix seconds at which it stops ringing.
        cookie: Names the call to its two ends.
        state: How far it has come.
    """

    def __init__(
        self,
        *,
        contact: str | None,
        effort: int,
        expires: float,
        cookie: Cookie,
        answering: Answering,
    ) -> None:
        self.contact = contact
        self.effort = effort
        self.expires = expires
        self.cookie = cookie
        self.state = CallState.RINGING
        self._answering = answering
        self._task: asyncio.Task[EstablishedCall] | None = None
        self._waiting = 0
        self._over = asyncio.Event()
        self._on_end: Callable[[IncomingCall], None] = lambda _: None

    def __repr__(self) -> str:
        who = "a stranger" if self.contact is None else repr(self.contact)
        return f"<IncomingCall from {who}, {self.state.value}>"

    @property
    def is_over(self) -> bool:
        """Whether it has stopped ringing, for whatever reason."""
        return self.state is not CallState.RINGING

    async def answer(self) -> ClientSession:
        """Take the call and return the session; again gives the same one.

        Raises:
            CallError: If it has stopped ringing, or the caller cannot be reached.
            ContactRevokedError: If the contact was removed meanwhile.
        """
        return (await self.establish()).session

    async def establish(self) -> EstablishedCall:
        """Do what `answer` does; return the keeper of the session's legs with it."""
        task = self.begin()
        self._waiting += 1
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is None or not this.cancelling():
                raise NoAnswerError("the call was given up here") from None
            if self._waiting == 1:
                # Nobody else wants it: what was built, or is being built, goes.
                task.cancel()
                task.add_done_callback(_hang_up)
            raise
        finally:
            self._waiting -= 1

    def begin(self) -> "asyncio.Task[EstablishedCall]":
        """Begin to answer without waiting for it.

        Raises:
            CallError: If it has stopped ringing.
        """
        if self._task is None:
            if self.is_over:
                raise NoAnswerError("the call has stopped ringing")
            self.end(CallState.ANSWERED)
            self._task = asyncio.create_task(self._answer())
            self._task.add_done_callback(_note_failure)
        return self._task

    def refuse(self) -> None:
        """Let it ring no longer; nothing is built, and the caller hears nothing."""
        self.end(CallState.REFUSED)

    def end(self, state: CallState) -> None:
        """Stop ringing; the first reason counts."""
        if not self.is_over:
            self.state = state
            self._over.set()
            self._on_end(self)

    async def ended(self) -> CallState:
        """Wait until it has stopped ringing; return why."""
        await self._over.wait()
        return self.state

    def on_end(self, listener: "Callable[[IncomingCall], None]") -> None:
        """Tell ``listener`` when it stops ringing."""
        self._on_end = listener

    async def close(self) -> None:
        """Let it ring no longer, and give up answering if that is under way."""
        self.refuse()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _answer(self) -> EstablishedCall:
        return await self._answering(self)


class RingingCalls:
    """All calls that ring, the oldest first."""

    def __init__(self) -> None:
        self._ringing: dict[Cookie, IncomingCall] = {}
        self._waiting: dict[Cookie, IncomingCall] = {}
        self._timers: dict[Cookie, asyncio.TimerHandle] = {}
        self._came = asyncio.Event()

    def __len__(self) -> int:
        """Return how many wait for the app to take them."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether no further call can ring."""
        return len(self._ringing.keys() | self._waiting.keys()) >= MAX_RINGING

    def weakest_stranger(self) -> IncomingCall | None:
        """Return the stranger with the least work whom the app has not taken yet."""
        strangers = [
            call
            for cookie, call in self._waiting.items()
            if call.contact is None and cookie in self._ringing
        ]
        return min(strangers, key=lambda call: call.effort, default=None)

    def add(
        self,
        call: IncomingCall,
        within: float,
        on_missed: Callable[[IncomingCall], None],
    ) -> None:
        """Let a call ring.

        Args:
            call: The call.
            within: Seconds until it stops by itself.
            on_missed: Told if it did.
        """

        def stop() -> None:
            call.end(CallState.MISSED)
            on_missed(call)

        loop = asyncio.get_running_loop()
        self._ringing[call.cookie] = self._waiting[call.cookie] = call
        self._timers[call.cookie] = loop.call_later(within, stop)
        call.on_end(self._ended)
        self._came.set()

    async def next(self) -> IncomingCall:
        """Wait for the oldest call that nobody has taken, and take it.

        A call that the app's policy has answered is one of them.
        """
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        return self._waiting.pop(next(iter(self._waiting)))

    async def close(self) -> None:
        """Refuse everything; what was answered and not taken is hung up."""
        left = {**self._ringing, **self._waiting}
        self._waiting.clear()
        for call in left.values():
            await call.close()

    def _ended(self, call: IncomingCall) -> None:
        self._timers.pop(call.cookie).cancel()
        del self._ringing[call.cookie]
        if call.state is not CallState.ANSWERED:
            self._waiting.pop(call.cookie, None)


def _hang_up(task: "asyncio.Task[EstablishedCall]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().session.close()


def _note_failure(task: "asyncio.Task[EstablishedCall]") -> None:
    """Take a failure that nobody may wait for; who does gets it all the same."""
    if not task.cancelled():
        task.exception()
