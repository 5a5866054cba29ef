"""Cells of the link itself: what follows the command byte when the circuit id is 0.

Integers are big-endian; the offsets are those of the 1,195-byte body::

    LINK_KEM 1      step 1 | receiver index 4 | encapsulation key 1,184
    LINK_KEM 2      step 1 | receiver index 4 | ciphertext 1,088 | resumed 1
    REPAIR          receiver index 4 | count 1 | count x counter 8
    PATH_CHALLENGE  nonce 8                         (PATH_RESPONSE is the same)
    SERVICE         service 1 | kind 1 | request id 8 | length 2 | data

Source: SPEC.md section 2.
"""

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import CircuitId
from psp.wire.buffer import Reader
from psp.wire.cell import BODY_SIZE, Cell, CellCommand, Reason

KEM_KEY_SIZE = 1184
KEM_CIPHERTEXT_SIZE = 1088
PATH_NONCE_SIZE = 8
MAX_REPAIR_COUNTERS = 64
SERVICE_HEADER_SIZE = 12
MAX_SERVICE_DATA = BODY_SIZE - SERVICE_HEADER_SIZE
"""1,183 bytes."""

_U32_LIMIT = 1 << 32
_U64_LIMIT = 1 << 64
_SERVICE = struct.Struct("!BBQH")


def link_cell(command: CellCommand, body: bytes = b"") -> bytes:
    """Return the 1,200 bytes of a cell of the link itself (circuit id 0)."""
    return Cell(CircuitId(0), command, body).encode()


@dataclass(frozen=True, slots=True)
class KemOffer:
    """Step 1 of the hybrid upgrade: the initiator's encapsulation key.

    Attributes:
        receiver_index: The initiator's index of the keys that will result.
        key: An ML-KEM-768 encapsulation key, 1,184 bytes.
    """

    step: ClassVar[int] = 1
    receiver_index: int
    key: bytes

    def encode(self) -> bytes:
        """Return the body of a LINK_KEM cell, without padding."""
        if len(self.key) != KEM_KEY_SIZE:
            raise LocalProtocolError(f"encapsulation key of {len(self.key)} bytes")
        return bytes([self.step]) + _index(self.receiver_index) + self.key


@dataclass(frozen=True, slots=True)
class KemAnswer:
    """Step 2 of the hybrid upgrade: the responder's ciphertext.

    Attributes:
        receiver_index: The responder's index of the keys that result.
        ciphertext: An ML-KEM-768 ciphertext, 1,088 bytes.
        is_resumed: The resume token of message 1 was known: circuits live on.
    """

    step: ClassVar[int] = 2
    receiver_index: int
    ciphertext: bytes
    is_resumed: bool

    def encode(self) -> bytes:
        """Return the body of a LINK_KEM cell, without padding."""
        if len(self.ciphertext) != KEM_CIPHERTEXT_SIZE:
            raise LocalProtocolError(f"ciphertext of {len(self.ciphertext)} bytes")
        head = bytes([self.step]) + _index(self.receiver_index)
        return head + self.ciphertext + bytes([self.is_resumed])


def decode_kem(body: bytes) -> KemOffer | KemAnswer:
    """Read the body of a LINK_KEM cell, padding included.

    Raises:
        DecodeError: If it is neither step, or its padding is not zero.
    """
    reader = Reader(body)
    step = reader.u8()
    receiver_index = reader.u32()
    if step == KemOffer.step:
        offer = KemOffer(receiver_index, reader.take(KEM_KEY_SIZE))
        _check_padding(reader)
        return offer
    if step == KemAnswer.step:
        ciphertext = reader.take(KEM_CIPHERTEXT_SIZE)
        answer = KemAnswer(receiver_index, ciphertext, _boolean(reader.u8()))
        _check_padding(reader)
        return answer
    raise DecodeError(f"LINK_KEM step {step}")


@dataclass(frozen=True, slots=True)
class Repair:
    """Asks for data packets that did not arrive.

    Attributes:
        receiver_index: The asker's own, which says under which key they were sent.
        counters: 1 … 64 packet counters.
    """

    receiver_index: int
    counters: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the body of a REPAIR cell, without padding."""
        count = len(self.counters)
        if not 0 < count <= MAX_REPAIR_COUNTERS:
            raise LocalProtocolError(f"{count} counters")
        if not all(0 <= counter < _U64_LIMIT for counter in self.counters):
            raise LocalProtocolError("counter out of range")
        head = _index(self.receiver_index) + bytes([count])
        return head + struct.pack(f"!{count}Q", *self.counters)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the body of a REPAIR cell, padding included.

        Raises:
            DecodeError: If the count is out of range or the padding is not zero.
        """
        reader = Reader(body)
        receiver_index, count = reader.u32(), reader.u8()
        if not 0 < count <= MAX_REPAIR_COUNTERS:
            raise DecodeError(f"{count} counters")
        counters = struct.unpack(f"!{count}Q", reader.take(8 * count))
        _check_padding(reader)
        return cls(receiver_index, counters)


def encode_path_nonce(nonce: bytes) -> bytes:
    """Return the body of a PATH_CHALLENGE or PATH_RESPONSE cell, without padding."""
    if len(nonce) != PATH_NONCE_SIZE:
        raise LocalProtocolError(f"path nonce of {len(nonce)} bytes")
    return nonce


def decode_path_nonce(body: bytes) -> bytes:
    """Read the body of a PATH_CHALLENGE or PATH_RESPONSE cell, padding included.

    Raises:
        DecodeError: If it is too short or the padding is not zero.
    """
    reader = Reader(body)
    nonce = reader.take(PATH_NONCE_SIZE)
    _check_padding(reader)
    return nonce


def decode_link_reason(body: bytes) -> Reason:
    """Read the body of a DESTROY cell.

    Raises:
        DecodeError: If it is empty.
    """
    return Reason.from_wire(Reader(body).u8())


class ServiceKind(enum.IntEnum):
    """Which way a SERVICE cell goes."""

    REQUEST = 0
    ANSWER = 1


@dataclass(frozen=True, slots=True)
class Service:
    """A message between the services of two relays.

    Attributes:
        service: 1 = DHT, 2 = directory.
        kind: Request or answer.
        request_id: Repeated in the answer.
        data: At most 1,183 bytes.
    """

    service: int
    kind: ServiceKind
    request_id: int
    data: bytes

    def encode(self) -> bytes:
        """Return the body of a SERVICE cell, without padding."""
        if len(self.data) > MAX_SERVICE_DATA:
            raise LocalProtocolError(f"service data of {len(self.data)} bytes")
        if not (0 <= self.service < 256 and 0 <= self.request_id < _U64_LIMIT):
            raise LocalProtocolError("service or request id out of range")
        head = _SERVICE.pack(self.service, self.kind, self.request_id, len(self.data))
        return head + self.data

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the body of a SERVICE cell, padding included.

        Raises:
            DecodeError: If a field is out of range or the padding is not zero.
        """
        reader = Reader(body)
        service, number, request_id, length = _SERVICE.unpack(
            reader.take(SERVICE_HEADER_SIZE)
        )
        try:
            kind = ServiceKind(number)
        except ValueError:
            raise DecodeError(f"service kind {number}") from None
        data = reader.take(length)
        _check_padding(reader)
        return cls(service, kind, request_id, data)


def _index(receiver_index: int) -> bytes:
    if not 0 <= receiver_index < _U32_LIMIT:
        raise LocalProtocolError(f"receiver index {receiver_index}")
    return receiver_index.to_bytes(4)


def _boolean(number: int) -> bool:
    if number > 1:
        raise DecodeError(f"{number} is neither 0 nor 1")
    return bool(number)


def _check_padding(reader: Reader) -> None:
    padding = reader.take(reader.remaining)
    if padding != bytes(len(padding)):
        raise DecodeError("padding is not zero")
