"""Descriptions as messages, and whatever else may come instead."""

import zlib

import pytest
from aiortc import RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import RemoteProtocolError
from psp.media.description_message import packed, unpacked
from psp.media.peer_connection import PipePeerConnection
from psp.media.pipe import PIPE_MTU
from psp.media.remote_sdp import MAX_SDP_BYTES
from psp.testing.media import MemoryPipe


async def test_an_offer_of_sound_and_pictures_comes_back_and_is_small():
    connection = PipePeerConnection(MemoryPipe.pair()[0])
    connection.addTransceiver("video")
    connection.addTransceiver("audio")
    offer = await connection.createOffer()

    assert unpacked(packed(offer)) == offer
    assert len(packed(offer)) < PIPE_MTU
    await connection.close()


@pytest.mark.parametrize("kind", ["offer", "answer"])
def test_the_type_is_kept(kind):
    assert unpacked(packed(RTCSessionDescription("v=0", kind))).type == kind


@given(st.binary(max_size=60))
def test_any_bytes_are_a_description_or_an_error(message):
    try:
        unpacked(message)
    except RemoteProtocolError:
        return


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01",
        b"\x03" + zlib.compress(b"v=0"),
        b"\x01" + zlib.compress(b"v=0")[:-1],
        b"\x01" + zlib.compress(b"\xff"),
        b"\x01" + zlib.compress(bytes(MAX_SDP_BYTES + 1)),
        b"\x01" + zlib.compress(bytes(100_000_000)),
    ],
)
def test_what_is_cut_too_long_or_no_text_is_refused(message):
    with pytest.raises(RemoteProtocolError):
        unpacked(message)
