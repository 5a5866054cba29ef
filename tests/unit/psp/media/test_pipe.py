"""What a pipe carries, told by its first bytes."""

import pytest

from psp.media.pipe import PIPE_MTU, is_dtls, is_rtcp, is_rtp_or_rtcp
from psp.testing.media import MemoryPipe
from psp.wire.onion import BLOCK_SIZE


def test_datagram_fits_a_session_block_with_its_counter_type_length_and_tag():
    assert PIPE_MTU + 4 + 1 + 2 + 16 <= BLOCK_SIZE


def test_first_byte_tells_dtls_from_srtp():
    assert [byte for byte in range(256) if is_dtls(byte)] == list(range(20, 64))
    assert [byte for byte in range(256) if is_rtp_or_rtcp(byte)] == list(
        range(128, 192)
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"\x80\xc8", True), (b"\x80\xdf", True), (b"\x80\x60", False), (b"\x80", False)],
)
def test_packet_type_tells_rtcp_from_rtp(data, expected):
    assert is_rtcp(data) is expected


async def test_memory_pipe_closes_both_ends_once():
    one, other = MemoryPipe.pair()
    heard = []
    one.on_close(lambda: heard.append("one"))
    other.on_close(lambda: heard.append("other"))

    one.close()
    other.close()

    assert heard == ["one", "other"]
    with pytest.raises(ConnectionError):
        other.send(b"\x80")
