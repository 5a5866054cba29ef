"""LOOKUP and FOUND: what a reader asks of a gateway, and what comes back.

The data of both (SPEC.md §6) without the part byte, which the circuit's exchange adds
and strips. Records and voices are carried as they are (`psp.netdoc`). Integers are
big-endian.
"""

import enum
from dataclasses import dataclass, field

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.buffer import Reader

LOCATION_SIZE = 20
RECORD_SIZE = 450
LOOKUP_NONCE_SIZE = 16
VOICE_SIZE = 108
MAX_VOICES = 6
"""As many as fit one message over three hops beside a record."""
ANY_SLOT = 255
"""In LOOKUP: the newest record that says where the user is, in whichever slot."""
_ALL_SLOTS = 4
"""Three places and the status (`psp.netdoc.presence_record`)."""


@dataclass(frozen=True, slots=True)
class LookupRequest:
    """``location 20 | slot 1 | nonce 16``: asks for one record, and who vouches for it.

    Attributes:
        location: Where it lies.
        slot: 0 … 3, or `ANY_SLOT`.
        nonce: Drawn for this look-up over this circuit; the voices are for it alone.
    """

    location: bytes
    slot: int
    nonce: bytes

    def encode(self) -> bytes:
        """Return the 37 bytes.

        Raises:
            LocalProtocolError: If a field has the wrong length.
        """
        if len(self.location) != LOCATION_SIZE or len(self.nonce) != LOOKUP_NONCE_SIZE:
            raise LocalProtocolError(
                f"{len(self.location)} and {len(self.nonce)} bytes"
            )
        return self.location + bytes([self.slot]) + self.nonce

    @classmethod
    def decode(cls, data: bytes) -> "LookupRequest":
        """Read LOOKUP.

        Raises:
            DecodeError: If ``data`` has another length or names no slot.
        """
        reader = Reader(data)
        location, slot = reader.take(LOCATION_SIZE), reader.u8()
        nonce = reader.take(LOOKUP_NONCE_SIZE)
        reader.finish()
        if slot >= _ALL_SLOTS and slot != ANY_SLOT:
            raise DecodeError(f"slot {slot}")
        return cls(location, slot, nonce)


class FoundState(enum.IntEnum):
    """What a gateway's answer is worth."""

    NO_RECORD = 0
    """Enough discovery nodes answered, and none had a record."""

    RECORD = 1
    COULD_NOT_ASK = 2
    """Too few answered to tell anything."""


@dataclass(frozen=True, slots=True)
class Found:
    """``state 1 | record 450 | count 1 | 6 x voice 108``, zeros where there is nothing.

    Attributes:
        state: What the gateway learnt.
        record: 450 bytes for RECORD, else empty; trust nothing before parsing it.
        voices: What single discovery nodes said, 108 bytes each, at most six; trust
            nothing before verifying it (`psp.netdoc.voice`).
    """

    state: FoundState
    record: bytes = field(default=b"", repr=False)
    voices: tuple[bytes, ...] = field(default=(), repr=False)

    def encode(self) -> bytes:
        """Return the 1,100 bytes.

        Raises:
            LocalProtocolError: If state and record do not fit together, or voices do
                not fit at all.
        """
        wanted = RECORD_SIZE if self.state is FoundState.RECORD else 0
        if len(self.record) != wanted:
            raise LocalProtocolError(f"{len(self.record)} bytes for {self.state.name}")
        if len(self.voices) > MAX_VOICES or any(
            len(voice) != VOICE_SIZE for voice in self.voices
        ):
            raise LocalProtocolError(f"{len(self.voices)} voices, 6 of 108 bytes fit")
        record = self.record.ljust(RECORD_SIZE, b"\0")
        voices = b"".join(self.voices).ljust(MAX_VOICES * VOICE_SIZE, b"\0")
        return bytes([self.state]) + record + bytes([len(self.voices)]) + voices

    @classmethod
    def decode(cls, data: bytes) -> "Found":
        """Read the answer to LOOKUP.

        Raises:
            DecodeError: If ``data`` is not its one encoding.
        """
        reader = Reader(data)
        number, record = reader.u8(), reader.take(RECORD_SIZE)
        count = reader.u8()
        if count > MAX_VOICES:
            raise DecodeError(f"{count} voices, at most {MAX_VOICES}")
        voices = tuple(reader.take(VOICE_SIZE) for _ in range(count))
        if any(reader.take((MAX_VOICES - count) * VOICE_SIZE)):
            raise DecodeError("a voice that does not count is not zero")
        reader.finish()
        try:
            state = FoundState(number)
        except ValueError:
            raise DecodeError(f"unknown state {number}") from None
        if state is FoundState.RECORD:
            return cls(state, record, voices)
        if any(record):
            raise DecodeError("bytes without a record")
        return cls(state, voices=voices)
