"""Where on a circuit cells get lost (R-TAG-6).

Segment i lies between hop i - 1 (hop 0 is the origin) and hop i. Every layer counts what
was sealed under it, so the origin knows what each hop should have got, and from the
highest counter it opened what each hop has sent::

    forward, up to hop i    got by its REPORT          / sealed by us under layer i
    backward, from hop i    opened by us under layer i / its highest counter

Loss of one segment is the quotient of two neighbours. All counts are differences over
the last reports, so that what is under way does not matter while the rate is steady.
"""

from collections import deque
from dataclasses import dataclass

from psp.units import Monotonic, Seconds

MAX_SAMPLES = 4
"""Three intervals of 10 s: the 30 s over which R-TAG-6 judges a segment."""

MIN_INTERVAL = Seconds(9.0)
"""Between samples. Hops report early when they drop cells; that changes nothing here, or
a hop could hide behind many reports what was lost in half a minute."""

MIN_CELLS = 100
"""Below this a fraction says nothing: 5 % loss is 5 cells. A guess."""


@dataclass(frozen=True, slots=True)
class SegmentLoss:
    """Fractions of cells lost on one segment in the last 30 s, 0 … 1.

    Attributes:
        forward: Away from the origin; None when too few cells tell.
        backward: Towards it; None when too few cells tell.
    """

    forward: float | None
    backward: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """Counts of one hop when its report came, since the circuit was made.

    Attributes:
        time: When that was.
        sealed: Cells we sealed under its layer.
        got: Cells it says it opened.
        sent: Cells it sealed for us, as far as we saw.
        opened: Cells of these that we opened.
    """

    time: Monotonic
    sealed: int
    got: int
    sent: int
    opened: int


class SegmentWatch:
    """The last samples of every hop."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: list[deque[Sample]] = []

    def add_hop(self) -> None:
        """One more hop."""
        self._samples.append(deque(maxlen=MAX_SAMPLES))

    def cut(self, hop: int) -> None:
        """The hops behind ``hop`` are gone."""
        del self._samples[hop:]

    def record(self, hop: int, sample: Sample) -> SegmentLoss:
        """Add the counts of ``hop``; return the loss of the segment before it.

        Nothing is known from a sample that comes too soon after the last.
        """
        samples = self._samples[hop - 1]
        if samples and sample.time < samples[-1].time + MIN_INTERVAL:
            return SegmentLoss(None, None)
        samples.append(sample)
        forward, backward = self._kept(hop)
        forward_before, backward_before = self._kept(hop - 1)
        return SegmentLoss(
            _loss(forward, forward_before), _loss(backward, backward_before)
        )

    def _kept(self, hop: int) -> tuple[float | None, float | None]:
        """Return what share of cells arrived up to, and from, ``hop``."""
        if hop == 0:
            return 1.0, 1.0
        samples = self._samples[hop - 1]
        if len(samples) < 2:
            return None, None
        first, last = samples[0], samples[-1]
        return (
            _share(last.got - first.got, last.sealed - first.sealed),
            _share(last.opened - first.opened, last.sent - first.sent),
        )


def _share(arrived: int, sent: int) -> float | None:
    return arrived / sent if sent >= MIN_CELLS else None


def _loss(share: float | None, share_before: float | None) -> float | None:
    """Return the loss between two places; what moved meanwhile may look like gain."""
    if share is None or not share_before:
        return None
    return min(1.0, max(0.0, 1.0 - share / share_before))
