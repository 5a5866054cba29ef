"""The sealed part of presence records: who made it, and where they can be reached.

::

    presence point's node id 32 | its consent 64 | contact key 32 | tag 16
        | count 1 | 2 x (IPv6 or mapped IPv4 address 16, port 2) | zeros 11

192 bytes, always: neither the endpoints nor their number show. The consent is the
presence point's signature over everything it can know of the record, so that nobody can
send a user's callers to a host that did not agree.
"""

import ipaddress
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from psp.crypto import blinding
from psp.crypto.blinding import Credential
from psp.crypto.kdf import Label
from psp.crypto.keys import verify
from psp.entropy import Entropy
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.netdoc.presence_keys import DayKey
from psp.netdoc.presence_record import (
    HEAD_SIZE,
    INNER_SIZE,
    NONCE_END,
    SIGNED_SIZE,
    SLOTS,
    OuterRecord,
    RandomValue,
    RecordHead,
    RecordRefusedError,
    Refusal,
    newest,
    parse,
    record_text,
)
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

ONLINE_LIFETIME = 1_800
"""Seconds a record with endpoints may live (R-PRE-1): who vanishes is off line then."""
MAX_ENDPOINTS = 2
TAG_SIZE = 16

_INNER = struct.Struct("!32s64s32s16s37s11s")
_ENDPOINTS_SIZE = 1 + MAX_ENDPOINTS * 18


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user is reached, as the presence point agreed to it.

    Attributes:
        node_id: The presence point.
        contact_key: X25519 key that introductions are sealed to, 32 bytes.
        tag: What the presence point knows the user by, 16 bytes.
        endpoints: The presence point's, at most two; none in a signed absence.
    """

    node_id: NodeId
    contact_key: bytes
    tag: bytes
    endpoints: tuple[Endpoint, ...]

    def consent_text(self, network: Network, head: bytes) -> bytes:
        """Return what the presence point signs: this place, for the head's life."""
        start = Label.PRESENCE_COSIGNATURE + network.encode() + head
        return start + self.node_id + self.contact_key + self.tag + self._packed()

    def encode(self, consent: bytes) -> bytes:
        """Return the inner part, 192 bytes."""
        keys = (self.contact_key, self.tag)
        return _INNER.pack(self.node_id, consent, *keys, self._packed(), b"")

    @classmethod
    def decode(cls, inner: bytes) -> tuple["Place", bytes]:
        """Read an inner part; return the place and the consent.

        Raises:
            RecordRefusedError: For INNER.
        """
        if len(inner) != _INNER.size:
            raise RecordRefusedError(Refusal.INNER)
        node, consent, contact_key, tag, packed, zeros = _INNER.unpack(inner)
        if any(zeros):
            raise RecordRefusedError(Refusal.INNER)
        place = cls(NodeId(node), contact_key, tag, _unpack_endpoints(packed))
        return place, consent

    def _packed(self) -> bytes:
        if len(self.endpoints) > MAX_ENDPOINTS:
            raise LocalProtocolError(f"{len(self.endpoints)} endpoints, 2 fit")
        packed = b"".join(map(_pack_endpoint, self.endpoints))
        return (bytes([len(self.endpoints)]) + packed).ljust(_ENDPOINTS_SIZE, b"\0")


@dataclass(frozen=True, slots=True)
class Presence:
    """What a record says to those who can read it.

    Attributes:
        head: Slot, sequence and times; keep the highest sequence seen per user and
            refuse lower ones.
        place: Where to introduce oneself.
    """

    head: RecordHead
    place: Place

    @property
    def is_absence(self) -> bool:
        """True when the user says that they are off line."""
        return not self.place.endpoints


def seal(
    head: bytes,
    place: Place,
    consent: bytes,
    *,
    day: DayKey,
    credential: Credential,
    network: Network,
    entropy: Entropy,
) -> bytes:
    """Make a record of 450 bytes.

    Args:
        head: The 154 bytes that the presence point agreed to.
        place: What it agreed to besides.
        consent: Its signature over `Place.consent_text`.
        day: Key of the head's period.
        credential: Of the user; readers need the same.
        network: Which network.
        entropy: For the nonce.
    """
    return seal_inner(
        head,
        place.encode(consent),
        day=day,
        credential=credential,
        network=network,
        entropy=entropy,
    )


def seal_inner(
    head: bytes,
    inner: bytes,
    *,
    day: DayKey,
    credential: Credential,
    network: Network,
    entropy: Entropy,
) -> bytes:
    """Make a record of 450 bytes around any inner part of 192; see `seal`."""
    if len(inner) != INNER_SIZE:
        raise LocalProtocolError(f"an inner part of {len(inner)} bytes")
    nonce = entropy.token(blinding.NONCE_SIZE)
    body = head + nonce + blinding.seal_record(credential, head, nonce, inner)
    return body + day.key.sign(record_text(network, body))


def open_inner(outer: OuterRecord, credential: Credential) -> bytes:
    """Decrypt the inner part of a parsed record, 192 bytes.

    Raises:
        RecordRefusedError: For OTHER_USER or DECRYPTION.
    """
    head = outer.head
    if head.blinded != _blinded_or_none(credential, head.period):
        raise RecordRefusedError(Refusal.OTHER_USER)
    raw_head, nonce = outer.raw[:HEAD_SIZE], outer.raw[HEAD_SIZE:NONCE_END]
    sealed = outer.raw[NONCE_END:SIGNED_SIZE]
    inner = blinding.open_record(credential, raw_head, nonce, sealed)
    if inner is None:
        raise RecordRefusedError(Refusal.DECRYPTION)
    return inner


def open_record(
    outer: OuterRecord,
    *,
    credential: Credential,
    network: Network,
    is_relay: Callable[[NodeId], bool],
) -> Presence:
    """Read a parsed record as its user's contact, and check the rest.

    Raises:
        RecordRefusedError: And nothing else.
    """
    head, raw_head = outer.head, outer.raw[:HEAD_SIZE]
    if head.slot >= SLOTS:
        raise RecordRefusedError(Refusal.FORM)
    place, consent = Place.decode(open_inner(outer, credential))
    if place.endpoints and head.lifetime > ONLINE_LIFETIME:
        raise RecordRefusedError(Refusal.LIFETIME)
    if not is_relay(place.node_id):
        raise RecordRefusedError(Refusal.RELAY)
    if not verify(place.node_id, place.consent_text(network, raw_head), consent):
        raise RecordRefusedError(Refusal.CONSENT)
    return Presence(head, place)


def read_records(
    raws: Iterable[bytes],
    *,
    credential: Credential,
    network: Network,
    random_value: RandomValue,
    unix_now: float,
    is_relay: Callable[[NodeId], bool],
    floors: Mapping[int, int] = MappingProxyType({}),
) -> list[Presence]:
    """Return what of many answers counts: the newest of each slot, newest first.

    Records of a status are left out; `psp.netdoc.presence_status` reads them.

    Args:
        raws: Records as any number of gateways gave them; nothing is trusted.
        credential: Of the user looked for.
        network: Which network.
        random_value: Of a period.
        unix_now: Seconds.
        is_relay: Tells whether the registry knows a node.
        floors: By slot, the highest sequence seen before; older records are refused,
            as somebody may be showing the past.
    """
    found = []
    for outer in newest_of_user(
        raws,
        credential=credential,
        network=network,
        random_value=random_value,
        unix_now=unix_now,
        floors=floors,
    ):
        with suppress(RecordRefusedError):
            found.append(
                open_record(
                    outer, credential=credential, network=network, is_relay=is_relay
                )
            )
    return found


def newest_of_user(
    raws: Iterable[bytes],
    *,
    credential: Credential,
    network: Network,
    random_value: RandomValue,
    unix_now: float,
    floors: Mapping[int, int],
) -> list[OuterRecord]:
    """Return the newest good record of each slot of one user, still sealed.

    The arguments are those of `read_records`.
    """
    outers = []
    for raw in raws:
        with suppress(RecordRefusedError):
            outer = parse(
                raw, network=network, random_value=random_value, unix_now=unix_now
            )
            # By user first: a stranger's newer record must not hide this user's.
            is_mine = outer.head.blinded == _blinded_or_none(
                credential, outer.head.period
            )
            if is_mine and outer.head.sequence >= floors.get(outer.head.slot, 0):
                outers.append(outer)
    return newest(outers)


def _blinded_or_none(credential: Credential, period: int) -> bytes | None:
    try:
        return blinding.blind_public(credential, period)
    except DecodeError:
        return None


def _pack_endpoint(endpoint: Endpoint) -> bytes:
    packed = ipaddress.ip_address(endpoint.host).packed
    mapped = packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed
    return mapped + endpoint.port.to_bytes(2)


def _unpack_endpoints(packed: bytes) -> tuple[Endpoint, ...]:
    count = packed[0]
    if count > MAX_ENDPOINTS or any(packed[1 + 18 * count :]):
        raise RecordRefusedError(Refusal.INNER)
    endpoints = []
    for start in range(1, 1 + 18 * count, 18):
        address = ipaddress.IPv6Address(packed[start : start + 16])
        port = int.from_bytes(packed[start + 16 : start + 18])
        if port == 0:
            raise RecordRefusedError(Refusal.INNER)
        endpoints.append(Endpoint(str(address.ipv4_mapped or address), port))
    return tuple(endpoints)
