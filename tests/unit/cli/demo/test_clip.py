"""The default clip."""

import av
import numpy as np

from cli.demo.clip import make_clip, moving_pictures, tone, tone_frames


def test_clip_has_moving_pictures_and_sound_of_the_same_length(tmp_path):
    path = tmp_path / "clip.mkv"

    make_clip(path, 2)

    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height) == (640, 360)
        assert video.average_rate == 30
        assert audio.rate == 48000
        assert sum(1 for _ in container.decode(video)) == 60
        container.seek(0)
        samples = sum(frame.samples for frame in container.decode(audio))
        assert abs(samples - 96000) <= 2048


def test_pictures_move():
    one, other = (frame.to_ndarray() for frame in moving_pictures(2))

    assert (one != other).mean() > 0.01


def test_tone_goes_on_without_a_click():
    whole = tone(0, 1920)
    halves = np.concatenate([tone(0, 960), tone(960, 960)], axis=1)

    assert np.array_equal(whole, halves)
    assert len(list(tone_frames(1))) == 50
