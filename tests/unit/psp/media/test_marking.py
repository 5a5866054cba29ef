"""Flags on outgoing packets."""

from psp.media.codec import is_key_frame
from psp.media.marking import Marker
from psp.wire.onion import Kind

VP8_KEY = b"\x10\x10\x00\x00\x9d\x01\x2a" + bytes(10)
VP8_DELTA = b"\x10\x11" + bytes(10)
VP8_MIDDLE = b"\x00" + bytes(10)


def rtp(ssrc, sequence, payload, *, extension=b""):
    first = 0x90 if extension else 0x80
    head = bytes([first, 96]) + sequence.to_bytes(2, "big") + bytes(4)
    head += ssrc.to_bytes(4, "big")
    if extension:
        words = len(extension) // 4
        head += b"\xbe\xde" + words.to_bytes(2, "big") + extension
    return head + payload


def marker(codec="VP8"):
    made = Marker(is_key_frame)
    made.learn(1, 2, "audio", "opus")
    made.learn(3, 4, "video", codec)
    return made


def test_audio_is_marked():
    assert marker().flags(rtp(1, 0, b"opus")) is Kind.AUDIO


def test_every_packet_of_a_key_frame_is_marked_and_no_other():
    made = marker()
    payloads = [VP8_KEY, VP8_MIDDLE, VP8_DELTA, VP8_MIDDLE]

    flags = [
        made.flags(rtp(3, at, payload, extension=b"1234"))
        for at, payload in enumerate(payloads)
    ]

    assert flags == [Kind.KEY_FRAME, Kind.KEY_FRAME, Kind.PASS, Kind.PASS]


def test_retransmission_is_marked_as_the_packet_was():
    made = marker()
    for at, payload in enumerate([VP8_KEY, VP8_MIDDLE, VP8_DELTA]):
        made.flags(rtp(3, 500 + at, payload))

    flags = [
        made.flags(rtp(4, at, (500 + at).to_bytes(2, "big") + VP8_MIDDLE))
        for at in range(3)
    ]

    assert flags == [Kind.KEY_FRAME, Kind.KEY_FRAME, Kind.PASS]


def test_h264_is_judged_packet_by_packet():
    made = marker("H264")

    sps, idr, slice_ = b"\x67abc", b"\x7c\x05ab", b"\x7c\x01ab"

    assert made.flags(rtp(3, 0, sps)) is Kind.KEY_FRAME
    assert made.flags(rtp(3, 1, idr)) is Kind.KEY_FRAME
    assert made.flags(rtp(3, 2, slice_)) is Kind.PASS


def test_unknown_stream_is_not_marked():
    assert marker().flags(rtp(99, 0, VP8_KEY)) is Kind.PASS
