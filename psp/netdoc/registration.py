"""Registrations: a user asks a relay to be their presence point.

474 bytes, integers big-endian (SPEC.md §6)::

    offset  size  field
         0    32  identity         the user's registered Ed25519 key
        32    32  node id          the presence point meant
        64    32  channel          hash of the circuit's handshake with it
        96   154  head             of the record to come
       250    32  contact key      X25519, for introductions
       282    16  tag              what the presence point is to know the user by
       298   112  grant            presence key 32 | not before 8 | not after 8 |
                                   certificate 64; zeros: the identity key signs
       410    64  signature        over label, network and everything before

Bound to the network, the node, the circuit and the head's life, a registration is worth
nothing anywhere else (R-PRE-1). The host that signs needs no identity key (R-PRE-2).
"""

import enum
import struct
from dataclasses import dataclass

from psp.crypto.kdf import Label
from psp.crypto.keys import SigningKey, verify
from psp.errors import DecodeError
from psp.ids import NodeId, UserId
from psp.netdoc.presence_inner import Place
from psp.netdoc.presence_keys import (
    CLOCK_SKEW,
    GRANT_SIZE,
    Grant,
    PresenceKey,
    UserSigner,
)
from psp.netdoc.presence_record import RecordHead
from psp.wire.network import Network

_LAYOUT = struct.Struct("!32s32s32s154s32s16s112s")
SIGNED_SIZE = _LAYOUT.size
REGISTRATION_SIZE = SIGNED_SIZE + 64


class RegistrationRefusal(enum.StrEnum):
    """Why a registration does not count; also what a presence point counts."""

    FORM = "form"
    OTHER_NODE = "other_node"
    OTHER_CIRCUIT = "other_circuit"
    UNKNOWN_USER = "unknown_user"
    TIME = "time"
    GRANT = "grant"
    OLD = "old"
    TAG = "tag"
    FULL = "full"
    TOO_OFTEN = "too_often"
    SIGNATURE = "signature"


class RegistrationRefusedError(DecodeError):
    """These bytes are not a registration that counts here and now."""

    def __init__(self, reason: RegistrationRefusal) -> None:
        super().__init__(f"registration refused: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Registration:
    """One decoded registration; not yet verified.

    Attributes:
        identity: Who asks.
        node_id: Whom they ask.
        channel: Handshake hash of the circuit, 32 bytes.
        head: Of the record to come.
        contact_key: X25519 key, 32 bytes.
        tag: 16 bytes.
        grant: Of the key that signs; None when the identity key does.
        raw: All 474 bytes.
    """

    identity: UserId
    node_id: NodeId
    channel: bytes
    head: RecordHead
    contact_key: bytes
    tag: bytes
    grant: Grant | None
    raw: bytes

    @classmethod
    def decode(cls, data: bytes) -> "Registration":
        """Read a registration.

        Raises:
            RegistrationRefusedError: For FORM.
        """
        if len(data) != REGISTRATION_SIZE:
            raise RegistrationRefusedError(RegistrationRefusal.FORM)
        identity, node, channel, head, contact, tag, grant = _LAYOUT.unpack_from(data)
        try:
            decoded = RecordHead.decode(head)
        except DecodeError:
            raise RegistrationRefusedError(RegistrationRefusal.FORM) from None
        return cls(
            UserId(identity),
            NodeId(node),
            channel,
            decoded,
            contact,
            tag,
            Grant.decode(grant) if any(grant) else None,
            data,
        )

    def check_time(self, unix_now: float) -> None:
        """Check that it was made just now, and its grant is in force.

        Raises:
            RegistrationRefusedError: For TIME or GRANT.
        """
        if abs(self.head.issued - unix_now) > CLOCK_SKEW:
            raise RegistrationRefusedError(RegistrationRefusal.TIME)
        try:
            self.head.check_time(unix_now)
        except DecodeError:
            raise RegistrationRefusedError(RegistrationRefusal.TIME) from None
        if self.grant is not None and not self.grant.is_in_force(unix_now):
            raise RegistrationRefusedError(RegistrationRefusal.GRANT)

    def check_signatures(self, network: Network) -> None:
        """Check the grant's certificate and the signature: 70 us each.

        Raises:
            RegistrationRefusedError: For GRANT or SIGNATURE.
        """
        signer: bytes = self.identity
        if self.grant is not None:
            if not self.grant.is_certified_by(self.identity, network):
                raise RegistrationRefusedError(RegistrationRefusal.GRANT)
            signer = self.grant.public
        text = _signed_text(network, self.raw[:SIGNED_SIZE])
        if not verify(signer, text, self.raw[SIGNED_SIZE:]):
            raise RegistrationRefusedError(RegistrationRefusal.SIGNATURE)


def sign_registration(
    identity: UserId,
    signer: SigningKey | PresenceKey | UserSigner,
    *,
    network: Network,
    channel: bytes,
    head: RecordHead,
    place: Place,
) -> bytes:
    """Make a registration of 474 bytes.

    Args:
        identity: Who registers.
        signer: The identity key, a presence key certified by it, or either of them.
        network: Which network.
        channel: Handshake hash of the circuit's last hop, 32 bytes.
        head: Of the record that is to follow.
        place: The presence point, contact key and tag; its endpoints do not matter.
    """
    if isinstance(signer, PresenceKey):
        signer = UserSigner.by_presence_key(identity, signer)
    elif isinstance(signer, SigningKey):
        signer = UserSigner(identity, bytes(GRANT_SIZE), signer)
    keys = (place.contact_key, place.tag)
    ids = (identity, place.node_id, channel)
    body = _LAYOUT.pack(*ids, head.encode(), *keys, signer.grant)
    return body + signer.sign(_signed_text(network, body))


def _signed_text(network: Network, body: bytes) -> bytes:
    return Label.PRESENCE_REGISTRATION + network.encode() + body
