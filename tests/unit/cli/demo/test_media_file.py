"""Files of many kinds, made fit for a call."""

import fractions

import av
import numpy as np
import pytest

from cli.demo.clip import make_clip, tone_frames
from cli.demo.media_file import (
    InputError,
    MediaFile,
    fit,
    looped_pictures,
    looped_sound,
    pictures,
    probe,
)
from cli.demo.stamp import plane_of


def make(path, *, codec="libx264", size=(320, 240), rate=30, count=30, audio=None):
    """Write a file of grey pictures, with a tone if there is an audio codec."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        sound = container.add_stream(audio, rate=48000) if audio else None
        for number in range(count):
            frame = av.VideoFrame(size[0], size[1], "yuv420p")
            for plane in range(3):
                plane_of(frame, plane)[:] = 128
            frame.pts, frame.time_base = number, fractions.Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            for chunk in tone_frames(1):
                container.mux(sound.encode(chunk))
            container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "audio"),
    [
        ("a.mp4", "libx264", "aac"),
        ("a.webm", "libvpx", "libopus"),
        ("a.avi", "mpeg4", "mp3"),
        ("a.mkv", "libvpx-vp9", None),
    ],
)
def test_ordinary_files_are_played(tmp_path, name, codec, audio):
    file = probe(make(tmp_path / name, codec=codec, audio=audio))

    frames = list(pictures(file))
    samples = np.concatenate(list(looped_sound(file, 1.0, "silence")))

    assert file.has_audio is (audio is not None)
    assert abs(file.seconds - 1.0) < 0.1
    assert len(frames) == 30
    assert {(frame.width, frame.height) for _, frame in frames} == {(640, 360)}
    times = [at for at, _ in frames]
    assert times == sorted(set(times))
    assert (times[0], round(times[-1])) == (0.0, 1)
    assert samples.shape == (48000, 2)
    assert bool(np.abs(samples).max() > 1000) is (audio is not None)


def test_bare_stream_without_length_or_times_is_played_whole(tmp_path):
    file = probe(make(tmp_path / "bare.h264", count=45))

    times = [at for at, _ in looped_pictures(file, file.seconds)]

    assert 1.4 <= file.seconds <= 1.9
    assert len(times) >= 43
    assert times == sorted(set(times))


def test_fast_files_are_thinned_to_30_pictures_a_second(tmp_path):
    file = probe(make(tmp_path / "fast.mp4", rate=60, count=60))

    assert len(list(pictures(file))) in (30, 31)


@pytest.mark.parametrize(
    ("size", "aspect", "inner"),
    [
        ((320, 240), 1.0, (480, 360)),
        ((1280, 720), 1.0, (640, 360)),
        ((100, 400), 1.0, (90, 360)),
        ((720, 576), 64 / 45, (640, 360)),
        ((2000, 10), 1.0, (640, 2)),
    ],
)
def test_picture_keeps_its_shape_on_black(size, aspect, inner):
    frame = av.VideoFrame(size[0], size[1], "yuv420p")
    plane_of(frame, 0)[:] = 200

    fitted = fit(frame, aspect)

    bright = plane_of(fitted, 0) > 100
    assert (bright.any(axis=0).sum(), bright.any(axis=1).sum()) == inner
    assert plane_of(fitted, 0).min() == (16 if inner != (640, 360) else 200)


def test_loops_last_as_long_as_asked_and_stay_in_step(tmp_path):
    path = tmp_path / "clip.mp4"
    make_clip(path, 1)
    file = probe(path)

    times = [at for at, _ in looped_pictures(file, 2.5)]
    chunks = list(looped_sound(file, 2.5, "silence"))

    assert times == sorted(times)
    assert abs(len(times) - 75) <= 3
    assert 2.4 < times[-1] < 2.5
    assert len(chunks) == 125


def test_file_without_sound_gets_silence_or_the_tone(tmp_path):
    file = probe(make(tmp_path / "mute.mp4"))

    silence = np.concatenate(list(looped_sound(file, 0.5, "silence")))
    tone = np.concatenate(list(looped_sound(file, 0.5, "tone")))

    assert silence.shape == tone.shape == (24000, 2)
    assert not silence.any()
    assert np.abs(tone).max() == 8000


def test_sound_shorter_than_the_pictures_is_filled_up(tmp_path):
    file = probe(make(tmp_path / "long.mp4", count=60, audio="aac"))

    chunks = np.concatenate(list(looped_sound(file, file.seconds, "silence")))

    assert abs(len(chunks) - 96000) <= 960
    assert np.abs(chunks[:40000]).max() > 1000
    assert not chunks[52000:].any()


def test_song_with_a_cover_shows_it_all_the_time(tmp_path):
    file = probe(make(tmp_path / "song.mkv", count=1, audio="aac"))

    times = [at for at, _ in looped_pictures(file, 2.0)]

    assert file.seconds >= 1.0
    assert len(times) >= 58


def test_file_that_breaks_off_is_played_as_far_as_it_goes(tmp_path):
    path = make(tmp_path / "whole.mkv", count=60)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    file = probe(cut)

    assert isinstance(file, MediaFile)
    assert len(list(pictures(file))) > 0


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        probe(tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="no such file"):
        probe(tmp_path)


def test_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("not a film", "utf-8")

    with pytest.raises(InputError, match="not a media file"):
        probe(path)


def test_file_without_pictures_is_refused(tmp_path):
    path = tmp_path / "song.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        for frame in tone_frames(1):
            container.mux(stream.encode(frame))

    with pytest.raises(InputError, match="holds no video"):
        probe(path)
