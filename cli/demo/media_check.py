"""Consumes the tracks of a call and says what became of the media.

The pictures carry a stamp (`cli.demo.stamp`); the sound is expected to hold a tone.
"""

import asyncio
import collections
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from cli.demo.clip import SAMPLE_RATE, TONE_HZ
from cli.demo.recorder import Recorder
from cli.demo.stamp import clock_ms, latency_ms, read_stamp

MAX_LATENCIES = 200_000
"""Latest ones kept for the percentiles: 1.8 hours at 30 pictures a second."""

_TONE_FRAMES = 50
"""A second of sound to look for the tone in: a resolution of 1 Hz."""

_TONE_TOLERANCE_HZ = 5.0
_CHUNK = 960
_LATE = 0x8000
"""Half the range of a 16-bit counter: further ahead is behind."""


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What a `Sink` saw so far.

    Attributes:
        frames: Pictures decoded.
        damaged: Of them, without a readable stamp.
        sent: Pictures the far end sent, from the first to the last one seen.
        missing: Of these, never seen.
        disordered: Pictures whose counter did not rise.
        latency_p50_ms: Half of the pictures took no longer, sender to here.
        latency_p95_ms: 95 of 100 took no longer.
        latency_max_ms: None took longer.
        longest_gap_ms: Between two pictures.
        audio_frames: Sound of 20 ms each, decoded.
        audio_lost: Of what was sent in between, never heard.
        tone_hz: Loudest frequency in the latest second of sound; 0 without sound.
        has_tone: Whether that is the clip's tone.
    """

    frames: int
    damaged: int
    sent: int
    missing: int
    disordered: int
    latency_p50_ms: int
    latency_p95_ms: int
    latency_max_ms: int
    longest_gap_ms: int
    audio_frames: int
    audio_lost: int
    tone_hz: float
    has_tone: bool


class Sink:
    """Reads tracks until they end, checks them, and may record them.

    Args:
        record_to: A Matroska file to write while running; None writes none.
        on_picture: Set once the first picture with a stamp has come.
    """

    def __init__(self, record_to: Path | None = None) -> None:
        self.on_picture = asyncio.Event()
        self._recorder = Recorder(record_to) if record_to is not None else None
        self._tasks: list[asyncio.Task[None]] = []
        self._latencies: collections.deque[int] = collections.deque(
            maxlen=MAX_LATENCIES
        )
        self._points: collections.deque[tuple[float, int]] = collections.deque(
            maxlen=MAX_LATENCIES
        )
        self._started = 0.0
        self._frames = self._damaged = self._disordered = 0
        self._first = self._highest = 0
        self._seen = 0
        self._longest_gap = 0.0
        self._last_picture: float | None = None
        self._audio_frames = self._audio_lost = 0
        self._next_sample: int | None = None
        self._heard: collections.deque[npt.NDArray[np.int16]] = collections.deque(
            maxlen=_TONE_FRAMES
        )

    def attach(self, track: MediaStreamTrack) -> None:
        """Read a track from now on; fit for ``pc.on("track")``."""
        self._tasks.append(asyncio.ensure_future(self._read(track)))

    async def finish(self) -> MediaReport:
        """Stop reading, close the recording and return the last report."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.finish)
            self._recorder = None
        for result in results:
            if isinstance(result, Exception):
                raise result
        return self.report()

    def report(self) -> MediaReport:
        """Return what was seen so far."""
        latencies = sorted(self._latencies) or [0]
        sent = self._highest - self._first + 1 if self._seen else 0
        tone_hz = self._loudest_hz()
        return MediaReport(
            frames=self._frames,
            damaged=self._damaged,
            sent=sent,
            missing=max(0, sent - self._seen),
            disordered=self._disordered,
            latency_p50_ms=latencies[len(latencies) // 2],
            latency_p95_ms=latencies[len(latencies) * 95 // 100],
            latency_max_ms=latencies[-1],
            longest_gap_ms=round(self._longest_gap * 1000),
            audio_frames=self._audio_frames,
            audio_lost=self._audio_lost,
            tone_hz=tone_hz,
            has_tone=abs(tone_hz - TONE_HZ) <= _TONE_TOLERANCE_HZ,
        )

    def latency_series(self) -> list[tuple[float, int]]:
        """Return seconds since the first picture and latency in ms, per picture."""
        return list(self._points)

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            now = time.monotonic()
            if isinstance(frame, av.VideoFrame):
                self._see(frame, now)
            elif isinstance(frame, av.AudioFrame):
                self._hear(frame)
            else:
                continue
            if self._recorder is not None:
                self._recorder.write(frame, now)

    def _see(self, frame: av.VideoFrame, now: float) -> None:
        now_ms = clock_ms()
        self._frames += 1
        if self._last_picture is None:
            self._started = now
        else:
            self._longest_gap = max(self._longest_gap, now - self._last_picture)
        self._last_picture = now
        stamp = read_stamp(frame)
        if stamp is None:
            self._damaged += 1
            return
        latency = latency_ms(stamp, now_ms)
        self._latencies.append(latency)
        self._points.append((round(now - self._started, 3), latency))
        self._count(stamp.counter)
        self.on_picture.set()

    def _count(self, counter: int) -> None:
        if not self._seen:
            self._first = self._highest = counter
            self._seen = 1
            return
        ahead = (counter - self._highest) & 0xFFFF
        if 0 < ahead < _LATE:
            self._highest += ahead
            self._seen += 1
        else:
            self._disordered += 1

    def _hear(self, frame: av.AudioFrame) -> None:
        self._audio_frames += 1
        pts = frame.pts or 0
        if self._next_sample is not None and pts > self._next_sample:
            self._audio_lost += round((pts - self._next_sample) / _CHUNK)
        self._next_sample = pts + frame.samples
        channels = len(frame.layout.channels)
        samples = frame.to_ndarray().astype(np.int16).reshape(-1, channels)
        self._heard.append(samples[:, 0])

    def _loudest_hz(self) -> float:
        if not self._heard:
            return 0.0
        wave = np.concatenate(list(self._heard)).astype(float)
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        spectrum[0] = 0.0
        if spectrum.max() < len(wave):  # silence: less than one step of 16 bits
            return 0.0
        return float(np.argmax(spectrum) * SAMPLE_RATE / len(wave))
