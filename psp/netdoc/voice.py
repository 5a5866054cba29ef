"""Voices: what one discovery node says it holds at a location, under its signature.

A gateway brings a record and the voices of those it asked. A record alone proves that
its user signed it, not that it is the newest; a gateway that shows an older one, or
none, cannot make honest replicas say that they hold no newer one.

A voice is 108 bytes (SPEC.md §6)::

    first 8 bytes of node id | time 4 | 4 x sequence 8 | signature 64

The sequences are those of the living records in slots 0 … 3, 0 for none; the time is
the node's, in Unix seconds. The signature is the node's over label, network, location,
the reader's nonce, time and sequences: it is good for one look-up only. From several
voices a reader also learns whether its own clock is right.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from psp.crypto.kdf import Label
from psp.crypto.keys import SIGNATURE_SIZE, SigningKey, verify
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.units import UnixTime
from psp.wire.lookup import LOCATION_SIZE, LOOKUP_NONCE_SIZE, VOICE_SIZE
from psp.wire.network import Network

VOICE_SLOTS = 4
SHORT_ID_SIZE = 8
_SAYS = struct.Struct("!I4Q")
_LATEST = 0xFFFF_FFFF

__all__ = ["SHORT_ID_SIZE", "VOICE_SIZE", "VOICE_SLOTS", "Question", "Voice"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a voice answers.

    Attributes:
        network: Which network.
        location: Where is looked, 20 bytes.
        nonce: The reader's, 16 bytes.
    """

    network: Network
    location: bytes
    nonce: bytes

    def text(self, says: bytes) -> bytes:
        """Return what a node signs.

        Raises:
            LocalProtocolError: If location or nonce has the wrong length.
        """
        if len(self.location) != LOCATION_SIZE or len(self.nonce) != LOOKUP_NONCE_SIZE:
            raise LocalProtocolError("no location, or no nonce")
        return Label.VOICE + self.network.encode() + self.location + self.nonce + says


@dataclass(frozen=True, slots=True)
class Voice:
    """One node's voice.

    Attributes:
        short_id: First 8 bytes of the node id; the reader knows the rest.
        time: The node's clock, Unix seconds.
        sequences: What it holds in slots 0 … 3; 0 where nothing.
        signature: 64 bytes.
    """

    short_id: bytes
    time: UnixTime
    sequences: tuple[int, ...]
    signature: bytes = field(repr=False)

    @classmethod
    def of(
        cls,
        key: SigningKey,
        question: Question,
        unix_now: float,
        sequences: Sequence[int],
    ) -> "Voice":
        """Return the voice of the node that has this identity key."""
        time = UnixTime(min(max(int(unix_now), 0), _LATEST))
        says = _SAYS.pack(time, *sequences)
        signature = key.sign(question.text(says))
        return cls(key.public[:SHORT_ID_SIZE], time, tuple(sequences), signature)

    def is_of(self, node_id: NodeId, question: Question) -> bool:
        """Tell whether this node said it, to this question; never raises."""
        try:
            says = _SAYS.pack(self.time, *self.sequences)
        except struct.error:
            return False
        return node_id.startswith(self.short_id) and verify(
            node_id, question.text(says), self.signature
        )

    def holds(self, slot: int) -> int:
        """Return the sequence of what the node holds in a slot; 0 for nothing."""
        return self.sequences[slot]

    def encode(self) -> bytes:
        """Return the 108 bytes."""
        return self.short_id + _SAYS.pack(self.time, *self.sequences) + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Voice":
        """Read a voice; nothing of it is verified.

        Raises:
            DecodeError: If ``data`` has not 108 bytes.
        """
        if len(data) != VOICE_SIZE:
            raise DecodeError(f"a voice of {len(data)} bytes")
        time, *sequences = _SAYS.unpack_from(data, SHORT_ID_SIZE)
        signature = data[-SIGNATURE_SIZE:]
        return cls(data[:SHORT_ID_SIZE], UnixTime(time), tuple(sequences), signature)
