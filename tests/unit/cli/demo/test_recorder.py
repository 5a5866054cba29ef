"""Writing what was received."""

import fractions
import itertools

import av

from cli.demo.clip import moving_pictures, tone_frames
from cli.demo.recorder import MAX_WAITING, Recorder

VIDEO_CLOCK = fractions.Fraction(1, 90000)


def feed(recorder, *, lost_audio=(), lost_video=()):
    """Two seconds of a call whose video came 0.1 s after its audio."""
    events: list[tuple[float, av.VideoFrame | av.AudioFrame]] = [
        (number * 0.02, sound)
        for number, sound in enumerate(tone_frames(2))
        if number not in lost_audio
    ]
    for number, picture in enumerate(moving_pictures(60)):
        picture.pts, picture.time_base = 7777 + number * 3000, VIDEO_CLOCK
        if number not in lost_video:
            events.append((0.1 + number / 30, picture))
    for at, frame in sorted(events, key=lambda event: event[0]):
        recorder.write(frame, 1000.0 + at)


def times(path, kind):
    with av.open(str(path)) as container:
        return [float(f.pts * f.time_base) for f in container.decode(**{kind: 0})]


def test_recording_plays_with_both_tracks_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr("cli.demo.recorder.MAX_WAITING", 1000)
    path = tmp_path / "received.mkv"
    recorder = Recorder(path)

    feed(recorder)
    recorder.finish()

    video, audio = times(path, "video"), times(path, "audio")
    assert (recorder.written, recorder.left_out) == (160, 0)
    assert len(video) == 60
    assert abs(video[0] - 0.1) < 0.002
    assert abs(video[-1] - (0.1 + 59 / 30)) < 0.002
    assert abs(audio[0]) < 0.05
    assert abs(audio[-1] - 2.0) < 0.05


def test_lost_frames_leave_their_time_free(tmp_path, monkeypatch):
    monkeypatch.setattr("cli.demo.recorder.MAX_WAITING", 1000)
    path = tmp_path / "received.mkv"
    recorder = Recorder(path)

    feed(recorder, lost_audio=range(20, 40), lost_video=range(10, 20))
    recorder.finish()

    video, audio = times(path, "video"), times(path, "audio")
    assert len(video) == 50
    assert abs(video[-1] - (0.1 + 59 / 30)) < 0.002
    steps = [b - a for a, b in itertools.pairwise(audio)]
    assert max(steps) < 0.03
    assert abs(audio[-1] - 2.0) < 0.05


def test_encoder_that_is_behind_costs_frames_not_memory(tmp_path):
    recorder = Recorder(tmp_path / "received.mkv")
    frames = list(moving_pictures(2)) * 500

    for number, frame in enumerate(frames):
        recorder.write(frame, number / 30)
    recorder.finish()

    assert recorder.left_out > 0
    assert recorder.written + recorder.left_out == len(frames)
    assert recorder.written >= MAX_WAITING
