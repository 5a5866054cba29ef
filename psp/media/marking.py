"""Which outgoing RTP packets the circuit should drop last.

A relay whose queue is full drops what is neither audio nor part of a key frame first
(SPEC.md section 3). Only the sender can tell: it looks at a packet before encryption.
The flags are seen by every relay of the circuit.
"""

from dataclasses import dataclass, field

from psp.media.codec import KeyFrameTest, Opening, is_key_unit, opening
from psp.wire.onion import Kind

_HISTORY = 1024
"""Flags of sent packets remembered for retransmissions, as many as are kept."""


@dataclass(slots=True)
class _Stream:
    codec: str
    test: KeyFrameTest
    is_in_key_frame: bool = False
    flags: list[Kind] = field(default_factory=lambda: [Kind.PASS] * _HISTORY)

    def flags_of(self, sequence: int, payload: bytes) -> Kind:
        if self.codec.upper() == "H264":
            self.is_in_key_frame = is_key_unit(payload)
        else:
            found = opening(self.codec, payload, self.test)
            if found is not Opening.MIDDLE:
                self.is_in_key_frame = found is Opening.KEY
        flags = Kind.KEY_FRAME if self.is_in_key_frame else Kind.PASS
        self.flags[sequence % _HISTORY] = flags
        return flags


class Marker:
    """Knows the streams this end sends, and flags their packets."""

    def __init__(self, test: KeyFrameTest) -> None:
        self._test = test
        self._audio: set[int] = set()
        self._video: dict[int, _Stream] = {}
        self._retransmissions: dict[int, _Stream] = {}

    def learn(self, ssrc: int, rtx_ssrc: int, kind: str, codec: str) -> None:
        """Add a stream of ``kind`` (audio or video) about to be sent."""
        if kind == "audio":
            self._audio.add(ssrc)
            return
        self._video[ssrc] = self._retransmissions[rtx_ssrc] = _Stream(codec, self._test)

    def flags(self, packet: bytes) -> Kind:
        """Return the flags of an RTP packet in the clear."""
        ssrc = int.from_bytes(packet[8:12], "big")
        if ssrc in self._audio:
            return Kind.AUDIO
        if (stream := self._video.get(ssrc)) is not None:
            sequence = int.from_bytes(packet[2:4], "big")
            return stream.flags_of(sequence, packet[_header_size(packet) :])
        if (stream := self._retransmissions.get(ssrc)) is not None:
            start = _header_size(packet)
            original = int.from_bytes(packet[start : start + 2], "big")
            return stream.flags[original % _HISTORY]
        return Kind.PASS


def _header_size(packet: bytes) -> int:
    size = 12 + 4 * (packet[0] & 15)
    if packet[0] & 16:
        size += 4 + 4 * int.from_bytes(packet[size + 2 : size + 4], "big")
    return size
