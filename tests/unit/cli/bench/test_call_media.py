"""Frames to be measured, and what somebody would have seen of them."""

import asyncio

import pytest
from aiortc.mediastreams import MediaStreamError

from cli.bench.call_media import (
    AUDIO_BYTES,
    KEY_FRAME_FACTOR,
    Arrival,
    MeasuredTrack,
    Playout,
    Receiving,
    buffer_needed,
    play,
)
from psp.media.codec import is_key_frame

RATE = 10
DELAY = 0.3


def arrivals(late=None, missing=()):
    """Return 50 frames, each ``DELAY`` after it was sent but those that are late."""
    late = late or {}
    return [
        Arrival(number, number / RATE, number / RATE + DELAY + late.get(number, 0.0))
        for number in range(50)
        if number not in missing
    ]


def test_frames_in_time_never_freeze():
    assert play(arrivals(), 0.0, RATE) == Playout(0, pytest.approx(0.0))
    assert buffer_needed(arrivals(), RATE) == 0.0


def test_a_late_frame_freezes_unless_the_buffer_is_as_long():
    # The frames behind it came in time: they are shown in its place.
    late = arrivals({20: 0.5, 21: 0.4, 22: 0.3, 23: 0.2, 24: 0.1})

    assert play(late, 0.0, RATE).freezes == 1
    assert play(late, 0.0, RATE).longest == pytest.approx(0.5)
    assert play(late, 0.4, RATE) == Playout(0, pytest.approx(0.1))
    assert buffer_needed(late, RATE) == pytest.approx(0.3, abs=0.011)


def test_missing_frames_freeze_until_the_next_one_is_due():
    found = play(arrivals(missing=range(20, 24)), 1.0, RATE)

    assert found.freezes == 1
    assert found.longest == pytest.approx(0.4)


def test_two_gaps_are_two_freezes():
    missing = [*range(10, 14), *range(30, 34)]

    assert play(arrivals(missing=missing), 1.0, RATE).freezes == 2


def test_one_missing_frame_is_no_freeze():
    assert play(arrivals(missing=[20]), 0.5, RATE).freezes == 0


class Replayed(MeasuredTrack):
    """A track that gives what another one gave."""

    def __init__(self, kind, frames) -> None:
        super().__init__(kind)
        self._frames = frames

    async def recv(self):
        if not self._frames:
            await asyncio.Event().wait()
        return self._frames.pop(0)


@pytest.mark.parametrize("kind", ["video", "audio"])
async def test_what_is_sent_is_recognised(kind):
    track = MeasuredTrack(kind, 1e6)
    sent = [await track.recv() for _ in range(3)]
    receiving = Receiving(Replayed(kind, list(sent)))
    await receiving.first.wait()
    await asyncio.sleep(0)
    receiving.stop()

    assert [each.number for each in receiving.arrivals] == [0, 1, 2]
    assert receiving.bad == 0
    assert all(each.sent <= each.came for each in receiving.arrivals)


async def test_damage_is_seen():
    frame = await MeasuredTrack("video", 1e6).recv()
    damaged = bytearray(bytes(frame))
    damaged[-1] ^= 1
    track = Replayed(
        "video", [type(frame)(bytes(damaged)), type(frame)(b"short"), frame]
    )
    receiving = Receiving(track)
    await receiving.first.wait()
    receiving.stop()

    assert receiving.bad == 2


async def test_first_frame_and_those_asked_for_are_key_frames():
    track = MeasuredTrack("video", 1e6)
    asked = 0
    track.key_frames_wanted = lambda: asked
    first, second = [bytes(await track.recv()) for _ in range(2)]
    asked = 1
    third = bytes(await track.recv())

    assert [is_key_frame("VP8", each) for each in (first, second, third)] == [
        True,
        False,
        True,
    ]
    assert len(first) == len(third) == 1_000_000 // 8 // 30 * KEY_FRAME_FACTOR + 3


async def test_audio_is_small_and_a_stopped_track_ends():
    track = MeasuredTrack("audio")
    assert len(bytes(await track.recv())) == AUDIO_BYTES
    track.stop()

    with pytest.raises(MediaStreamError):
        await track.recv()
