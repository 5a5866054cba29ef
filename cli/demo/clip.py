"""The clip the demo plays when nobody gives it a file."""

import fractions
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, FRAME_RATE = 640, 360, 30
SAMPLE_RATE = 48000
TONE_HZ = 440.0
DEFAULT_SECONDS = 10
"""A whole number of periods of the tone, so that the clip loops without a click."""

_AMPLITUDE = 8000
_AUDIO_CHUNK = 960
_CELL = 40
_BALL = 36


def make_clip(path: Path, seconds: int = DEFAULT_SECONDS) -> None:
    """Write a clip with a moving picture and a 440 Hz tone; the suffix says how.

    H.264 with AAC in ``.mp4`` and ``.mkv``; takes about a sixth of its length.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FRAME_RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "20", "g": str(FRAME_RATE)}
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        chunks = tone_frames(seconds)
        for number, picture in enumerate(moving_pictures(seconds * FRAME_RATE)):
            picture.pts = number
            picture.time_base = fractions.Fraction(1, FRAME_RATE)
            container.mux(video.encode(picture))
            until = (number + 1) * SAMPLE_RATE // FRAME_RATE
            for chunk in chunks:
                container.mux(audio.encode(chunk))
                if chunk.pts is not None and chunk.pts >= until:
                    break
        for chunk in chunks:
            container.mux(audio.encode(chunk))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def moving_pictures(count: int) -> Iterator[av.VideoFrame]:
    """Yield frames of a sliding chequered wall with a ball that bounces before it."""
    wall = _wall()
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    for number in range(count):
        picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        picture[:HEIGHT] = np.roll(wall, number * 2 % (2 * _CELL), axis=1)
        x = _bounce(number * 5, WIDTH - 2 * _BALL) + _BALL
        y = _bounce(number * 3, HEIGHT - 2 * _BALL) + _BALL
        ball = (columns - x) ** 2 + (rows - y) ** 2 < _BALL**2
        picture[:HEIGHT][ball] = 225
        chroma = picture[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
        chroma[0][ball[::2, ::2]] = 90
        chroma[1][ball[::2, ::2]] = 200
        yield av.VideoFrame.from_ndarray(picture, format="yuv420p")


def tone_frames(seconds: int) -> Iterator[av.AudioFrame]:
    """Yield 20 ms frames of the tone, stereo."""
    for start in range(0, seconds * SAMPLE_RATE, _AUDIO_CHUNK):
        frame = av.AudioFrame.from_ndarray(
            tone(start, _AUDIO_CHUNK), format="s16", layout="stereo"
        )
        frame.sample_rate = SAMPLE_RATE
        frame.pts = start
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
        yield frame


def tone(start: int, samples: int) -> npt.NDArray[np.int16]:
    """Return the tone from sample ``start`` on, interleaved stereo, shape (1, 2n)."""
    times = (np.arange(samples) + start) / SAMPLE_RATE
    wave = (np.sin(2 * np.pi * TONE_HZ * times) * _AMPLITUDE).astype(np.int16)
    return np.repeat(wave, 2).reshape(1, -1)


def _bounce(way: int, span: int) -> int:
    way %= 2 * span
    return way if way < span else 2 * span - way


def _wall() -> npt.NDArray[np.uint8]:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    cells = (rows // _CELL + columns // _CELL) % 2
    shade = (rows * 40 // HEIGHT).astype(np.uint8)
    wall: npt.NDArray[np.uint8] = np.where(cells == 1, 110, 80).astype(np.uint8)
    wall += shade
    return wall
