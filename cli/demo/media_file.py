"""Decoding a file of any kind for a live call: pictures of 640x360, sound of 48 kHz.

Both generators run in threads, each with the file open for itself, so that a file whose
sound lies far from its pictures cannot stall either. A loop lasts as long as the longer
of the two; the shorter is filled up with silence or with its last picture.
"""

import fractions
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import av
import numpy as np
import numpy.typing as npt

from cli.demo.clip import HEIGHT, SAMPLE_RATE, WIDTH, tone
from cli.demo.stamp import plane_of
from psp.errors import PspError

MAX_FRAME_RATE = 30
"""What aiortc's encoders are set up for; of faster files every other frame is left."""

AUDIO_CHUNK = 960
"""Samples of 20 ms, what Opus takes."""

SHORT_PAUSE = 0.1
"""Seconds by which pictures may end before the sound without being repeated."""

AUDIO_TIME_BASE = fractions.Fraction(1, SAMPLE_RATE)

_BLACK = 16
_NO_COLOUR = 128
_CHANNELS = 2

Filler = Literal["silence", "tone"]
"""What is heard instead of sound that a file does not have."""

Samples = npt.NDArray[np.int16]
ItemT = TypeVar("ItemT")


class InputError(PspError):
    """A file that the demo cannot play; the message says why."""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file found playable.

    Attributes:
        path: Where it is.
        seconds: Length of one pass.
        has_audio: Whether there is sound in it.
    """

    path: Path
    seconds: float
    has_audio: bool


def probe(path: Path) -> MediaFile:
    """Open a file, decode its first picture and say what is in it.

    Raises:
        InputError: It is missing, unreadable, or holds no picture.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: holds no video")
            seconds = (container.duration or 0) / av.time_base
            has_audio = bool(container.streams.audio)
            if next(iter(container.decode(video=0)), None) is None:
                raise InputError(f"{path}: holds no picture")
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{path}: not a media file ({error.strerror})") from error
    return MediaFile(path, seconds or _measure(path), has_audio)


def _measure(path: Path) -> float:
    """Return the length of a file that does not say it, by reading it through.

    A bare stream has no times either; its pictures are then counted.
    """
    end = 0.0
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = min(float(stream.average_rate or MAX_FRAME_RATE), MAX_FRAME_RATE)
        for packet in container.demux(stream):
            if packet.size:
                count += 1
            if packet.pts is not None and packet.time_base is not None:
                last = packet.pts + (packet.duration or 0)
                end = max(end, float(last * packet.time_base))
    return max(end, count / rate)


def pictures(file: MediaFile) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield one pass of pictures, each with its time in seconds from the start.

    The last one stays until the sound has ended, as in a song with a cover.

    Every frame is fresh: its memory belongs to the caller.
    """
    next_at = 0.0
    last: av.VideoFrame | None = None
    with av.open(str(file.path)) as container:
        start = (container.start_time or 0) / av.time_base
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        aspect = float(stream.sample_aspect_ratio or 1)
        for frame in _readable(container.decode(video=0)):
            at = next_at if frame.pts is None else frame.time - start
            if at < next_at - 0.25 / MAX_FRAME_RATE:
                continue
            next_at = max(next_at + 1 / MAX_FRAME_RATE, at)
            last = frame
            yield max(at, 0.0), fit(frame, aspect)
    if last is None or file.seconds - next_at < SHORT_PAUSE:
        return
    while next_at < file.seconds:
        yield next_at, fit(last, aspect)
        next_at += 1 / MAX_FRAME_RATE


def looped_pictures(
    file: MediaFile, seconds: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield pictures and their times for ``seconds``, from the start again as needed."""
    for turn in itertools.count():
        start = turn * file.seconds
        if start >= seconds:
            return
        for at, frame in pictures(file):
            if start + at >= seconds or at >= file.seconds:
                break
            yield start + at, frame


def fit(frame: av.VideoFrame, pixel_aspect: float = 1.0) -> av.VideoFrame:
    """Scale a picture into 640x360, keeping its shape, on black."""
    width = frame.width * pixel_aspect
    scale = min(WIDTH / width, HEIGHT / frame.height)
    inner_width = max(2, min(WIDTH, round(width * scale) // 2 * 2))
    inner_height = max(2, min(HEIGHT, round(frame.height * scale) // 2 * 2))
    scaled = frame.reformat(width=inner_width, height=inner_height, format="yuv420p")
    canvas = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    left, top = (WIDTH - inner_width) // 4 * 2, (HEIGHT - inner_height) // 4 * 2
    for index in range(3):
        part = 1 if index == 0 else 2
        target, source = plane_of(canvas, index), plane_of(scaled, index)
        target[:] = _BLACK if index == 0 else _NO_COLOUR
        lines, columns = source.shape
        x, y = left // part, top // part
        target[y : y + lines, x : x + columns] = source
    return canvas


def looped_sound(file: MediaFile, seconds: float, filler: Filler) -> Iterator[Samples]:
    """Yield ``seconds`` of sound in chunks of 20 ms, shape (960, 2)."""
    chunks = round(seconds * SAMPLE_RATE) // AUDIO_CHUNK
    if filler == "tone" and not file.has_audio:
        for number in range(chunks):
            yield tone(number * AUDIO_CHUNK, AUDIO_CHUNK).reshape(-1, _CHANNELS)
        return
    passes = (sound(file) for _ in itertools.count())
    rest = np.zeros((0, _CHANNELS), np.int16)
    for samples in itertools.chain.from_iterable(passes):
        rest = np.concatenate([rest, samples])
        while len(rest) >= AUDIO_CHUNK:
            if chunks <= 0:
                return
            chunks -= 1
            yield rest[:AUDIO_CHUNK]
            rest = rest[AUDIO_CHUNK:]
        if chunks <= 0:
            return


def sound(file: MediaFile) -> Iterator[Samples]:
    """Yield one pass of sound in chunks of any length, shape (n, 2), without gaps.

    It lasts exactly as long as a pass: cut, or filled up with silence.
    """
    total = round(file.seconds * SAMPLE_RATE)
    given = 0
    if file.has_audio:
        for at, samples in _decoded_sound(file.path):
            silence = min(at, total) - given
            if silence > AUDIO_CHUNK:
                given += silence
                yield np.zeros((silence, _CHANNELS), np.int16)
            kept = samples[: total - given]
            given += len(kept)
            yield kept
            if given >= total:
                return
    while given < total:
        samples = np.zeros((min(total - given, SAMPLE_RATE), _CHANNELS), np.int16)
        given += len(samples)
        yield samples


def _decoded_sound(path: Path) -> Iterator[tuple[int, Samples]]:
    """Yield samples with their place in the pass, as the file's clock says."""
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
    with av.open(str(path)) as container:
        start = (container.start_time or 0) / av.time_base
        at = 0
        for frame in _readable(container.decode(audio=0)):
            if frame.time is not None:
                at = max(0, round((frame.time - start) * SAMPLE_RATE))
            frame.pts = None
            for part in resampler.resample(frame):
                yield at, _interleaved(part)
                at += part.samples


def _interleaved(frame: av.AudioFrame) -> Samples:
    return frame.to_ndarray().astype(np.int16).reshape(-1, _CHANNELS)


def _readable(frames: Iterator[ItemT]) -> Iterator[ItemT]:
    """Yield what can be decoded; a broken end of a file ends the pass."""
    while True:
        try:
            frame = next(frames)
        except (StopIteration, av.FFmpegError):
            return
        yield frame
