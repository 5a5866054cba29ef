"""Writes received frames to a file while they come, in a thread of its own."""

import fractions
import queue
import threading
from pathlib import Path

import av
import numpy as np

from cli.demo.clip import FRAME_RATE, HEIGHT, SAMPLE_RATE, WIDTH

MAX_WAITING = 120
"""Frames of both kinds, about 1.5 seconds. When full the new one is left out."""

MAX_SILENCE = 5 * SAMPLE_RATE
"""Samples filled in for lost ones in one go; a longer gap stays a gap."""

_VIDEO_CLOCK = fractions.Fraction(1, 1000)
_AUDIO_CLOCK = fractions.Fraction(1, SAMPLE_RATE)
_CHANNELS = 2

_Job = tuple[float, av.VideoFrame | av.AudioFrame]


class Recorder:
    """Encodes to H.264 and AAC in a Matroska file, which plays as far as it got.

    Each track keeps its own clock; the two are laid beside each other by the moment
    their first frames came.

    Attributes:
        left_out: Frames not written because the encoder was behind.
        written: Frames written.
    """

    def __init__(self, path: Path) -> None:
        self.left_out = 0
        self.written = 0
        self._path = path
        # One place more than we fill, so that the end always fits.
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING + 1)
        self._start: float | None = None
        self._video_base: float | None = None
        self._audio_base: int | None = None
        self._last_video = -1
        self._next_sample = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def write(self, frame: av.VideoFrame | av.AudioFrame, now: float) -> None:
        """Queue a frame that came at ``now``; it belongs to the recorder from here."""
        if self._jobs.qsize() >= MAX_WAITING:
            self.left_out += 1
        else:
            self._jobs.put_nowait((now, frame))

    def finish(self) -> None:
        """Write what is queued and close the file; blocks until done."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        with av.open(str(self._path), "w", format="matroska") as container:
            self._video = container.add_stream("libx264", rate=FRAME_RATE)
            self._video.width, self._video.height = WIDTH, HEIGHT
            self._video.pix_fmt = "yuv420p"
            self._video.codec_context.time_base = _VIDEO_CLOCK
            self._video.options = {
                "preset": "ultrafast",
                "tune": "zerolatency",
                "crf": "24",
            }
            self._audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
            self._resampler = av.AudioResampler(
                format="fltp", layout="stereo", rate=SAMPLE_RATE, frame_size=1024
            )
            self._container = container
            while (job := self._jobs.get()) is not None:
                self._write(*job)
            container.mux(self._video.encode(None))
            self._write_sound(None)
            container.mux(self._audio.encode(None))

    def _write(self, now: float, frame: av.VideoFrame | av.AudioFrame) -> None:
        if self._start is None:
            self._start = now
        if isinstance(frame, av.VideoFrame):
            self._write_picture(frame, now - self._start)
        else:
            self._write_samples(frame, now - self._start)
        self.written += 1

    def _write_picture(self, frame: av.VideoFrame, came: float) -> None:
        own = float((frame.pts or 0) * (frame.time_base or _VIDEO_CLOCK))
        if self._video_base is None:
            self._video_base = came - own
        pts = round((self._video_base + own) * 1000)
        if pts <= self._last_video:
            return
        self._last_video = pts
        if (frame.width, frame.height) != (WIDTH, HEIGHT):
            frame = frame.reformat(width=WIDTH, height=HEIGHT)
        frame.pts, frame.time_base = pts, _VIDEO_CLOCK
        self._container.mux(self._video.encode(frame))

    def _write_samples(self, frame: av.AudioFrame, came: float) -> None:
        own = frame.pts or 0
        if self._audio_base is None:
            self._audio_base = round(came * SAMPLE_RATE) - own
            self._next_sample = self._audio_base + own
        at = self._audio_base + own
        gap = at - self._next_sample
        if gap < 0:
            return
        if 0 < gap <= MAX_SILENCE:
            self._write_sound(_silence(gap, self._next_sample))
        frame.pts, frame.time_base = at, _AUDIO_CLOCK
        self._next_sample = at + frame.samples
        self._write_sound(frame)

    def _write_sound(self, frame: av.AudioFrame | None) -> None:
        for part in self._resampler.resample(frame):
            self._container.mux(self._audio.encode(part))


def _silence(samples: int, pts: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(
        np.zeros((1, samples * _CHANNELS), np.int16), format="s16", layout="stereo"
    )
    frame.sample_rate = SAMPLE_RATE
    frame.pts, frame.time_base = pts, _AUDIO_CLOCK
    return frame
