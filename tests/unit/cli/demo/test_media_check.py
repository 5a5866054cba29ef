"""Telling what became of the media."""

import asyncio
import fractions

import av
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from cli.demo.clip import moving_pictures, tone_frames
from cli.demo.media_check import Sink
from cli.demo.stamp import Stamp, clock_ms, draw_stamp


class ListTrack(MediaStreamTrack):
    """Gives its frames, then ends."""

    def __init__(self, frames) -> None:
        super().__init__()
        self.frames = list(frames)
        self.ended = asyncio.Event()

    async def recv(self):
        await asyncio.sleep(0)
        if not self.frames:
            self.ended.set()
            raise MediaStreamError
        frame = self.frames.pop(0)
        if isinstance(frame, Exception):
            raise frame
        return frame


def picture(counter: int, age_ms: int = 0) -> av.VideoFrame:
    (frame,) = moving_pictures(1)
    draw_stamp(frame, Stamp(counter & 0xFFFF, (clock_ms() - age_ms) & 0xFFFF))
    return frame


async def report_on(*tracks):
    sink = Sink()
    for track in tracks:
        sink.attach(track)
    for track in tracks:
        await track.ended.wait()
    return await sink.finish()


async def test_whole_call_is_told_as_whole():
    video = ListTrack(picture(counter, age_ms=100) for counter in range(10))
    audio = ListTrack(tone_frames(2))

    report = await report_on(video, audio)

    assert (report.frames, report.sent, report.missing, report.damaged) == (
        10,
        10,
        0,
        0,
    )
    assert 100 <= report.latency_p50_ms <= report.latency_max_ms < 5000
    assert (report.audio_frames, report.audio_lost) == (100, 0)
    assert report.has_tone
    assert abs(report.tone_hz - 440) <= 1


async def test_missing_and_disordered_pictures_are_counted_across_the_wrap():
    numbers = [65530, 65531, 65534, 65533, 3, 4]

    report = await report_on(ListTrack(map(picture, numbers)))

    assert (report.sent, report.disordered) == (11, 1)
    assert report.missing == 6


async def test_damaged_picture_is_counted():
    (plain,) = moving_pictures(1)

    report = await report_on(ListTrack([picture(0), plain, picture(2)]))

    assert (report.frames, report.damaged, report.missing) == (3, 1, 1)


async def test_lost_sound_is_counted_by_its_time():
    frames = [f for at, f in enumerate(tone_frames(1)) if at not in (5, 6, 20)]

    report = await report_on(ListTrack(frames))

    assert (report.audio_frames, report.audio_lost) == (47, 3)


async def test_silence_is_no_tone():
    frames = list(tone_frames(1))
    for frame in frames:
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))

    report = await report_on(ListTrack(frames))

    assert (report.tone_hz, report.has_tone) == (0.0, False)


async def test_nothing_received_is_a_report_of_zeros():
    report = await Sink().finish()

    assert (report.frames, report.sent, report.latency_max_ms) == (0, 0, 0)


async def test_fault_of_the_check_itself_is_not_hidden():
    sink = Sink()
    sink.attach(ListTrack([ValueError("broken")]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    with pytest.raises(ValueError, match="broken"):
        await sink.finish()


async def test_recording_is_written_and_closed(tmp_path):
    path = tmp_path / "received.mkv"
    sink = Sink(path)
    track = ListTrack([picture(counter) for counter in range(3)])
    for number, frame in enumerate(track.frames):
        frame.pts, frame.time_base = number * 3000, fractions.Fraction(1, 90000)
    sink.attach(track)
    await sink.on_picture.wait()
    await track.ended.wait()

    await sink.finish()

    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3
