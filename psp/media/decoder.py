"""A thread that decodes one track, with a short queue in front of it."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable

import av
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.frame import Frame
from av.video.frame import PictureType

from psp.media.assembly import EncodedFrame

MAX_WAITING = 60
"""Encoded frames waiting: two seconds of video. When full, new ones are refused."""

_Job = tuple[RTCRtpCodecParameters, EncodedFrame, bool]


class DecoderThread:
    """Decodes frames in order and reports back in the event loop.

    Behind a frame that the decoder refused nothing is decoded before a key frame: the
    decoder would take an older picture for the one that is missing.

    Args:
        name: Of the thread.
        on_frames: Called in the loop with what one encoded frame became.
        on_damage: Called in the loop when the decoder refuses a frame.
        on_end: Called in the loop after `end`, behind everything that was queued.
    """

    def __init__(
        self,
        name: str,
        on_frames: Callable[[list[Frame]], None],
        on_damage: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_frames = on_frames
        self._on_damage = on_damage
        self._on_end = on_end
        # One place more than we fill, so that the end always fits.
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING + 1)
        self._is_ended = False
        self._finished = asyncio.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(
        self, codec: RTCRtpCodecParameters, frame: EncodedFrame, *, is_key: bool
    ) -> bool:
        """Queue a frame; False when the queue is full or the thread was ended."""
        if self._is_ended or self._jobs.qsize() >= MAX_WAITING:
            return False
        self._jobs.put_nowait((codec, frame, is_key))
        return True

    def end(self) -> None:
        """Stop after what is queued."""
        if not self._is_ended:
            self._is_ended = True
            self._jobs.put_nowait(None)

    async def join(self) -> None:
        """Wait until the thread has done its last frame; call `end` first."""
        await self._finished.wait()

    def _finish(self) -> None:
        self._finished.set()
        self._on_end()

    def _run(self) -> None:
        codec_name = ""
        decoder = None
        needs_key = False
        while (job := self._jobs.get()) is not None:
            codec, encoded, is_key = job
            if needs_key and not is_key:
                continue
            if decoder is None or codec.name != codec_name:
                decoder, codec_name = get_decoder(codec), codec.name
            try:
                frames = decoder.decode(JitterFrame(encoded.data, encoded.timestamp))
            except av.FFmpegError:
                needs_key = True
                self._report(self._on_damage)
                continue
            needs_key = False
            for frame in frames:
                # Else a sender that passes the frame on makes a key frame of it again.
                if isinstance(frame, av.VideoFrame):
                    frame.pict_type = PictureType.NONE
            self._report(self._on_frames, frames)
        self._report(self._finish)

    def _report(self, callback: Callable[..., None], *args: list[Frame]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(callback, *args)
