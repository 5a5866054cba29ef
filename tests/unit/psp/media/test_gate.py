"""What may come in from the far end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.media.gate import MAX_UNNAMED_RTCP_SOURCES, RTCP_BURST, RTCP_RATE, Gate
from psp.media.pipe import PIPE_MTU
from psp.media.stats import PipeStats
from psp.units import Monotonic

NOW = Monotonic(1.0)


def gate(*ssrcs: int) -> tuple[Gate, PipeStats]:
    stats = PipeStats()
    made = Gate(stats)
    made.name_sources(set(ssrcs))
    return made, stats


def rtp(ssrc: int) -> bytes:
    return b"\x80\x60" + bytes(6) + ssrc.to_bytes(4, "big") + b"payload"


def rtcp(ssrc: int) -> bytes:
    return b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big") + b"tag"


def test_empty_datagram_is_refused():
    made, stats = gate()

    assert not made.admits(b"", NOW)
    assert stats.bad_length == 1


def test_only_the_size_of_the_pipe_passes():
    made, stats = gate()

    assert made.admits(b"\x16" + bytes(PIPE_MTU - 1), NOW)
    assert not made.admits(b"\x16" + bytes(PIPE_MTU), NOW)
    assert stats.bad_length == 1


@pytest.mark.parametrize("first", [0, 3, 19, 64, 127, 192, 255])
def test_first_byte_of_neither_dtls_nor_srtp_is_refused(first):
    made, stats = gate()

    assert not made.admits(bytes([first]) + bytes(20), NOW)
    assert stats.bad_first_byte == 1


def test_ssrc_flood_ends_at_the_gate():
    made, stats = gate(7)

    admitted = [ssrc for ssrc in range(10_000) if made.admits(rtp(ssrc), NOW)]

    assert admitted == [7]
    assert stats.unknown_source == 9_999


def test_rtcp_of_strangers_is_let_in_from_a_few_sources_only():
    made, stats = gate(1_000_000)

    sources = [ssrc for ssrc in range(50) if made.admits(rtcp(ssrc), NOW)]

    assert len(sources) == MAX_UNNAMED_RTCP_SOURCES
    assert made.admits(rtcp(1_000_000), NOW)
    assert made.admits(rtcp(sources[0]), NOW)
    assert stats.rtcp_source_flood == 50 - MAX_UNNAMED_RTCP_SOURCES


def test_rtcp_flood_is_cut_to_the_rate():
    made, stats = gate(7)

    admitted = sum(
        made.admits(rtcp(7), Monotonic(1 + at / 10_000)) for at in range(10_000)
    )

    assert admitted <= RTCP_RATE + RTCP_BURST + 1
    assert stats.rtcp_flood == 10_000 - admitted


@pytest.mark.parametrize("data", [b"\x80\x60" + bytes(8), b"\x80\xc9\x00\x01abc"])
def test_packet_too_short_for_its_header_is_refused(data):
    made, stats = gate(0)

    assert not made.admits(data, NOW)
    assert stats.bad_length == 1


@given(st.binary(max_size=1200))
def test_any_bytes_are_admitted_or_counted(data):
    made, stats = gate(7)

    admitted = made.admits(data, NOW)

    refused = (
        stats.bad_length
        + stats.bad_first_byte
        + stats.unknown_source
        + stats.rtcp_flood
        + stats.rtcp_source_flood
    )
    assert admitted + refused == 1
