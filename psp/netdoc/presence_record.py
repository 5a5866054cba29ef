"""Presence records: where a user can be reached, for those who hold the credential.

A record is 450 bytes (SPEC.md §6)::

    offset  size  field
         0     1  version = 1
         1     1  slot             which of the user's presence points, 0 … 2; 3 = status
         2     4  period           days since 1970
         6    32  A'               blinded identity of the period
        38    32  D                key of the day, certified by A'
        70    64  certificate
       134     8  sequence         Unix milliseconds, strictly rising
       142     8  issued           Unix seconds
       150     4  lifetime         seconds; the first 154 bytes are the head
       154    24  nonce
       178   208  inner part, encrypted under the credential and the head
       386    64  signature        by D over label, network and everything before

A storing node checks all it can (`parse`), a reader the rest
(`psp.netdoc.presence_inner.open_record`); both may meet any bytes and answer with
`RecordRefusedError` and nothing else. What costs nothing is
checked first, signatures last.
"""

import enum
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from psp.crypto import blinding
from psp.crypto.blinding import Credential
from psp.crypto.kdf import Label
from psp.crypto.keys import verify
from psp.crypto.primitives import blake2b
from psp.errors import DecodeError
from psp.netdoc.presence_keys import CLOCK_SKEW, DayKey, day_key_text
from psp.units import UnixTime
from psp.wire.network import Network

RECORD_VERSION = 1
SLOTS = 3
"""Presence points per user (R-PRE-3); slots 0 … 2 say where one is."""
STATUS_SLOT = 3
"""The slot of the record that says how the user is (`psp.netdoc.presence_status`)."""
STATUS_LIFETIME = 1_800
"""Seconds a status may live: as long as a record that says where one is."""
PERIOD_SECONDS = blinding.PERIOD_SECONDS
MAX_LIFETIME = 86_400
"""Seconds any record may live; one with endpoints lives less (`presence_inner`)."""
LOCATION_SIZE = 20

_HEAD = struct.Struct("!BBI32s32s64sQQI")
HEAD_SIZE = _HEAD.size
INNER_SIZE = 192
NONCE_END = HEAD_SIZE + blinding.NONCE_SIZE
SIGNED_SIZE = NONCE_END + INNER_SIZE + blinding.SEAL_OVERHEAD
RECORD_SIZE = SIGNED_SIZE + 64
_SLOT_AT = 1
_CERTIFIED = slice(2, 134)
_SEQUENCE = slice(134, 142)
_LIFE = struct.Struct("!QI")
_LIFE_AT = 142

RandomValue = Callable[[int], bytes | None]
"""The 32 random bytes of a period, or None when they are not known."""


class Refusal(enum.StrEnum):
    """Why a record does not count."""

    SIZE = "size"
    FORM = "form"
    LIFETIME = "lifetime"
    FUTURE = "future"
    EXPIRED = "expired"
    PERIOD = "period"
    UNKNOWN_DAY = "unknown_day"
    """We do not know the day's random value yet, or no more."""
    LOCATION = "location"
    CERTIFICATE = "certificate"
    SIGNATURE = "signature"
    OTHER_USER = "other_user"
    DECRYPTION = "decryption"
    INNER = "inner"
    RELAY = "relay"
    CONSENT = "consent"


class RecordRefusedError(DecodeError):
    """These bytes are not a record that counts here and now."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(f"presence record refused: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RecordHead:
    """The open part of a record; a presence point agrees to exactly this.

    Attributes:
        slot: 0 … 2, or `STATUS_SLOT`.
        period: Days since 1970.
        blinded: A', 32 bytes.
        day_key: D, 32 bytes.
        certificate: By A' over D, 64 bytes.
        sequence: Rises with every record of a slot; Unix milliseconds.
        issued: Unix seconds.
        lifetime: Seconds.
    """

    slot: int
    period: int
    blinded: bytes
    day_key: bytes
    certificate: bytes
    sequence: int
    issued: UnixTime
    lifetime: int

    @classmethod
    def under(
        cls, day: DayKey, slot: int, sequence: int, issued: UnixTime, lifetime: int
    ) -> "RecordHead":
        """Return a head under a day key."""
        keys = (day.blinded, day.key.public, day.certificate)
        return cls(slot, day.period, *keys, sequence, issued, lifetime)

    @property
    def expires(self) -> UnixTime:
        """First second at which the record is worth nothing."""
        return UnixTime(self.issued + self.lifetime)

    def encode(self) -> bytes:
        """Return the 154 bytes."""
        return _HEAD.pack(
            RECORD_VERSION,
            self.slot,
            self.period,
            self.blinded,
            self.day_key,
            self.certificate,
            self.sequence,
            self.issued,
            self.lifetime,
        )

    @classmethod
    def decode(cls, data: bytes) -> "RecordHead":
        """Read a head.

        Raises:
            RecordRefusedError: For SIZE, FORM (version or slot) or LIFETIME.
        """
        if len(data) != HEAD_SIZE:
            raise RecordRefusedError(Refusal.SIZE)
        version, slot, *rest = _HEAD.unpack(data)
        if version != RECORD_VERSION or slot > STATUS_SLOT:
            raise RecordRefusedError(Refusal.FORM)
        head = cls(slot, *rest)
        longest = STATUS_LIFETIME if slot == STATUS_SLOT else MAX_LIFETIME
        if not 0 < head.lifetime <= longest:
            raise RecordRefusedError(Refusal.LIFETIME)
        return head

    def check_time(self, unix_now: float) -> None:
        """Check that the head is of this time and its period touches its life.

        A sequence ahead of its time counts as little as a record that is: whoever
        stole a day key could make readers refuse all later records of the user.

        Raises:
            RecordRefusedError: For FUTURE, EXPIRED or PERIOD.
        """
        is_ahead = self.sequence >= (self.issued + CLOCK_SKEW + 1) * 1_000
        if self.issued > unix_now + CLOCK_SKEW or is_ahead:
            raise RecordRefusedError(Refusal.FUTURE)
        if self.expires <= unix_now:
            raise RecordRefusedError(Refusal.EXPIRED)
        if self.period not in periods_of(self.issued, self.lifetime):
            raise RecordRefusedError(Refusal.PERIOD)


@dataclass(frozen=True, slots=True)
class OuterRecord:
    """A record as a storing node sees it: checked, and still sealed.

    Attributes:
        head: The open part.
        location: Where it lies, 20 bytes.
        raw: All 450 bytes.
    """

    head: RecordHead
    location: bytes
    raw: bytes = field(repr=False)

    @property
    def certified(self) -> bytes:
        """Period, keys and certificate: what one check of the certificate covers."""
        return certified_of(self.raw)


def slot_of(raw: bytes) -> int:
    """Return a record's slot without decoding it; as the next three, of checked bytes."""
    return raw[_SLOT_AT]


def certified_of(raw: bytes) -> bytes:
    """Return period, keys and certificate: what one check of the certificate covers."""
    return raw[_CERTIFIED]


def sequence_of(raw: bytes) -> int:
    """Return what rises with every record of a slot."""
    return int.from_bytes(raw[_SEQUENCE])


def expires_of(raw: bytes) -> int:
    """Return the first Unix second at which a record is worth nothing."""
    issued: int
    lifetime: int
    issued, lifetime = _LIFE.unpack_from(raw, _LIFE_AT)
    return issued + lifetime


def period_at(unix_time: float) -> int:
    """Return the period in force at a time."""
    return int(unix_time) // PERIOD_SECONDS


def periods_of(issued: float, lifetime: int) -> range:
    """Return the periods that a record's life touches, clock skew included.

    A record is published under each of them, with one head each.
    """
    last = period_at(issued + lifetime + CLOCK_SKEW)
    return range(period_at(issued - CLOCK_SKEW), last + 1)


def location(blinded: bytes, period: int, random_value: bytes) -> bytes:
    """Return where records lie: BLAKE2b-160 of A', the period and its random value.

    Node ids are known long before the random value, so nobody can choose a node id
    that lies beside a given user's records.
    """
    number = period.to_bytes(8)
    size = LOCATION_SIZE
    return blake2b(Label.PRESENCE_LOCATION, blinded, number, random_value, size=size)


def locations_at(
    credential: Credential, unix_now: float, random_value: RandomValue
) -> dict[int, bytes]:
    """Return where to look a user up now: the location of each possible period."""
    found = {}
    for period in periods_of(unix_now, 0):
        value = random_value(period)
        if value is not None:
            blinded = blinding.blind_public(credential, period)
            found[period] = location(blinded, period, value)
    return found


def record_text(network: Network, body: bytes) -> bytes:
    """Return what D signs: the network and the first 386 bytes of a record."""
    return Label.PRESENCE_RECORD + network.encode() + body


def parse(
    raw: bytes,
    *,
    network: Network,
    random_value: RandomValue,
    unix_now: float,
    expected_location: bytes | None = None,
    certified: bytes = b"",
) -> OuterRecord:
    """Check everything that can be checked without the credential.

    Args:
        raw: Any bytes.
        network: Ours; a record of another does not verify.
        random_value: Of a period, or None when unknown.
        unix_now: Seconds.
        expected_location: Where somebody says it belongs, if anybody does.
        certified: `OuterRecord.certified` of a record checked before; when this one
            has the same, the certificate needs no second check.

    Raises:
        RecordRefusedError: And nothing else.
    """
    if len(raw) != RECORD_SIZE:
        raise RecordRefusedError(Refusal.SIZE)
    head = RecordHead.decode(raw[:HEAD_SIZE])
    head.check_time(unix_now)
    value = random_value(head.period)
    if value is None:
        raise RecordRefusedError(Refusal.UNKNOWN_DAY)
    place = location(head.blinded, head.period, value)
    if expected_location is not None and place != expected_location:
        raise RecordRefusedError(Refusal.LOCATION)
    if certified_of(raw) != certified:
        text = day_key_text(network, head.period, head.blinded, head.day_key)
        if not verify(head.blinded, text, head.certificate):
            raise RecordRefusedError(Refusal.CERTIFICATE)
    text = record_text(network, raw[:SIGNED_SIZE])
    if not verify(head.day_key, text, raw[SIGNED_SIZE:]):
        raise RecordRefusedError(Refusal.SIGNATURE)
    return OuterRecord(head, place, raw)


def newest(outers: Iterable[OuterRecord]) -> list[OuterRecord]:
    """Return the newest record of each slot, newest first.

    Of two with one sequence number the greater bytes win, so that all readers agree.
    """
    best: dict[int, OuterRecord] = {}
    for outer in outers:
        held = best.get(outer.head.slot)
        if held is None or _age_key(outer) > _age_key(held):
            best[outer.head.slot] = outer
    return sorted(best.values(), key=_age_key, reverse=True)


def _age_key(outer: OuterRecord) -> tuple[int, bytes]:
    return outer.head.sequence, outer.raw
