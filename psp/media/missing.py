"""Which packets are missing, and when to ask for them again (RFC 4585 section 6.2.1).

aiortc asks once, when it sees a gap, so that a lost request or a lost answer waits for
the next gap. Here every missing packet has a timer, fitted to the pipe's round trip.

The path's links repair most losses by themselves, within about two round trips of one
link. Asking before that would have every such packet sent twice from end to end.
"""

from dataclasses import dataclass

from psp.media.pipe import RoundTrip
from psp.units import Monotonic, Seconds

MIN_PATIENCE = Seconds(0.005)
"""Before the first request: a packet may only have been overtaken."""

PATIENCE_OF_ROUND_TRIP = 0.2
"""The same on a long path: with seven like links, one link's round trip is 0.14 of it."""

MAX_TRIES = 8
MAX_PER_REPORT = 100
"""Sequence numbers in one request: at most 400 bytes of NACK entries."""

UNKNOWN_ROUND_TRIP = Seconds(0.15)
_MIN_PAUSE = 0.04
_MAX_PAUSE = 2.0
_PAUSE_OF_ROUND_TRIP = 1.25
"""Our choice: closer to 1, jitter alone doubles the retransmissions."""


@dataclass(slots=True)
class _Gap:
    noticed: Monotonic
    asked: Monotonic | None = None
    tries: int = 0


class MissingPackets:
    """The gaps of one stream. Its owner bounds it by giving gaps up."""

    def __init__(self, round_trip: RoundTrip) -> None:
        """Miss nothing; ``round_trip`` is asked each time that timers are set."""
        self._gaps: dict[int, _Gap] = {}
        self._round_trip = round_trip

    def __len__(self) -> int:
        return len(self._gaps)

    @property
    def patience(self) -> Seconds:
        """Seconds from noticing a gap to the first request."""
        return Seconds(max(MIN_PATIENCE, self._round_trip() * PATIENCE_OF_ROUND_TRIP))

    @property
    def pause(self) -> Seconds:
        """Seconds from one request to the next."""
        pause = (self._round_trip() or UNKNOWN_ROUND_TRIP) * _PAUSE_OF_ROUND_TRIP
        return Seconds(min(_MAX_PAUSE, max(_MIN_PAUSE, pause)))

    def notice(self, sequences: range, now: Monotonic) -> None:
        """Remember that these packets have not come."""
        for sequence in sequences:
            self._gaps[sequence] = _Gap(now)

    def resolve(self, sequence: int) -> bool:
        """Forget a packet that came; tell whether it was missing."""
        return self._gaps.pop(sequence, None) is not None

    def give_up_below(self, sequence: int) -> int:
        """Forget everything before ``sequence``; return how many that were."""
        old = [missing for missing in self._gaps if missing < sequence]
        for missing in old:
            del self._gaps[missing]
        return len(old)

    def noticed_at(self, sequence: int) -> Monotonic | None:
        """Return when a packet was found missing, None if it is not."""
        gap = self._gaps.get(sequence)
        return None if gap is None else gap.noticed

    def due(self, now: Monotonic) -> list[int]:
        """Return what to ask for now, in order, and count it as asked."""
        due: list[int] = []
        patience, pause = self.patience, self.pause
        for sequence in sorted(self._gaps):
            gap = self._gaps[sequence]
            when = _next_request(gap, patience, pause)
            if when is not None and when <= now and len(due) < MAX_PER_REPORT:
                gap.asked = now
                gap.tries += 1
                due.append(sequence)
        return due

    def next_request(self) -> Monotonic | None:
        """Return when `due` will have something, None for never."""
        patience, pause = self.patience, self.pause
        times = [_next_request(gap, patience, pause) for gap in self._gaps.values()]
        return min((when for when in times if when is not None), default=None)


def _next_request(gap: _Gap, patience: Seconds, pause: Seconds) -> Monotonic | None:
    if gap.tries >= MAX_TRIES:
        return None
    if gap.asked is None:
        return Monotonic(gap.noticed + patience)
    return Monotonic(gap.asked + pause)
