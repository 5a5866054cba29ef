"""Key frames and frame starts, told from payloads of real encoders."""

import fractions

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from hypothesis import given
from hypothesis import strategies as st

from psp.media.codec import Opening, is_key_frame, is_key_unit, opening


def encoded(encoder, count=4, *, size=(320, 180)):
    """Yield the payloads of each frame; the third is forced to be a key frame."""
    noise = np.random.default_rng(1)
    for number in range(count):
        planes = noise.integers(0, 255, (size[1] * 3 // 2, size[0]), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number * 3000, fractions.Fraction(1, 90000)
        payloads, _ = encoder.encode(frame, number == 2)
        yield payloads


@pytest.mark.parametrize(
    ("name", "encoder", "depayload"),
    [("VP8", Vp8Encoder, vp8_depayload), ("H264", H264Encoder, h264_depayload)],
)
def test_key_frames_of_our_encoders_are_recognised(name, encoder, depayload):
    found = []
    openings = []
    for payloads in encoded(encoder()):
        assert len(payloads) > 1
        found.append(is_key_frame(name, b"".join(map(depayload, payloads))))
        openings.append([opening(name, payload) for payload in payloads])

    assert found == [True, False, True, False]
    for is_key, kinds in zip(found, openings, strict=True):
        assert (kinds[0] is Opening.KEY) is is_key
        assert set(kinds[1:]) == {Opening.MIDDLE}


def test_every_packet_of_an_h264_key_frame_is_a_key_unit():
    frames = list(encoded(H264Encoder()))

    assert all(map(is_key_unit, frames[0]))
    assert not any(map(is_key_unit, frames[1]))


def test_tail_of_a_vp8_frame_is_no_key_frame():
    payloads = next(iter(encoded(Vp8Encoder())))
    tail = b"".join(vp8_depayload(payload) for payload in payloads[1:])

    assert not is_key_frame("VP8", tail)


def test_vp8_descriptor_of_every_length_is_skipped():
    key = b"\x10\x00\x00\x9d\x01\x2a" + bytes(10)
    for descriptor in (
        b"\x10",
        b"\x90\x80\x05",
        b"\x90\x80\x85\x05",
        b"\x90\xc0\x05\x01",
        b"\x90\xf0\x85\x05\x01\x02",
    ):
        assert opening("VP8", descriptor + key) is Opening.KEY


def test_own_test_decides_what_a_key_frame_is():
    def marked(codec, data):
        return data[0] == 1

    assert opening("VP8", b"\x10\x01cipher", marked) is Opening.KEY
    assert opening("VP8", b"\x10\x00cipher", marked) is Opening.DELTA


def test_audio_is_always_a_key_frame():
    assert is_key_frame("opus", b"x")


@given(st.sampled_from(["VP8", "H264", "opus"]), st.binary(max_size=40))
def test_any_bytes_are_classified(name, data):
    assert opening(name, data) in Opening
    assert is_key_frame(name, data) in (True, False)
    assert is_key_unit(data) in (True, False)
