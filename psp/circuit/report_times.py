"""When a hop reports what it carried (SPEC.md section 3.1).

It looks every 10 s. A relay has ten thousand hops, and a report is a cell of its own:
few cells wait for more, unless no more come. Drops are told of at once.
"""

import enum
import math

from psp.circuit.segments import MAX_SAMPLES, MIN_CELLS
from psp.units import Monotonic, Seconds

REPORT_INTERVAL = Seconds(10.0)
_GRID = 0.25
"""Seconds; looks are at multiples of it: a relay then wakes four times a second for those of
ten thousand circuits, not a thousand times."""

EARLY_REPORT_INTERVAL = Seconds(0.1)
"""Between reports while cells are dropped: senders follow once per round trip, which is
longer as a rule."""

REPORT_CELLS = math.ceil(MIN_CELLS / (MAX_SAMPLES - 1))
"""Cells of both directions that are worth a report: of fewer in each interval the origin
makes nothing. Those before a circuit falls quiet are reported, too."""


class Look(enum.Enum):
    """What a look at a hop says."""

    WAIT = enum.auto()
    REST = enum.auto()
    """No cell came for a while, and all have been reported."""
    REPORT = enum.auto()
    WARN = enum.auto()
    """Report in a marked cell."""


class ReportTimes:
    """The looks at one hop."""

    __slots__ = ("_due", "_is_warning", "_looked", "_reported")

    def __init__(self, now: Monotonic) -> None:
        self._due = Monotonic(now + REPORT_INTERVAL)
        self._reported = self._looked = 0
        self._is_warning = False

    def next_timeout(self) -> Monotonic:
        """Return when to call `look`; a little later than it is due."""
        if self._is_warning:
            return self._due
        return Monotonic(math.ceil(self._due / _GRID) * _GRID)

    def is_due(self, now: Monotonic) -> bool:
        """Whether it is time to call `look`."""
        return now >= self._due

    def warn(self, now: Monotonic) -> None:
        """Cells were dropped: report 100 ms after the last report at the soonest."""
        self._is_warning = True
        soonest = self._due - REPORT_INTERVAL + EARLY_REPORT_INTERVAL
        if self._due > now + EARLY_REPORT_INTERVAL:
            self._due = Monotonic(max(now, soonest))

    def look(self, carried: int, now: Monotonic) -> Look:
        """Decide, with ``carried`` cells of both directions so far."""
        self._due = Monotonic(now + REPORT_INTERVAL)
        looked, self._looked = self._looked, carried
        if self._is_warning:
            self._is_warning = False
            self._reported = carried
            return Look.WARN
        if carried == self._reported:
            return Look.REST
        if carried != looked and carried < self._reported + REPORT_CELLS:
            return Look.WAIT
        self._reported = carried
        return Look.REPORT
