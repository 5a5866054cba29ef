"""Where cells get lost."""

import random

import pytest

from psp.circuit.events import ReportReceived
from psp.circuit.segments import (
    MIN_CELLS,
    MIN_INTERVAL,
    Sample,
    SegmentLoss,
    SegmentWatch,
)
from psp.testing.circuits import CircuitRig, fair
from psp.units import Monotonic, Seconds
from psp.wire.relay_message import RelayCommand


def sample(interval, *, sealed=0, got=0, sent=0, opened=0):
    """Return what is known when that many intervals have gone by."""
    return Sample(Monotonic(interval * MIN_INTERVAL), sealed, got, sent, opened)


def watch(hops=2):
    segments = SegmentWatch()
    for _ in range(hops):
        segments.add_hop()
    return segments


def test_the_first_report_only_begins_the_count():
    loss = watch().record(1, sample(0, sealed=5000, got=50, sent=5000, opened=50))

    assert loss == SegmentLoss(None, None)


def test_loss_is_that_of_the_segment_alone():
    segments = watch()
    segments.record(1, sample(0))
    segments.record(2, sample(0))

    first = segments.record(1, sample(1, sealed=1000, got=900, sent=1000, opened=800))
    second = segments.record(2, sample(1, sealed=1000, got=450, sent=1000, opened=200))

    assert (first.forward, first.backward) == pytest.approx((0.1, 0.2))
    assert (second.forward, second.backward) == pytest.approx((0.5, 0.75))


def test_few_cells_tell_nothing():
    segments = watch()
    segments.record(1, sample(0))

    loss = segments.record(
        1, sample(1, sealed=MIN_CELLS - 1, sent=MIN_CELLS, opened=MIN_CELLS)
    )

    assert loss == SegmentLoss(None, 0.0)


def test_nothing_is_known_behind_a_hop_that_gets_nothing():
    segments = watch()
    segments.record(1, sample(0))
    segments.record(1, sample(1, sealed=500, sent=500))
    segments.record(2, sample(0))

    loss = segments.record(2, sample(1, sealed=500, sent=500))

    assert loss == SegmentLoss(None, None)


def test_a_gain_counts_as_no_loss():
    segments = watch(1)
    segments.record(1, sample(0))

    loss = segments.record(1, sample(1, sealed=500, got=510, sent=500, opened=500))

    assert loss == SegmentLoss(0.0, 0.0)


def test_old_reports_are_forgotten():
    segments = watch(1)
    for i in range(5):
        segments.record(1, sample(i, sealed=1000 * i))
    for i in range(5, 8):
        got = 1000 * (i - 4)
        loss = segments.record(1, sample(i, sealed=1000 * i, got=got))

    assert loss.forward == 0.0


def test_early_reports_neither_count_nor_push_others_out():
    segments = watch(1)
    segments.record(1, sample(0))
    for i in range(20):
        early = segments.record(1, sample(i / 20, sealed=50 * i))
        assert early == SegmentLoss(None, None)

    loss = segments.record(1, sample(1, sealed=1000, got=700))

    assert loss.forward == pytest.approx(0.3)


def test_a_hop_that_was_cut_off_begins_anew():
    segments = watch(1)
    segments.record(1, sample(0))
    segments.cut(0)
    segments.add_hop()

    loss = segments.record(1, sample(1, sealed=500, got=500, sent=500, opened=500))

    assert loss == SegmentLoss(None, None)


@pytest.mark.parametrize("lossy", [(-1, 0), (0, 1), (1, 2), (2, 1), (1, 0), (0, -1)])
def test_the_lossy_link_is_found_within_a_minute(lossy):
    dice = random.Random(f"segments {lossy}")
    rig = CircuitRig(3)
    circuit = rig.built(3)
    circuit.request(RelayCommand.ESTABLISH, bytes(20), rig.now)
    rig.run(Seconds(0.5))
    rig.fate = lambda p: (
        [] if (p.sender, p.receiver) == lossy and dice.random() < 0.08 else fair(p)
    )

    end = rig.relays[2].route.hop
    for _ in range(550):
        rig.send_blocks(circuit, [bytes(1106)] * 3)
        for _ in range(3):
            rig.send(2, 1, end.block_cell(bytes(1106)))
        rig.run(Seconds(0.1))

    losses = {
        event.hop: event.loss
        for event in rig.events[0]
        if isinstance(event, ReportReceived)
    }
    is_forward = lossy[0] < lossy[1]
    bad = max(lossy) + 1
    for hop, loss in losses.items():
        expected = 0.08 if hop == bad else 0.0
        found, other = (
            (loss.forward, loss.backward)
            if is_forward
            else (loss.backward, loss.forward)
        )
        assert found == pytest.approx(expected, abs=0.035)
        assert other == pytest.approx(0.0, abs=0.015)
    assert sorted(losses) == [1, 2, 3]
