"""The code in the pictures survives what a call does to them."""

import fractions

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import vp8_depayload
from hypothesis import given
from hypothesis import strategies as st

from cli.demo.clip import moving_pictures
from cli.demo.stamp import Stamp, clock_ms, draw_stamp, latency_ms, plane_of, read_stamp
from psp.media.vp8_encoder import WholeVp8Encoder

WORDS = st.integers(0, 0xFFFF)


def noisy(number: int) -> av.VideoFrame:
    """A picture no encoder can afford at 250 kbit/s."""
    noise = np.random.default_rng(number).integers(0, 255, (68, 80), dtype=np.uint8)
    noise = np.kron(noise, np.ones((8, 8), np.uint8))[:540]
    return av.VideoFrame.from_ndarray(noise, format="yuv420p")


@given(WORDS, WORDS)
def test_stamp_is_read_back(counter, clock):
    frame = av.VideoFrame(640, 360, "yuv420p")

    draw_stamp(frame, Stamp(counter, clock))

    assert read_stamp(frame) == Stamp(counter, clock)


@pytest.mark.parametrize(
    ("name", "encoder", "depayload", "bitrate"),
    [
        ("libvpx", WholeVp8Encoder, vp8_depayload, 500_000),
        ("libvpx", WholeVp8Encoder, vp8_depayload, 250_000),
        ("h264", H264Encoder, h264_depayload, 500_000),
    ],
)
@pytest.mark.parametrize("source", ["clip", "noise"])
def test_stamp_survives_live_encoding(name, encoder, depayload, bitrate, source):
    pictures = moving_pictures(20) if source == "clip" else map(noisy, range(20))
    live = encoder()
    live.target_bitrate = bitrate
    decoder = av.CodecContext.create("libvpx" if name == "libvpx" else name, "r")

    for number, picture in enumerate(pictures):
        stamp = Stamp(number * 2749 & 0xFFFF, number * 40503 & 0xFFFF)
        draw_stamp(picture, stamp)
        picture.pts, picture.time_base = number * 3000, fractions.Fraction(1, 90000)
        payloads, _ = live.encode(picture)
        (decoded,) = decoder.decode(av.Packet(b"".join(map(depayload, payloads))))
        assert read_stamp(decoded) == stamp


@pytest.mark.parametrize("level", [0, 16, 126, 235, 255])
def test_plain_picture_holds_no_stamp(level):
    frame = av.VideoFrame(640, 360, "yuv420p")
    plane_of(frame, 0)[:] = level

    assert read_stamp(frame) is None


def test_damaged_block_is_noticed():
    frame = av.VideoFrame(640, 360, "yuv420p")
    draw_stamp(frame, Stamp(5, 6))
    block = plane_of(frame, 0)[:24, 26 * 3 : 26 * 4]

    block[:] = 251 - block

    assert read_stamp(frame) is None


def test_other_formats_and_sizes_are_read_or_refused():
    frame = av.VideoFrame(640, 360, "yuv420p")
    draw_stamp(frame, Stamp(5, 6))

    assert read_stamp(frame.reformat(format="rgb24")) == Stamp(5, 6)
    assert read_stamp(frame.reformat(width=64, height=36)) is None


def test_latency_survives_the_clock_wrapping():
    assert latency_ms(Stamp(0, 0xFFF0), 0x0010) == 32
    assert 0 <= clock_ms() <= 0xFFFF
