"""aiortc's sender, with a cap on what the far end can make it do.

One RTCP packet can ask for thousands of retransmissions, and each picture loss
indication makes a frame several times its size. Both are answered only so often.
"""

import asyncio
import math
import time
from collections.abc import Callable

from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.codecs.base import Encoder
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtcrtpsender import RTCEncodedFrame
from av import VideoFrame
from av.frame import Frame
from av.video.frame import PictureType

from psp.media.bitrate import Follower
from psp.media.encoded import EncodedPacket
from psp.media.rate_limit import RateLimit
from psp.media.stats import SenderStats
from psp.media.vp8_encoder import WholeVp8Encoder
from psp.units import Monotonic

RETRANSMISSION_RATE = 200.0
"""Packets a second, 1.7 Mbit/s: a third of the fastest stream aiortc encodes."""

RETRANSMISSION_BURST = 128.0

KEY_FRAME_RATE = 4.0
"""Key frames a second at most; a receiver repeats its request after 0.4 s."""

AFTER_DROPS_RATE = 1.0
"""The same of those that nobody asked for: they are large, and the path is full."""


class PipeSender(RTCRtpSender):
    """Sends one track.

    Attributes:
        statistics: What was sent again, and what was refused.
    """

    _RTCRtpSender__encoder: Encoder | None

    def __init__(
        self,
        track_or_kind: MediaStreamTrack | str,
        transport: RTCDtlsTransport,
        limit: Callable[[], float] = lambda: math.inf,
        dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        """Prepare to send.

        Args:
            track_or_kind: What to send.
            transport: Where to.
            limit: Tells bits a second that video may have.
            dropped: Tells how many datagrams our own end has dropped so far.
        """
        super().__init__(track_or_kind, transport)
        self._limit = limit
        self._dropped = dropped
        self._known_drops = 0
        self._after_drops = RateLimit(AFTER_DROPS_RATE, 1.0)
        self.statistics = SenderStats()
        self._retransmissions = RateLimit(RETRANSMISSION_RATE, RETRANSMISSION_BURST)
        self._key_frames = RateLimit(KEY_FRAME_RATE, 1.0)

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Start sending; video goes through an encoder that ignores picture types."""
        if self.kind == "video" and self._RTCRtpSender__encoder is None:
            encoder = video_encoder(parameters.codecs[0])
            self._RTCRtpSender__encoder = OwnPictureTypes(encoder, self._limit)
        await super().send(parameters)

    async def _retransmit(self, sequence_number: int) -> None:
        if self._retransmissions.allows(self._now()):
            self.statistics.retransmitted += 1
            await super()._retransmit(sequence_number)
        else:
            self.statistics.retransmissions_refused += 1

    def _send_keyframe(self) -> None:
        if self._key_frames.allows(self._now()):
            self.statistics.key_frames_forced += 1
            super()._send_keyframe()
        else:
            self.statistics.key_frames_refused += 1

    async def _next_encoded_frame(
        self, codec: RTCRtpCodecParameters
    ) -> RTCEncodedFrame | None:
        """Return the next frame: a key frame, if one before it cannot arrive whole.

        The far end would only find that out, and ask, a round trip later.
        """
        dropped = self._dropped() if self.kind == "video" else 0
        if dropped != self._known_drops and self._after_drops.allows(self._now()):
            self._known_drops = dropped
            self._send_keyframe()
        return await super()._next_encoded_frame(codec)

    def _now(self) -> Monotonic:
        return Monotonic(asyncio.get_running_loop().time())


def video_encoder(codec: RTCRtpCodecParameters) -> Encoder:
    """Return a new encoder, aiortc's where it does no harm."""
    return WholeVp8Encoder() if codec.name.upper() == "VP8" else get_encoder(codec)


class OwnPictureTypes(Encoder):
    """An encoder that decides itself which frames are key frames.

    Frames from an intra-only source, or decoded ones, carry the picture type of their
    origin, and VP8 obeys it: all key frames, twice the bit rate.

    It also keeps to the lesser of what the far end estimates and what the path bears.
    """

    def __init__(
        self,
        inner: Encoder,
        limit: Callable[[], float] = lambda: math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._limit = limit
        self._clock = clock
        self._estimate: float = self.target_bitrate
        self._follower = Follower(Monotonic(clock()))

    @property
    def target_bitrate(self) -> int:
        """Bits a second, as estimates and the path set it."""
        bitrate: int = getattr(self._inner, "target_bitrate", 0)
        return bitrate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        """Take in the far end's estimate."""
        self._estimate = bitrate
        self._follow()

    def _follow(self) -> None:
        present = self.target_bitrate
        wanted = min(self._estimate, self._limit())
        chosen = self._follower.choose(present, wanted, Monotonic(self._clock()))
        if chosen != present:
            setattr(self._inner, "target_bitrate", int(chosen))  # noqa: B010 - undeclared

    def encode(
        self,
        frame: Frame,
        force_keyframe: bool = False,  # noqa: FBT001, FBT002 - aiortc's signature
    ) -> tuple[list[bytes], int]:
        """Encode a frame whose picture type is forgotten."""
        self._follow()
        if isinstance(frame, VideoFrame):
            frame.pict_type = PictureType.NONE
        return self._inner.encode(frame, force_keyframe)

    def pack(self, packet: EncodedPacket) -> tuple[list[bytes], int]:
        """Packetise an encoded frame."""
        return self._inner.pack(packet)
