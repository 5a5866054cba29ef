"""Cookies: how two circuits that end here find each other (SPEC.md section 3, R-PRE-5).

Each cookie has one state machine, and each circuit at most one cookie::

    (none) --ESTABLISH--> WAITING --JOIN--> JOINED --either circuit ends--> USED
                             |                                               |
                             +--- 30 s, or its circuit ends ---> USED ---30 s+--> (none)

The first JOIN wins, whatever the order of arrival; asking again for what one has already
got changes nothing, but that ESTABLISH by who waits begins its 30 s anew (a call may ring
for a minute). Full table: ESTABLISH is refused, nobody is pushed out.
"""

import enum
from dataclasses import dataclass

from psp.errors import LocalProtocolError
from psp.ids import COOKIE_SIZE, Cookie
from psp.timers import Deadlines
from psp.units import Monotonic
from psp.wire.cell import Reason
from relay.config import RelayConfig
from relay.stats import RelayStats


class MeetingState(enum.Enum):
    """Where a cookie stands."""

    WAITING = enum.auto()
    JOINED = enum.auto()
    USED = enum.auto()


MOVES = {
    MeetingState.WAITING: (MeetingState.JOINED, MeetingState.USED),
    MeetingState.JOINED: (MeetingState.USED,),
    MeetingState.USED: (),
}
"""Every legal move of a cookie."""


@dataclass(slots=True)
class _Meeting:
    state: MeetingState
    host: int
    guest: int | None = None

    def move(self, state: MeetingState) -> None:
        if state not in MOVES[self.state]:
            raise LocalProtocolError(f"cookie from {self.state} to {state}")
        self.state = state


class RendezvousPoint:
    """All cookies of one relay. Circuits are named by their keys."""

    def __init__(self, config: RelayConfig, stats: RelayStats) -> None:
        self._config = config
        self._stats = stats
        self._meetings: dict[Cookie, _Meeting] = {}
        self._cookie_of: dict[int, Cookie] = {}
        self._deadlines: Deadlines[Cookie] = Deadlines()

    def __len__(self) -> int:
        return len(self._meetings)

    def establish(self, cookie: bytes, key: int, now: Monotonic) -> Reason | None:
        """Let circuit ``key`` wait under ``cookie``; return why not, or None."""
        reason = self._establish(Cookie(cookie), key, now)
        self._stats.cookies_refused += reason is not None
        return reason

    def join(self, cookie: bytes, key: int) -> int | Reason:
        """Join circuit ``key`` to the one that waits; return that one, or why not."""
        partner = self._join(Cookie(cookie), key)
        self._stats.cookies_refused += isinstance(partner, Reason)
        return partner

    def partner(self, key: int) -> int | None:
        """Return the circuit joined to ``key``, or None."""
        cookie = self._cookie_of.get(key)
        if cookie is None:
            return None
        meeting = self._meetings[cookie]
        if meeting.state is not MeetingState.JOINED:
            return None
        return meeting.guest if meeting.host == key else meeting.host

    def circuit_closed(self, key: int, now: Monotonic) -> int | None:
        """End the meeting of ``key``, if any; return its partner, now without one."""
        partner = self.partner(key)
        cookie = self._cookie_of.get(key)
        if cookie is not None:
            self._end(cookie, now)
        return partner

    def next_timeout(self) -> Monotonic | None:
        """Return when to call ``handle_timeout``."""
        return self._deadlines.next()

    def handle_timeout(self, now: Monotonic) -> None:
        """Expire waiting cookies and forget used ones."""
        for cookie in self._deadlines.pop_expired(now):
            meeting = self._meetings[cookie]
            if meeting.state is MeetingState.WAITING:
                self._stats.cookies_expired += 1
                self._end(cookie, now)
            else:
                del self._meetings[cookie]

    def audit(self) -> bool:
        """Recompute what is kept twice; return whether it agrees."""
        held: dict[int, Cookie] = {}
        for cookie, meeting in self._meetings.items():
            if meeting.state is MeetingState.USED:
                continue
            held[meeting.host] = cookie
            if meeting.guest is not None:
                held[meeting.guest] = cookie
        timed = sum(cookie in self._deadlines for cookie in self._meetings)
        joined = sum(
            meeting.state is MeetingState.JOINED for meeting in self._meetings.values()
        )
        return held == self._cookie_of and timed == len(self._meetings) - joined

    def _establish(self, cookie: Cookie, key: int, now: Monotonic) -> Reason | None:
        if len(cookie) != COOKIE_SIZE:
            return Reason.PROTOCOL
        meeting = self._meetings.get(cookie)
        if meeting is not None:
            if meeting.host != key or meeting.state is MeetingState.USED:
                return Reason.REFUSED
            if meeting.state is MeetingState.WAITING:
                self._wait(cookie, now)
            return None
        if key in self._cookie_of:
            return Reason.PROTOCOL
        if len(self._meetings) >= self._config.max_cookies:
            return Reason.RESOURCE_LIMIT
        self._meetings[cookie] = _Meeting(MeetingState.WAITING, key)
        self._cookie_of[key] = cookie
        self._wait(cookie, now)
        self._stats.cookies_established += 1
        return None

    def _wait(self, cookie: Cookie, now: Monotonic) -> None:
        self._deadlines.set(cookie, Monotonic(now + self._config.cookie_life))

    def _join(self, cookie: Cookie, key: int) -> int | Reason:
        meeting = self._meetings.get(cookie)
        if meeting is None:
            return Reason.REFUSED
        if meeting.state is MeetingState.JOINED and meeting.guest == key:
            return meeting.host
        if meeting.state is not MeetingState.WAITING or key in self._cookie_of:
            return Reason.REFUSED
        meeting.move(MeetingState.JOINED)
        meeting.guest = key
        self._cookie_of[key] = cookie
        self._deadlines.cancel(cookie)
        self._stats.cookies_joined += 1
        return meeting.host

    def _end(self, cookie: Cookie, now: Monotonic) -> None:
        meeting = self._meetings[cookie]
        meeting.move(MeetingState.USED)
        self._cookie_of.pop(meeting.host, None)
        if meeting.guest is not None:
            self._cookie_of.pop(meeting.guest, None)
        self._deadlines.set(cookie, Monotonic(now + self._config.cookie_life))
