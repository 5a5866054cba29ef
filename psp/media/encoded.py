"""Encoded frames as aiortc tracks: forwarding without a codec.

A sender whose track gives ``av.Packet`` only packetises. The track is bounded: when the
sender is slow, video is dropped up to the next key frame, and one is asked for.
"""

import asyncio
import fractions
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from psp.media.assembly import EncodedFrame

if TYPE_CHECKING:
    EncodedPacket = av.Packet[Any]
else:
    EncodedPacket = av.Packet  # generic for type checkers only

MAX_WAITING = 60
"""Frames: two seconds of video. When full all are dropped: fresh beats complete."""


def encoded_packet(
    codec: RTCRtpCodecParameters, frame: EncodedFrame, *, is_key: bool
) -> EncodedPacket:
    """Return an encoded frame as ``av.Packet``, timed in the codec's clock."""
    packet = av.Packet(frame.data)
    packet.pts = packet.dts = frame.timestamp
    packet.time_base = fractions.Fraction(1, codec.clockRate)
    packet.is_keyframe = is_key
    packet.opaque = codec.mimeType
    return packet


class EncodedTrack(MediaStreamTrack):
    """A track of encoded frames, pushed by its owner.

    Args:
        kind: ``audio`` or ``video``.
        on_key_frame_needed: Called when only a key frame would help.

    Attributes:
        dropped: Frames that were pushed and will not be sent.
    """

    def __init__(
        self, kind: str, on_key_frame_needed: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.dropped = 0
        self._on_key_frame_needed = on_key_frame_needed
        self._frames: asyncio.Queue[EncodedPacket | None] = asyncio.Queue()
        self._needs_key = kind == "video"

    def push(self, packet: EncodedPacket) -> None:
        """Queue one frame, or drop it and what it depends on."""
        if self._frames.qsize() >= MAX_WAITING:
            while not self._frames.empty():
                self._frames.get_nowait()
                self.dropped += 1
            self._needs_key = self.kind == "video"
        if self._needs_key and not packet.is_keyframe:
            self.dropped += 1
            self._on_key_frame_needed()
            return
        self._needs_key = False
        self._frames.put_nowait(packet)

    def end(self) -> None:
        """End the track after what is queued."""
        self._frames.put_nowait(None)

    async def recv(self) -> EncodedPacket:
        """Return the next frame.

        Raises:
            MediaStreamError: The track has ended.
        """
        packet = await self._frames.get()
        if packet is None:
            self.stop()
            raise MediaStreamError
        return packet
