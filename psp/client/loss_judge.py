"""Finds the one segment of a circuit where cells go missing (R-TAG-6).

Hops report every ten seconds, and each report tells the loss of the segment before it
over the last half minute. A segment that loses more than 5 % while every other loses
less than 1 % is no bad weather: one of the two relays at its ends drops cells, or the
line between them is broken. Either way the circuit is better off elsewhere.
"""

from psp.circuit.segments import SegmentLoss
from psp.units import Monotonic, Seconds

LOSSY = 0.05
CLEAN = 0.01
"""Both from R-TAG-6. Loss that all segments share is the network's, not a relay's."""
PERSISTS = Seconds(15.0)
"""Two reports in a row must say the same: with the half minute that a report looks back
on, a burst of loss passes unpunished."""


class LossJudge:
    """Judges the segments of one circuit."""

    def __init__(self, hops: int) -> None:
        self._hops = hops
        self._losses: dict[tuple[int, bool], float] = {}
        self._lossy_since: dict[tuple[int, bool], Monotonic] = {}

    def record(self, hop: int, loss: SegmentLoss, now: Monotonic) -> bool:
        """Take in a hop's report; return whether the segment before it is to blame."""
        forward = self._judge(hop, loss.forward, now, is_forward=True)
        backward = self._judge(hop, loss.backward, now, is_forward=False)
        return forward or backward

    def _judge(
        self, hop: int, share: float | None, now: Monotonic, *, is_forward: bool
    ) -> bool:
        """Judge one direction: a relay that drops both ways shows on both its sides."""
        key = (hop, is_forward)
        if share is None:
            self._losses.pop(key, None)
            return False
        self._losses[key] = share
        others = [
            lost
            for (other, direction), lost in self._losses.items()
            if other != hop and direction is is_forward
        ]
        is_alone = len(others) == self._hops - 1 and max(others, default=0.0) < CLEAN
        if not is_alone or share <= LOSSY:
            self._lossy_since.pop(key, None)
            return False
        return now - self._lossy_since.setdefault(key, now) >= PERSISTS
