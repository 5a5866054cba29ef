"""What the far end can make a sender do."""

import fractions

import av
import numpy as np
import pytest
from aiortc.codecs import CODECS
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from aiortc.rtp import RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket
from av.video.frame import PictureType

from psp.media.codec import is_key_frame
from psp.media.peer_connection import PipePeerConnection
from psp.media.sender import RETRANSMISSION_BURST, OwnPictureTypes, PipeSender
from psp.testing.media import MemoryPipe, PatternTrack


def picture(number: int) -> av.VideoFrame:
    planes = np.full((270, 320), number * 5 % 200, np.uint8)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts, frame.time_base = number * 3000, fractions.Fraction(1, 90000)
    frame.pict_type = PictureType.I
    return frame


@pytest.mark.parametrize(
    ("name", "encoder", "depayload"),
    [("VP8", Vp8Encoder, vp8_depayload), ("H264", H264Encoder, h264_depayload)],
)
def test_pict_type_of_an_intra_only_source_makes_no_key_frames(
    name, encoder, depayload
):
    own = OwnPictureTypes(encoder())

    frames = [own.encode(picture(at), at == 5)[0] for at in range(8)]

    keys = [is_key_frame(name, b"".join(map(depayload, frame))) for frame in frames]
    assert [at for at, is_key in enumerate(keys) if is_key] == [0, 5]


def test_bitrate_estimates_reach_the_encoder():
    inner = Vp8Encoder()
    own = OwnPictureTypes(inner)

    own.target_bitrate = 700_000

    assert (inner.target_bitrate, own.target_bitrate) == (700_000, 700_000)


def test_estimates_that_swing_do_not_make_the_encoder_anew_each_time():
    now = 0.0
    inner = Vp8Encoder()
    own = OwnPictureTypes(inner, clock=lambda: now)
    changes = 0

    for step in range(100):
        now = step / 30
        before = inner.target_bitrate
        own.target_bitrate = 1_500_000 if step % 2 else 250_000
        changes += inner.target_bitrate != before

    # Four seconds begun: a rise in each, a fall after each and one at the start.
    assert changes <= 9
    assert inner.target_bitrate in (250_000, 1_500_000)


def test_the_encoder_keeps_to_what_the_path_bears():
    now, bears = 0.0, 400_000.0
    inner = Vp8Encoder()
    own = OwnPictureTypes(inner, lambda: bears, lambda: now)

    own.encode(picture(0))
    low = inner.target_bitrate
    bears = 900_000.0
    own.target_bitrate = 700_000  # the far end's estimate
    for number in range(1, 60):
        now = number / 30
        own.encode(picture(number))

    assert (low, inner.target_bitrate) == (400_000, 700_000)


async def sender():
    near, _ = MemoryPipe.pair()
    connection = PipePeerConnection(near)
    return connection, connection.addTransceiver("video").sender


async def test_nack_flood_is_answered_only_so_often():
    connection, video = await sender()
    request = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=video._ssrc)
    request.lost = list(range(1000))

    await video._handle_rtcp_packet(request)

    assert video.statistics.retransmitted <= RETRANSMISSION_BURST + 5
    assert video.statistics.retransmissions_refused >= 1000 - RETRANSMISSION_BURST - 5
    await connection.close()


async def test_picture_loss_flood_makes_one_key_frame():
    connection, video = await sender()
    request = RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=video._ssrc)

    for _ in range(100):
        await video._handle_rtcp_packet(request)

    assert video.statistics.key_frames_forced == 1
    assert video.statistics.key_frames_refused == 99
    await connection.close()


async def test_what_our_own_end_drops_makes_a_key_frame_unasked():
    dropped = 0
    near, _ = MemoryPipe.pair()
    connection = PipePeerConnection(near)
    transport = connection.addTransceiver("video").sender.transport
    sender = PipeSender(PatternTrack(), transport, dropped=lambda: dropped)
    codec = CODECS["video"][0]

    await sender._next_encoded_frame(codec)
    before = sender.statistics.key_frames_forced
    dropped = 7
    for _ in range(3):
        await sender._next_encoded_frame(codec)
    once = sender.statistics.key_frames_forced
    dropped = 9
    await sender._next_encoded_frame(codec)

    assert (before, once) == (0, 1)
    assert sender.statistics.key_frames_forced == 1, "and not one after the other"
    await connection.close()
