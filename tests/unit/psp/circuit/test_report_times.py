"""When a hop reports (psp/circuit/report_times.py)."""

import pytest

from psp.circuit.report_times import (
    EARLY_REPORT_INTERVAL,
    REPORT_CELLS,
    REPORT_INTERVAL,
    Look,
    ReportTimes,
)
from psp.circuit.segments import MAX_SAMPLES, MIN_CELLS
from psp.units import Monotonic

START = Monotonic(1000.1)


def looks(carried):
    """Return what each look says, one per interval, of cells carried until then."""
    times = ReportTimes(START)
    now, said = START, []
    for cells in carried:
        now = Monotonic(now + REPORT_INTERVAL)
        assert times.is_due(now)
        said.append(times.look(cells, now).name)
    return said


@pytest.mark.parametrize(
    ("carried", "said"),
    [
        ([0, 0], ["REST", "REST"]),
        ([500, 1000, 1000], ["REPORT", "REPORT", "REST"]),
        ([REPORT_CELLS, REPORT_CELLS + 1], ["REPORT", "WAIT"]),
        ([1, 2, 3], ["WAIT", "WAIT", "WAIT"]),
        ([1, 1, 1], ["WAIT", "REPORT", "REST"]),
        ([20, 40, 60, 80], ["WAIT", "REPORT", "WAIT", "REPORT"]),
        ([1, 1, 1, 2, 2, 2], ["WAIT", "REPORT", "REST", "WAIT", "REPORT", "REST"]),
    ],
)
def test_few_cells_wait_for_more_or_for_none(carried, said):
    assert looks(carried) == said


def test_whoever_can_be_judged_is_reported_as_often_as_before():
    """At the least rate of which an origin makes something, each look reports."""
    cells = [REPORT_CELLS * number for number in range(1, MAX_SAMPLES + 1)]

    assert set(looks(cells)) == {"REPORT"}
    assert cells[-1] - cells[0] >= MIN_CELLS


def test_a_warning_is_due_at_once_and_only_once():
    times = ReportTimes(START)
    later = Monotonic(START + 5.0)
    times.warn(later)

    assert times.is_due(later)
    assert times.next_timeout() == later
    assert times.look(0, later) is Look.WARN
    assert not times.is_due(Monotonic(later + EARLY_REPORT_INTERVAL))
    times.warn(later)
    assert times.next_timeout() == later + EARLY_REPORT_INTERVAL


def test_looks_of_many_hops_fall_together():
    due = {ReportTimes(Monotonic(1000 + n / 100)).next_timeout() for n in range(1, 100)}

    assert len(due) == 4
    assert min(due) >= 1000.01 + REPORT_INTERVAL
