"""A hop reports what it carried, and warns at once of what it dropped."""

from psp.circuit.report import DirectionReport, Report
from psp.circuit.report_times import (
    EARLY_REPORT_INTERVAL,
    REPORT_CELLS,
    REPORT_INTERVAL,
)
from psp.units import Monotonic
from psp.wire.onion import inner_size
from tests.unit.psp.circuit.hop_bench import START, Bench


def carry(bench, count):
    """Let cells pass, from the origin and to it by turns."""
    for number in range(count):
        if number % 2:
            bench.hop.open_forward(bench.cell(bytes(inner_size(2)), 0), START)
        else:
            bench.hop.backward_cell(bytes(1200))


def test_reports_come_every_ten_seconds_while_cells_are_carried():
    bench = Bench(2)
    bench.extend()
    due = START
    for number in range(1, 4):
        carry(bench, REPORT_CELLS)
        due = Monotonic(due + REPORT_INTERVAL)
        (message,) = bench.told(due)
        told = Report.decode(message.data).backward.received
        assert told == number * REPORT_CELLS // 2
    assert bench.told(Monotonic(due + REPORT_INTERVAL)) == []


def test_few_cells_wait_until_they_are_enough_to_tell_of():
    bench = Bench(2)
    bench.extend()
    told = []
    for interval in range(1, 7):
        carry(bench, REPORT_CELLS // 2)
        told += [bench.told(Monotonic(START + interval * REPORT_INTERVAL))]

    assert [len(messages) for messages in told] == [0, 1, 0, 1, 0, 1]


def test_few_cells_are_told_of_when_a_circuit_falls_quiet():
    bench = Bench(2)
    bench.extend()
    for _ in range(3):
        bench.hop.open_forward(bench.cell(bytes(inner_size(2)), 0), START)
    bench.hop.open_forward(bench.cell(bytes(inner_size(2)), 0)[:-50], START)
    bench.hop.backward_cell(bytes(1200))
    bench.hop.dropped_forward = 2
    bench.hop.dropped_backward = 1

    due = bench.hop.next_timeout()
    assert due == START + REPORT_INTERVAL
    assert bench.told(due) == []
    (message,) = bench.told(Monotonic(due + REPORT_INTERVAL))
    assert bench.told(Monotonic(due + 2 * REPORT_INTERVAL)) == []
    bench.hop.backward_cell(bytes(1200))
    assert bench.told(Monotonic(due + 3 * REPORT_INTERVAL)) == []
    (second,) = bench.told(Monotonic(due + 4 * REPORT_INTERVAL))

    assert Report.decode(message.data) == Report(
        DirectionReport(5, bad_tag=1, dropped=2), DirectionReport(1, dropped=1)
    )
    assert Report.decode(second.data).backward.received == 2


def test_a_warning_is_a_report_at_once_in_a_marked_cell():
    bench = Bench(2)
    bench.told(Monotonic(START + REPORT_INTERVAL))
    now = Monotonic(START + REPORT_INTERVAL + 1.0)

    bench.hop.dropped_forward = 3
    bench.hop.warn(now)
    (message,) = bench.told(now)

    assert Report.decode(message.data).forward.dropped == 3
    assert bench.marks == 1
    assert bench.hop.next_timeout() == now + REPORT_INTERVAL


def test_warnings_come_ten_times_a_second_at_most():
    bench = Bench(2)
    reports = []
    for step in range(101):
        now = Monotonic(START + 5.0 + step * 0.01)
        bench.hop.dropped_backward += 1
        bench.hop.warn(now)
        reports += bench.told(now)

    told = [Report.decode(message.data).backward.dropped for message in reports]
    assert told == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 101]
    assert bench.marks == len(told)


def test_the_last_warning_is_given_although_none_follows():
    bench = Bench(2)
    now = Monotonic(START + 5.0)
    for _ in range(2):
        bench.hop.dropped_forward += 1
        bench.hop.warn(now)
        bench.told(now)

    due = bench.hop.next_timeout()
    (last,) = bench.told(due)

    assert due == now + EARLY_REPORT_INTERVAL
    assert Report.decode(last.data).forward.dropped == 2


def test_reports_without_a_warning_carry_no_mark():
    bench = Bench(2)
    bench.extend()
    bench.hop.warn(START)
    bench.told(Monotonic(START + REPORT_INTERVAL))
    carry(bench, REPORT_CELLS)

    assert len(bench.told(Monotonic(START + 2 * REPORT_INTERVAL))) == 1
    assert bench.marks == 1
