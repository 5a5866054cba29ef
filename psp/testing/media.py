"""Pipes in memory with seeded bad weather, and peer connections joined by them."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError
from av.video.frame import PictureType

from psp.media.pipe import CloseListener, DatagramListener, is_dtls, is_rtcp
from psp.units import Seconds
from psp.wire.onion import Kind


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad a path is, one way.

    Attributes:
        delay: Of every datagram.
        jitter: Added to it, uniform in 0 … jitter; order is kept unless ``reorders``.
        loss: Probability that a datagram is lost.
        reorders: Whether jitter may let datagrams overtake each other.
    """

    delay: Seconds = Seconds(0.0)
    jitter: Seconds = Seconds(0.0)
    loss: float = 0.0
    reorders: bool = False


CLEAR = Weather()

Drop = Callable[[bytes], bool]
"""Tells whether the path loses this datagram, on top of the weather."""


def kind_of(data: bytes) -> str:
    """Name what a datagram is: dtls, rtcp, rtp or other."""
    if data and is_dtls(data[0]):
        return {22: "handshake", 23: "data"}.get(data[0], "dtls")
    if is_rtcp(data):
        return "rtcp"
    return "rtp" if data and data[0] >= 128 else "other"


class MemoryPipe:
    """One end of a pipe inside one process.

    Attributes:
        sizes: The largest datagram sent, by `kind_of`.
        flags: How many datagrams were sent with which flags.
        sent: Datagrams given to `send`.
        lost: Of them, lost on the way.
        drop: May be set to lose chosen datagrams, or to cut the path.
        is_closed: Whether this end is closed.
    """

    def __init__(self, weather: Weather, seed: int) -> None:
        self.sizes: Counter[str] = Counter()
        self.flags: Counter[Kind] = Counter()
        self.sent = 0
        self.lost = 0
        self.drop: Drop = lambda _: False
        self.is_closed = False
        self._weather = weather
        self._random = random.Random(seed)
        self._peer: MemoryPipe | None = None
        self._last = 0.0
        self._on_datagram: DatagramListener = lambda _: None
        self._on_close: CloseListener = lambda: None

    @classmethod
    def pair(
        cls, weather: Weather = CLEAR, seed: int = 1
    ) -> tuple["MemoryPipe", "MemoryPipe"]:
        """Return two joined ends."""
        one, other = cls(weather, seed), cls(weather, seed + 1)
        one._peer, other._peer = other, one
        return one, other

    def on_datagram(self, listener: DatagramListener) -> None:
        """Set who gets what arrives."""
        self._on_datagram = listener

    def on_close(self, listener: CloseListener) -> None:
        """Set who hears of the end."""
        self._on_close = listener

    def send(self, data: bytes, flags: Kind = Kind.PASS) -> None:
        """Send through the weather."""
        if self.is_closed:
            raise ConnectionError("the pipe is closed")
        self.sent += 1
        self.flags[flags] += 1
        kind = kind_of(data)
        self.sizes[kind] = max(self.sizes[kind], len(data))
        if self._random.random() < self._weather.loss or self.drop(data):
            self.lost += 1
            return
        self._deliver_later(bytes(data))

    def close(self) -> None:
        """Close both ends; datagrams under way are lost."""
        for end in (self, self._peer):
            if end is not None:
                end.hear_close()

    @property
    def round_trip(self) -> float:
        """Seconds there and back in this weather."""
        return 2 * (self._weather.delay + self._weather.jitter / 2)

    def inject(self, data: bytes) -> None:
        """Let a datagram arrive here, sent by the peer or by nobody."""
        if not self.is_closed:
            self._on_datagram(data)

    def hear_close(self) -> None:
        """Close this end and tell its owner."""
        if not self.is_closed:
            self.is_closed = True
            self._on_close()

    def _deliver_later(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + self._weather.delay
        at += self._random.random() * self._weather.jitter
        if not self._weather.reorders:
            at = self._last = max(at, self._last)
        if self._peer is not None:
            loop.call_at(at, self._peer.inject, data)


async def negotiate(caller: RTCPeerConnection, callee: RTCPeerConnection) -> None:
    """Exchange offer and answer; transports connect afterwards."""
    await caller.setLocalDescription(await caller.createOffer())
    await callee.setRemoteDescription(caller.localDescription)
    await callee.setLocalDescription(await callee.createAnswer())
    await caller.setRemoteDescription(callee.localDescription)


async def until_state(connection: RTCPeerConnection, state: str) -> None:
    """Wait until ``connectionState`` is ``state``."""
    changed = asyncio.Event()
    connection.on("connectionstatechange", changed.set)
    while connection.connectionState != state:
        changed.clear()
        await changed.wait()


class PacedTrack(MediaStreamTrack):
    """A track that gives its frames when they are due; counts what it ``sent``."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self._start: float | None = None

    async def wait_until(self, at: float) -> None:
        """Wait until ``at`` seconds after the first call.

        Raises:
            MediaStreamError: The track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        now = asyncio.get_running_loop().time()
        if self._start is None:
            self._start = now
        await asyncio.sleep(max(0.0, self._start + at - now))


class ToneTrack(PacedTrack):
    """A 440 Hz tone in frames of 20 ms."""

    kind = "audio"

    async def recv(self) -> av.AudioFrame:
        """Return the next frame at its time."""
        await self.wait_until(self.sent * 0.02)
        samples = np.arange(self.sent * 960, self.sent * 960 + 960) / 48000
        wave = (np.sin(2 * np.pi * 440 * samples) * 8000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), "s16", "mono")
        frame.sample_rate = 48000
        frame.pts, frame.time_base = self.sent * 960, Fraction(1, 48000)
        self.sent += 1
        return frame


class PatternTrack(PacedTrack):
    """Noisy moving pictures of 320x180, 30 a second.

    Args:
        pict_type: What each frame says it is.
    """

    kind = "video"

    def __init__(self, pict_type: PictureType = PictureType.NONE) -> None:
        super().__init__()
        self.pict_type = pict_type
        noise = np.random.default_rng(7).integers(40, 200, (23, 40), dtype=np.uint8)
        self._picture = np.kron(noise, np.ones((8, 8), np.uint8))[:180]

    async def recv(self) -> av.VideoFrame:
        """Return the next picture at its time."""
        await self.wait_until(self.sent / 30)
        planes = np.full((270, 320), 128, np.uint8)
        planes[:180] = np.roll(self._picture, self.sent * 3, axis=1)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = self.sent * 3000, VIDEO_TIME_BASE
        frame.pict_type = self.pict_type
        self.sent += 1
        return frame
