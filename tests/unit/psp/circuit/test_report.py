"""REPORT data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.circuit.report import DirectionReport, Report
from psp.errors import DecodeError

COUNT = st.integers(0, 2**32 - 1)
DIRECTION = st.builds(DirectionReport, st.integers(0, 2**64 - 1), COUNT, COUNT, COUNT)


def test_the_layout_is_that_of_the_specification():
    report = Report(DirectionReport(1, 2, 3, 4), DirectionReport(5, 6, 7, 8))

    assert report.encode().hex(" ", 4) == (
        "00000000 00000001 00000002 00000003 00000004 "
        "00000000 00000005 00000006 00000007 00000008"
    )


@given(DIRECTION, DIRECTION)
def test_reports_survive_encoding(forward, backward):
    report = Report(forward, backward)

    assert Report.decode(report.encode()) == report


def test_small_counters_stop_at_their_greatest_value():
    report = Report(DirectionReport(1, bad_tag=2**40), DirectionReport(1))

    assert Report.decode(report.encode()).forward.bad_tag == 2**32 - 1


@given(st.binary(max_size=80))
def test_any_bytes_are_a_report_or_a_decode_error(data):
    if len(data) == 40:
        assert Report.decode(data).encode() == data
    else:
        with pytest.raises(DecodeError):
            Report.decode(data)
