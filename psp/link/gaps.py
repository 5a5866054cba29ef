"""What did not come over one link, and when to ask for it (SPEC.md section 2).

::

    overtaken --> missing --10 ms--> asked --round trip--> asked again --> given up
                     |                 |                        |
                     +------ came -----+--------- came ---------+

The sender's half is psp.link.repair.
"""

from itertools import islice

from psp.link.config import (
    REORDER_TOLERANCE,
    REPAIR_AGE,
    REPAIR_CREDIT,
    REPAIR_RING,
    REPAIR_SHARE,
)
from psp.units import Monotonic

_FIRST_ROUND_TRIP = 0.1
"""Seconds from asking to getting while none has been measured: a guess, between the
links of one city and those between continents."""

_GAIN = 0.125
"""Weight of a new measurement (RFC 6298 section 2)."""

_MAX_NOTED = int(REPAIR_CREDIT)
"""Counters of one gap that are noted, the newest: all that is ever asked for at once.
A peer may leave a gap of any length before each packet, and must not be served more work
than its packets are."""

_PATIENCE = 1.125
"""Round trips to wait before asking again; `REORDER_TOLERANCE` comes on top."""


class Gaps:
    """Counters of one key that were overtaken.

    Each is asked for once after `REORDER_TOLERANCE`, and once more when that was not
    answered within a round trip and the sender can still have it. At most `REPAIR_RING`
    are waiting and as many are asked for; the oldest is forgotten for a new one, since
    the sender no longer has it either.

    Attributes:
        received: Packets that came; whoever opens them adds to it.
        repaired: Packets that came because we asked.
        round_trip: Smoothed seconds from asking to getting.
    """

    __slots__ = (
        "_accounted",
        "_again",
        "_asked",
        "_credit",
        "_missing",
        "received",
        "repaired",
        "round_trip",
    )

    def __init__(self) -> None:
        self._missing: dict[int, Monotonic] = {}
        self._asked: dict[int, Monotonic] = {}
        self._again: dict[int, Monotonic] = {}
        self._credit = REPAIR_CREDIT
        self._accounted = 0
        self.received = 0
        self.repaired = 0
        self.round_trip = _FIRST_ROUND_TRIP

    def __bool__(self) -> bool:
        return bool(self._missing)

    @property
    def due(self) -> Monotonic | None:
        """When the first counter is to be asked for."""
        first = next(iter(self._missing.values()), None)
        if not self._asked:
            return first
        again = Monotonic(next(iter(self._asked.values())) + self._patience)
        return again if first is None else min(first, again)

    @property
    def _patience(self) -> float:
        return _PATIENCE * self.round_trip + REORDER_TOLERANCE

    def note(self, first: int, end: int, now: Monotonic) -> None:
        """Note that the counters ``first`` … ``end - 1`` were overtaken."""
        missing = self._missing
        due = Monotonic(now + REORDER_TOLERANCE)
        for counter in range(max(first, end - _MAX_NOTED), end):
            missing[counter] = due
        _forget_oldest(missing)

    def fill(self, counter: int, now: Monotonic) -> bool:
        """Note that ``counter`` has come; tell whether only because we asked."""
        if self._missing.pop(counter, None) is not None:
            return False
        asked = self._asked.pop(counter, self._again.pop(counter, None))
        if asked is None:
            return False
        # From the first request on, also when the second was answered: too long rather
        # than too short.
        self.round_trip += _GAIN * (now - asked - self.round_trip)
        self.repaired += 1
        return True

    def pop_due(self, now: Monotonic) -> list[int]:
        """Return the counters to ask for now; they are taken as asked for."""
        earned = (self.received - self._accounted) * REPAIR_SHARE
        self._credit = min(REPAIR_CREDIT, self._credit + earned)
        self._accounted = self.received
        first = self._pay(_pop_due(self._missing, 0.0, now))
        overdue = {
            counter: asked
            for counter, asked in _pop_due(self._asked, self._patience, now).items()
            if now + self.round_trip <= asked - REORDER_TOLERANCE + REPAIR_AGE
        }
        again = self._pay(overdue)
        self._asked.update(dict.fromkeys(first, now))
        self._again.update((counter, overdue[counter]) for counter in again)
        _forget_oldest(self._asked)
        _forget_oldest(self._again)
        return first + again

    def _pay(self, due: dict[int, Monotonic]) -> list[int]:
        """Return the newest counters that the credit is enough for."""
        asked = list(due)[-int(self._credit) :] if self._credit >= 1 else []
        self._credit -= len(asked)
        return asked


def _pop_due(
    times: dict[int, Monotonic], wait: float, now: Monotonic
) -> dict[int, Monotonic]:
    """Remove and return what is ``wait`` old, from the front of a dict in order."""
    due: dict[int, Monotonic] = {}
    for counter, moment in times.items():
        if moment + wait > now:
            break
        due[counter] = moment
    for counter in due:
        del times[counter]
    return due


def _forget_oldest(times: dict[int, Monotonic]) -> None:
    # In one go: a dict's first key is found by passing over all that were deleted.
    excess = len(times) - REPAIR_RING
    if excess > 0:
        for counter in list(islice(times, excess)):
            del times[counter]
