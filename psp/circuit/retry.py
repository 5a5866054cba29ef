"""When an unanswered request is sent again.

SPEC.md section 3: again after 250 ms, then 1.5 times later each, five times in all; in
1, 2, 4, 8 and 8 copies, 20 ms apart::

    0 | 250 270 | 625 … 685 | 1188 … 1328 | 2031 … 2171 | 3297 give up

The copies matter. A handshake is two halves each way, and a half that is lost twice has
waited most of a second. Three hops were built within 5 s, every link losing cells, in

    loss per link             5 %     10 %    20 %    30 %
    single copies             99.8    97.8    71      27
    these                     100     100     100     99.8   per cent of cases

so that a bad network costs cells, not calls; a good one never sees a second copy.
"""

from psp.units import Monotonic, Seconds

TRIES = 5
FIRST_WAIT = Seconds(0.25)
BACK_OFF = 1.5
MAX_COPIES = 8
COPY_GAP = Seconds(0.02)
"""Long enough to leave a full queue behind, short beside any round trip."""


def _schedule() -> tuple[tuple[float, ...], float]:
    times: list[float] = []
    elapsed, wait = 0.0, float(FIRST_WAIT)
    for attempt in range(TRIES):
        copies = min(1 << attempt, MAX_COPIES)
        times += [elapsed + COPY_GAP * copy for copy in range(copies)]
        elapsed += wait
        wait *= BACK_OFF
    return tuple(times), elapsed


SEND_TIMES, GIVE_UP_AFTER = _schedule()
"""Seconds after the first sending of every sending, and of giving up."""

ANSWER_COPIES = 2
"""How often an answer is given to a request that had to be repeated: who repeats has
most likely lost the answer, on a path that loses."""


class Retry:
    """The schedule of one request.

    Attributes:
        started: When it was sent first.
        sent: How many times it was sent.
    """

    __slots__ = ("_give_up_after", "sent", "started")

    def __init__(self, now: Monotonic, *, give_up_after: float = GIVE_UP_AFTER) -> None:
        """Begin; ``give_up_after`` must leave time for the last sending."""
        self._give_up_after = give_up_after
        self.started = now
        self.sent = 0

    @property
    def next_due(self) -> Monotonic:
        """When to send next, or to give up once everything is sent."""
        if self.sent < len(SEND_TIMES):
            return Monotonic(self.started + SEND_TIMES[self.sent])
        return Monotonic(self.started + self._give_up_after)

    def take(self, now: Monotonic) -> bool:
        """Tell whether a sending is due, and count it as done.

        Called late, it skips copies that became due together with the last one.
        """
        if self.sent == len(SEND_TIMES) or self.next_due > now:
            return False
        while self.sent < len(SEND_TIMES) and self.next_due <= now:
            self.sent += 1
        return True

    def is_over(self, now: Monotonic) -> bool:
        """Tell whether to give up."""
        return self.sent == len(SEND_TIMES) and self.next_due <= now
