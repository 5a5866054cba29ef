"""Settings of one peer connection."""

from dataclasses import dataclass

from psp.media.codec import KeyFrameTest, is_key_frame
from psp.media.pipe import PIPE_MTU
from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """How one `PipePeerConnection` behaves. Our choices, unless a source is named.

    Attributes:
        pipe_mtu: Bytes of the largest datagram; the codecs' share is process-wide.
        handshake_timeout: From the first DTLS flight until the connection fails.
        liveness_timeout: Without any datagram, the peer counts as gone; there is no
            ICE consent check on a pipe.
        keep_alive: An empty RTCP report goes out after this long without another.
        linger: Between our BYE and the end of the pipe: the last datagrams must leave.
        video_patience: How long a frame waits for a missing packet.
        audio_patience: The same for audio, which nobody retransmits: only datagrams
            that overtook each other, or that a link repaired, still come.
        decodes: Tracks give decoded frames; otherwise encoded ``av.Packet``.
        key_frame_test: Tells key frames when the payload is not plain VP8 or H.264.
    """

    pipe_mtu: int = PIPE_MTU
    handshake_timeout: Seconds = Seconds(20.0)
    liveness_timeout: Seconds = Seconds(10.0)
    keep_alive: Seconds = Seconds(2.0)
    linger: Seconds = Seconds(0.3)
    video_patience: Seconds = Seconds(0.6)
    audio_patience: Seconds = Seconds(0.12)
    decodes: bool = True
    key_frame_test: KeyFrameTest = is_key_frame
