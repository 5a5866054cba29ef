"""Plays a media file in real time into aiortc tracks.

Two threads decode ahead by at most half a second; the tracks hand frames out when they
are due. Each picture is stamped (`cli.demo.stamp`) at the moment it leaves.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import VIDEO_CLOCK_RATE, VIDEO_TIME_BASE, MediaStreamError
from av.video.frame import PictureType

from cli.demo.clip import SAMPLE_RATE
from cli.demo.feed import Feed
from cli.demo.media_file import (
    AUDIO_CHUNK,
    AUDIO_TIME_BASE,
    Filler,
    InputError,
    Samples,
    looped_pictures,
    looped_sound,
    probe,
)
from cli.demo.stamp import Stamp, clock_ms, draw_stamp

__all__ = ["InputError", "Player"]

PICTURES_AHEAD = 15
SOUND_AHEAD = 25
"""Chunks of 20 ms: half a second, as much as of pictures."""

TOO_LATE = 0.25
"""Seconds after which a picture is left out rather than sent."""

ItemT = TypeVar("ItemT")


class Player:
    """One file, looped or cut to a duration, as a video and an audio track.

    To be made in the event loop; opening decodes one picture.

    Args:
        path: Any file PyAV reads that has video.
        duration: Seconds to play, looping as needed; None plays the file once.
        filler: What is heard if the file has no sound.
        stamps: Draw the code into each picture.

    Attributes:
        video: A track of 640x360 pictures.
        audio: A track of 20 ms frames, 48 kHz stereo.
        seconds: How long it will play.

    Raises:
        InputError: The file cannot be played.
    """

    def __init__(
        self,
        path: Path,
        *,
        duration: float | None = None,
        filler: Filler = "silence",
        stamps: bool = True,
    ) -> None:
        file = probe(path)
        self.seconds = duration if duration is not None else file.seconds
        self._pictures: Feed[tuple[float, av.VideoFrame]] = Feed(PICTURES_AHEAD)
        self._sound: Feed[Samples] = Feed(SOUND_AHEAD)
        self._pace = _Pace()
        self.video = VideoTrack(self._pictures, self._pace, stamps=stamps)
        self.audio = AudioTrack(self._sound, self._pace)
        self._threads = [
            _feed_thread(looped_pictures(file, self.seconds), self._pictures),
            _feed_thread(looped_sound(file, self.seconds, filler), self._sound),
        ]

    async def wait(self) -> None:
        """Wait until both tracks have ended."""
        await self.video.has_ended.wait()
        await self.audio.has_ended.wait()

    async def stop(self) -> None:
        """End the tracks and wait for the threads."""
        self.video.stop()
        self.audio.stop()
        self._pictures.close()
        self._sound.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)


class _Pace:
    """The moment playing began, the same for both tracks."""

    def __init__(self) -> None:
        self._start: float | None = None

    async def wait_until(self, at: float) -> float:
        """Wait until ``at`` seconds after the start; return by how much it is late."""
        now = asyncio.get_running_loop().time()
        if self._start is None:
            self._start = now
        early = self._start + at - now
        await asyncio.sleep(max(0.0, early))
        return max(0.0, -early)


class VideoTrack(MediaStreamTrack):
    """Pictures when they are due.

    Attributes:
        sent: Pictures handed out.
        left_out: Pictures that came too late from the decoder.
        has_ended: Set at the end.
    """

    kind = "video"

    def __init__(
        self, feed: Feed[tuple[float, av.VideoFrame]], pace: _Pace, *, stamps: bool
    ) -> None:
        super().__init__()
        self.sent = 0
        self.left_out = 0
        self.has_ended = asyncio.Event()
        self._feed = feed
        self._pace = pace
        self._stamps = stamps

    async def recv(self) -> av.VideoFrame:
        """Return the next picture at its time.

        Raises:
            MediaStreamError: There is none left.
        """
        while self.readyState == "live":
            item = await self._feed.take()
            if item is None:
                break
            at, frame = item
            if await self._pace.wait_until(at) > TOO_LATE:
                self.left_out += 1
                continue
            frame.pts = round(at * VIDEO_CLOCK_RATE)
            frame.time_base = VIDEO_TIME_BASE
            # A key frame of the file must not become one of the call.
            frame.pict_type = PictureType.NONE
            if self._stamps:
                draw_stamp(frame, Stamp(self.sent & 0xFFFF, clock_ms()))
            self.sent += 1
            return frame
        self.stop()
        raise MediaStreamError

    def stop(self) -> None:
        """End the track."""
        self.has_ended.set()
        super().stop()


class AudioTrack(MediaStreamTrack):
    """Sound when it is due, 20 ms at a time.

    Attributes:
        sent: Frames handed out.
        has_ended: Set at the end.
    """

    kind = "audio"

    def __init__(self, feed: Feed[Samples], pace: _Pace) -> None:
        super().__init__()
        self.sent = 0
        self.has_ended = asyncio.Event()
        self._feed = feed
        self._pace = pace

    async def recv(self) -> av.AudioFrame:
        """Return the next 20 ms at their time.

        Raises:
            MediaStreamError: There are none left.
        """
        samples = await self._feed.take() if self.readyState == "live" else None
        if samples is None:
            self.stop()
            raise MediaStreamError
        await self._pace.wait_until(self.sent * AUDIO_CHUNK / SAMPLE_RATE)
        frame = av.AudioFrame.from_ndarray(
            samples.reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self.sent * AUDIO_CHUNK
        frame.time_base = AUDIO_TIME_BASE
        self.sent += 1
        return frame

    def stop(self) -> None:
        """End the track."""
        self.has_ended.set()
        super().stop()


def _feed_thread(items: Iterator[ItemT], feed: Feed[ItemT]) -> threading.Thread:
    def run() -> None:
        try:
            for item in items:
                if not feed.put(item):
                    return
        finally:
            feed.end()

    thread = threading.Thread(target=run, name="player", daemon=True)
    thread.start()
    return thread
