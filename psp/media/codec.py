"""What can be told about a video payload without decoding it.

VP8: RFC 7741 section 4.2 (payload descriptor), RFC 6386 section 9.1 (frame header).
H.264: RFC 6184 section 5 (NAL units, STAP-A, FU-A).
"""

from collections.abc import Callable
from enum import Enum

KeyFrameTest = Callable[[str, bytes], bool]
"""Takes a codec's name and a whole frame; tells whether it starts a picture afresh."""


class Opening(Enum):
    """What the first bytes of an RTP payload say about the frame it belongs to."""

    MIDDLE = "not the first packet of a frame, or unknown"
    KEY = "first packet of a key frame"
    DELTA = "first packet of a frame that needs earlier ones"


_VP8_KEY_START = b"\x9d\x01\x2a"
_H264_IDR = 5
_H264_SPS = 7
_H264_KEY_UNITS = (_H264_IDR, _H264_SPS)
_H264_STAP_A = 24
_H264_FU_A = 28


def is_key_frame(codec: str, frame: bytes) -> bool:
    """Tell whether a whole encoded frame can be decoded without earlier ones."""
    name = codec.upper()
    if name == "VP8":
        return len(frame) > 9 and not frame[0] & 1 and frame[3:6] == _VP8_KEY_START
    if name == "H264":
        return any(unit & 31 in _H264_KEY_UNITS for unit in _unit_headers(frame))
    return True


def opening(codec: str, payload: bytes, test: KeyFrameTest = is_key_frame) -> Opening:
    """Classify an RTP payload of ``codec``; unknown codecs are all `Opening.MIDDLE`.

    ``test`` sees the first packet's share of the frame.
    """
    name = codec.upper()
    if name == "VP8":
        return _vp8_opening(payload, test)
    if name == "H264":
        return _h264_opening(payload)
    return Opening.MIDDLE


def _vp8_opening(payload: bytes, test: KeyFrameTest) -> Opening:
    if not payload or payload[0] & 0x17 != 0x10:  # S bit set, partition 0
        return Opening.MIDDLE
    data = payload[_vp8_descriptor_size(payload) :]
    return Opening.KEY if test("VP8", data) else Opening.DELTA


def _vp8_descriptor_size(payload: bytes) -> int:
    if not payload[0] & 0x80 or len(payload) < 3:
        return 1
    extension = payload[1]
    size = 2
    if extension & 0x80:
        size += 2 if payload[2] & 0x80 else 1
    if extension & 0x40:
        size += 1
    if extension & 0x30:
        size += 1
    return size


def _h264_opening(payload: bytes) -> Opening:
    # Every encoder we meet puts its parameter sets before a key frame. A frame that
    # opens with a bare slice cannot be told from a later slice of the same frame.
    if len(payload) < 4:
        return Opening.MIDDLE
    unit = payload[0] & 31
    if unit == _H264_STAP_A:
        unit = payload[3] & 31
    return Opening.KEY if unit == _H264_SPS else Opening.MIDDLE


def is_key_unit(payload: bytes) -> bool:
    """Tell whether an H.264 payload carries (part of) a key frame."""
    if len(payload) < 4:
        return False
    unit = payload[0] & 31
    if unit == _H264_FU_A:
        unit = payload[1] & 31
    elif unit == _H264_STAP_A:
        unit = payload[3] & 31
    return unit in (*_H264_KEY_UNITS, 8)


def _unit_headers(frame: bytes) -> list[int]:
    headers = []
    at = frame.find(b"\0\0\1")
    while 0 <= at < len(frame) - 3:
        headers.append(frame[at + 3])
        at = frame.find(b"\0\0\1", at + 3)
    return headers
