"""Finding the segment that drops cells (psp/client/loss_judge.py)."""

import pytest

from psp.circuit.segments import SegmentLoss
from psp.client.loss_judge import LossJudge
from psp.units import Monotonic

CLEAN = SegmentLoss(0.0, 0.004)
LOSSY = SegmentLoss(0.07, 0.0)
UNKNOWN = SegmentLoss(None, None)


def judge(*rounds: tuple[SegmentLoss, ...]) -> list[tuple[int, int]]:
    """Return (round, hop) of every accusation; reports come every 10 s."""
    judge = LossJudge(len(rounds[0]))
    return [
        (number, hop)
        for number, losses in enumerate(rounds)
        for hop, loss in enumerate(losses, 1)
        if judge.record(hop, loss, Monotonic(10.0 * number))
    ]


def test_one_lossy_segment_among_clean_ones_is_accused_when_it_stays_so():
    bad = (CLEAN, LOSSY, CLEAN)

    # Round 0 knows too little: the report of hop 3 comes after that of hop 2.
    assert judge(*[bad] * 5) == [(3, 2), (4, 2)]


def test_a_relay_that_drops_both_ways_is_accused_from_both_sides():
    before, behind = SegmentLoss(0.0, 0.08), SegmentLoss(0.08, 0.0)

    assert {hop for _, hop in judge(*[(CLEAN, before, behind)] * 5)} == {2, 3}


@pytest.mark.parametrize("hop", [1, 2, 3])
def test_the_accused_segment_is_the_lossy_one(hop):
    losses = tuple(LOSSY if number == hop else CLEAN for number in (1, 2, 3))

    assert {accused for _, accused in judge(*[losses] * 5)} == {hop}


def test_backward_loss_counts_as_much():
    losses = (CLEAN, CLEAN, SegmentLoss(0.0, 0.2))

    assert {hop for _, hop in judge(*[losses] * 5)} == {3}


def test_loss_that_all_segments_share_accuses_nobody():
    everywhere = SegmentLoss(0.05, 0.06)

    assert judge(*[(everywhere, everywhere, everywhere)] * 10) == []


def test_a_little_loss_elsewhere_acquits():
    assert judge(*[(SegmentLoss(0.02, 0.0), LOSSY, CLEAN)] * 10) == []


def test_a_burst_that_passes_accuses_nobody():
    calm, burst = (CLEAN, CLEAN, CLEAN), (CLEAN, LOSSY, CLEAN)

    assert judge(burst, burst, calm, burst, burst, calm) == []


def test_nothing_is_said_before_every_segment_is_known():
    assert judge(*[(CLEAN, LOSSY, UNKNOWN)] * 10) == []
    assert judge(*[(UNKNOWN,)] * 3) == []
