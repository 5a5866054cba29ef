"""Tracks of encoded frames."""

import pytest
from aiortc.codecs import CODECS
from aiortc.mediastreams import MediaStreamError

from psp.media.assembly import EncodedFrame
from psp.media.encoded import (
    MAX_WAITING,
    EncodedPacket,
    EncodedTrack,
    encoded_packet,
)

VIDEO = CODECS["video"][0]


def packet(number: int, *, key: bool = False) -> EncodedPacket:
    frame = EncodedFrame(number * 3000, b"%d" % number)
    return encoded_packet(VIDEO, frame, is_key=key)


async def test_video_starts_at_a_key_frame():
    asked = []
    track = EncodedTrack("video", lambda: asked.append(1))

    track.push(packet(0))
    track.push(packet(1, key=True))
    track.push(packet(2))

    assert bytes(await track.recv()) == b"1"
    assert bytes(await track.recv()) == b"2"
    assert (asked, track.dropped) == ([1], 1)


async def test_slow_reader_costs_frames_up_to_the_next_key_frame():
    asked = []
    track = EncodedTrack("video", lambda: asked.append(1))
    track.push(packet(0, key=True))

    for number in range(1, MAX_WAITING + 5):
        track.push(packet(number))
    track.push(packet(100, key=True))

    assert bytes(await track.recv()) == b"100"
    assert track.dropped == MAX_WAITING + 5
    assert len(asked) == 5


async def test_end_comes_after_what_was_pushed():
    track = EncodedTrack("audio")
    track.push(packet(0))
    track.end()

    assert (await track.recv()).pts == 0
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert track.readyState == "ended"
