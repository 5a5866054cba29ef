"""DHT messages: MessagePack arrays in SERVICE cells (service 1; SPEC.md §6.3).

Each array begins with a number that tells its kind. Decoding is typed and bounded:
unknown kinds, missing, further or ill-sized elements are a `DecodeError`.
"""

from typing import Annotated, Literal, TypeVar

import msgspec

from psp.crypto.keys import SIGNATURE_SIZE
from psp.errors import DecodeError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.netdoc.presence_record import LOCATION_SIZE, RECORD_SIZE
from psp.netdoc.voice import SHORT_ID_SIZE, VOICE_SLOTS, Voice
from psp.units import UnixTime
from psp.wire.lookup import LOOKUP_NONCE_SIZE

MAX_MESSAGE = 1_183
"""Bytes that one SERVICE cell carries."""
ANSWER_NODES = 8
"""Node ids per answer."""
MAX_REASON = 16
MAX_OFFERED = 16
"""Locations per offer: each takes up to 68 bytes."""
HELD_SLOTS = VOICE_SLOTS
"""Three places and the status."""

DhtId = Annotated[
    bytes, msgspec.Meta(min_length=LOCATION_SIZE, max_length=LOCATION_SIZE)
]
RecordBytes = Annotated[
    bytes, msgspec.Meta(min_length=RECORD_SIZE, max_length=RECORD_SIZE)
]
NonceBytes = Annotated[
    bytes, msgspec.Meta(min_length=LOOKUP_NONCE_SIZE, max_length=LOOKUP_NONCE_SIZE)
]
SignatureBytes = Annotated[
    bytes, msgspec.Meta(min_length=SIGNATURE_SIZE, max_length=SIGNATURE_SIZE)
]
Slot = Annotated[int, msgspec.Meta(ge=0, lt=HELD_SLOTS)]
SlotWanted = Literal[0, 1, 2, 3, 255]
"""A slot, or `psp.wire.lookup.ANY_SLOT`."""
Sequence = Annotated[int, msgspec.Meta(ge=0)]
"""MessagePack has none above 64 bits."""
Time = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
NodeList = Annotated[tuple[DhtId, ...], msgspec.Meta(max_length=ANSWER_NODES)]
HeldList = Annotated[
    tuple[tuple[Slot, Sequence], ...], msgspec.Meta(max_length=HELD_SLOTS)
]
Offered = Annotated[
    tuple[tuple[DhtId, HeldList], ...], msgspec.Meta(max_length=MAX_OFFERED)
]
WantedNumber = Annotated[int, msgspec.Meta(ge=0, lt=MAX_OFFERED * HELD_SLOTS)]
WantedList = Annotated[
    tuple[WantedNumber, ...], msgspec.Meta(max_length=MAX_OFFERED * HELD_SLOTS)
]
PublisherId = Annotated[
    bytes, msgspec.Meta(min_length=NODE_ID_SIZE, max_length=NODE_ID_SIZE)
]
Reason = Annotated[str, msgspec.Meta(max_length=MAX_REASON)]


class Ping(
    msgspec.Struct, frozen=True, array_like=True, tag=1, forbid_unknown_fields=True
):
    """Are you there?"""


class FindNode(
    msgspec.Struct, frozen=True, array_like=True, tag=2, forbid_unknown_fields=True
):
    """Which members do you know nearest to this?

    Attributes:
        target: A DHT id or location, 20 bytes.
    """

    target: DhtId


class FindValue(
    msgspec.Struct, frozen=True, array_like=True, tag=3, forbid_unknown_fields=True
):
    """Which record have you here, and do you sign that it is all you have?

    Attributes:
        location: 20 bytes.
        slot: 0 … 3, or 255 for the newest that says where the user is.
        nonce: The reader's, which the signature covers: 16 bytes.
    """

    location: DhtId
    slot: SlotWanted
    nonce: NonceBytes


class Store(
    msgspec.Struct, frozen=True, array_like=True, tag=4, forbid_unknown_fields=True
):
    """Keep this record.

    Attributes:
        location: Where it belongs; computed again by the receiver.
        record: 450 bytes.
    """

    location: DhtId
    record: RecordBytes


class Offer(
    msgspec.Struct, frozen=True, array_like=True, tag=5, forbid_unknown_fields=True
):
    """Which of these records do you lack? The sender's turn as their holder is over.

    Attributes:
        offered: Locations, and slot and sequence of what is held there; at most 16.
    """

    offered: Offered


class HandOver(
    msgspec.Struct, frozen=True, array_like=True, tag=6, forbid_unknown_fields=True
):
    """Keep this record, which somebody published with me.

    Attributes:
        location: Where it belongs; computed again by the receiver.
        record: 450 bytes.
        publisher: Who did, as the sender says: 32 bytes.
    """

    location: DhtId
    record: RecordBytes
    publisher: PublisherId


class Pong(
    msgspec.Struct, frozen=True, array_like=True, tag=17, forbid_unknown_fields=True
):
    """Yes."""


class Nodes(
    msgspec.Struct, frozen=True, array_like=True, tag=18, forbid_unknown_fields=True
):
    """These.

    Attributes:
        nodes: DHT ids, nearest first, at most 8; the asker knows their keys.
    """

    nodes: NodeList


class Value(
    msgspec.Struct, frozen=True, array_like=True, tag=19, forbid_unknown_fields=True
):
    """This one, or none.

    Attributes:
        record: 450 bytes, or None.
        held: Slot and sequence of every record held here.
        nodes: DHT ids nearer to the location, at most 8.
        time: Of the node's clock, Unix seconds.
        signature: The node's over question, time and sequences (`psp.netdoc.voice`).
    """

    record: RecordBytes | None
    held: HeldList
    nodes: NodeList
    time: Time
    signature: SignatureBytes

    def voice(self, node_id: NodeId) -> Voice:
        """Return what this node says; the caller verifies it."""
        sequences = dict(self.held)
        return Voice(
            node_id[:SHORT_ID_SIZE],
            UnixTime(self.time),
            tuple(sequences.get(slot, 0) for slot in range(HELD_SLOTS)),
            self.signature,
        )


class Stored(
    msgspec.Struct, frozen=True, array_like=True, tag=20, forbid_unknown_fields=True
):
    """Done, or why not.

    Attributes:
        refusal: Empty when the record is held now.
    """

    refusal: Reason


class Wanted(
    msgspec.Struct, frozen=True, array_like=True, tag=21, forbid_unknown_fields=True
):
    """Those.

    Attributes:
        numbers: 4 x place of the location in the offer + slot, at most 64.
    """

    numbers: WantedList


class Refused(
    msgspec.Struct, frozen=True, array_like=True, tag=22, forbid_unknown_fields=True
):
    """Not from me, or not for you, as far as I know now.

    Attributes:
        reason: ``not_member``, ``stranger`` or ``too_often``.
    """

    reason: Reason


Request = Ping | FindNode | FindValue | Store | Offer | HandOver
Answer = Pong | Nodes | Value | Stored | Wanted | Refused

MessageT = TypeVar("MessageT")

_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def encode(message: Request | Answer) -> bytes:
    """Return a message's bytes; all kinds fit one SERVICE cell."""
    return _ENCODER.encode(message)


def decode_request(data: bytes) -> Request:
    """Read a request.

    Raises:
        DecodeError: And nothing else, for any bytes.
    """
    return _decode(_REQUESTS, data)


def decode_answer(data: bytes) -> Answer:
    """Read an answer.

    Raises:
        DecodeError: And nothing else, for any bytes.
    """
    return _decode(_ANSWERS, data)


def _decode(decoder: "msgspec.msgpack.Decoder[MessageT]", data: bytes) -> MessageT:
    if len(data) > MAX_MESSAGE:
        raise DecodeError(f"DHT message of {len(data)} bytes")
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not a DHT message: {type(error).__name__}") from None
