"""Media made to be measured: encoded frames that say who they are and when they left.

A frame has the shape of VP8, so that packets are marked and key frames told as ever,
and costs neither end a codec::

    frame tag 3, start code 3 (key frames) | number 4 | sent 8 (monotonic clock) | filler
"""

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from psp.media.encoded import EncodedPacket

FRAME_RATE = 30
PACKET_RATE = 50
AUDIO_BYTES = 120
TOO_LATE = 0.1
"""Seconds after which a frame is left out rather than sent."""
KEY_FRAME_FACTOR = 5
"""How much larger than the others a key frame is; the first is one, and those that the
far end asks for."""

_STAMP = struct.Struct("!Id")
_KEY_TAG = b"\x10\x00\x00\x9d\x01\x2a"
_DELTA_TAG = b"\x11\x00\x00\x00\x00\x00"
_SIZES = (0.6, 1.0, 1.4, 1.0)
"""Sizes of frames, in turn, as parts of the mean."""
_CLOCKS = {"video": 90_000, "audio": 48_000}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One frame as it came out of the receiver.

    Attributes:
        number: Of the sender's count.
        sent: Seconds of the monotonic clock, as the sender handed it over.
        came: The same, as the receiver released it.
    """

    number: int
    sent: float
    came: float


class MeasuredTrack(MediaStreamTrack):
    """Frames at their time; video at a bit rate, or audio of 50 packets a second.

    Attributes:
        sent: Frames handed over.
        octets: Their bytes.
        key_frames_wanted: Tells how many key frames the far end has asked for.
        limit: Tells the bits per second that video may have at present; it has less
            then, as an encoder would.
    """

    def __init__(self, kind: str, bitrate: float = 0.0) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        self.octets = 0
        self.key_frames_wanted: Callable[[], int] = lambda: 0
        self.limit: Callable[[], float] = lambda: bitrate
        self._bitrate = bitrate
        self._start: float | None = None
        self._number = 0
        self._key_frames = -1

    async def recv(self) -> EncodedPacket:
        """Return the next frame when it is due.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        rate = FRAME_RATE if self.kind == "video" else PACKET_RATE
        now = time.monotonic()
        if self._start is None:
            self._start = now
        # A camera does not catch up: what is too late is left out.
        self._number = max(self._number, int((now - TOO_LATE - self._start) * rate))
        await asyncio.sleep(max(0.0, self._start + self._number / rate - now))
        if self.readyState != "live":
            raise MediaStreamError
        data = self._next_frame()
        packet = av.Packet(data)
        packet.pts = packet.dts = self._number * _CLOCKS[self.kind] // rate
        packet.time_base = Fraction(1, _CLOCKS[self.kind])
        self._number += 1
        self.sent += 1
        self.octets += len(data)
        return packet

    def _next_frame(self) -> bytes:
        stamp = _STAMP.pack(self._number, time.monotonic())
        if self.kind == "audio":
            return stamp.ljust(AUDIO_BYTES, b"\0")
        wanted = self.key_frames_wanted()
        is_key, self._key_frames = wanted != self._key_frames, wanted
        mean = min(self._bitrate, self.limit()) / 8 / FRAME_RATE
        size = mean * _SIZES[self._number % len(_SIZES)]
        if is_key:
            size = mean * KEY_FRAME_FACTOR
        frame = (_KEY_TAG if is_key else _DELTA_TAG) + stamp
        return frame.ljust(int(size), bytes([self._number & 0xFF]))


class Receiving:
    """Takes what comes of one track.

    Attributes:
        arrivals: Whole frames, in the order of their release.
        bad: Frames that are not what was sent.
        first: Set with the first frame.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        self.arrivals: list[Arrival] = []
        self.bad = 0
        self.first = asyncio.Event()
        self._is_video = track.kind == "video"
        self._task = asyncio.create_task(self._take(track))

    def stop(self) -> None:
        """Take no more."""
        self._task.cancel()

    async def _take(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = bytes(await track.recv())  # type: ignore[arg-type]
            except MediaStreamError:
                return
            came = time.monotonic()
            at = len(_KEY_TAG) if self._is_video else 0
            if len(frame) < at + _STAMP.size:
                self.bad += 1
                continue
            number, sent = _STAMP.unpack_from(frame, at)
            filler = bytes([number & 0xFF if self._is_video else 0])
            if frame[at + _STAMP.size :].strip(filler):
                self.bad += 1
                continue
            self.arrivals.append(Arrival(number, sent, came))
            self.first.set()


@dataclass(frozen=True, slots=True)
class Playout:
    """What somebody saw who played frames with a buffer.

    Attributes:
        freezes: Times that the picture stood still for longer than `FREEZE`.
        longest: Seconds that a frame's place was empty at most.
    """

    freezes: int
    longest: float


FREEZE = 0.2
"""Seconds; a frame's place that stays empty for longer is a freeze."""


def play(arrivals: Sequence[Arrival], buffer: float, rate: int = FRAME_RATE) -> Playout:
    """Play frames ``buffer`` seconds after the fastest of them would have come.

    A frame that is not there at its time is missing until it, or a later one, is shown;
    one that comes late is shown at once. What the start and the end cut off does not
    count: only numbers between the first and the last that came.

    Args:
        arrivals: In order, at least one.
        buffer: Seconds.
        rate: Frames a second.
    """
    origin = min(each.came - each.number / rate for each in arrivals) + buffer
    came = {each.number: each.came for each in arrivals}
    first, last = arrivals[0].number, arrivals[-1].number
    shown = float("inf")
    longest, freezes, was_frozen = 0.0, 0, False
    for number in range(last, first - 1, -1):
        due = origin + number / rate
        if number in came:
            shown = min(shown, max(due, came[number]))
        longest = max(longest, shown - due)
        is_frozen = shown - due > FREEZE
        freezes += is_frozen and not was_frozen
        was_frozen = is_frozen
    return Playout(freezes, longest)


def buffer_needed(arrivals: Sequence[Arrival], rate: int = FRAME_RATE) -> float:
    """Return the smallest buffer, in steps of 10 ms, with which nothing freezes."""
    steps = range(501)
    return next(
        (step / 100 for step in steps if not play(arrivals, step / 100, rate).freezes),
        steps[-1] / 100,
    )
