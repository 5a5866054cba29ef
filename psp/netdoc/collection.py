"""Collections: a user who is back asks a presence point for its missed-call notices.

297 bytes, integers big-endian (SPEC.md §7.2)::

    identity 32 | presence point 32 | channel 32 | tag 16 | issued 8 | first 1
        | grant 112 | signature 64 over label, network and everything before

Bound to the network, the point and the circuit, a collection is worth nothing anywhere
else. ``first`` is the notice to begin with; as many as there are says that all of them
have been had, and ends the mailbox.
"""

import struct
from dataclasses import dataclass

from psp.crypto.kdf import Label
from psp.errors import DecodeError
from psp.ids import NodeId, UserId
from psp.netdoc.presence_keys import CLOCK_SKEW, UserSigner, is_signed_by_user
from psp.units import UnixTime
from psp.wire.mailboxes import MAX_NOTICES
from psp.wire.network import Network

_LAYOUT = struct.Struct("!32s32s32s16sQB112s")
SIGNED_SIZE = _LAYOUT.size
COLLECTION_SIZE = SIGNED_SIZE + 64


@dataclass(frozen=True, slots=True)
class Collection:
    """One decoded COLLECT; not yet verified.

    Attributes:
        identity: Who asks.
        presence_point: Whom they ask.
        channel: Handshake hash of the circuit, 32 bytes.
        tag: Of the mailbox, 16 bytes.
        issued: Unix seconds.
        first: The notice to begin with.
        grant: Of the key that signs, 112 bytes; zeros for the identity key.
        raw: All bytes.
    """

    identity: UserId
    presence_point: NodeId
    channel: bytes
    tag: bytes
    issued: UnixTime
    first: int
    grant: bytes
    raw: bytes

    @classmethod
    def decode(cls, data: bytes) -> "Collection":
        """Read COLLECT.

        Raises:
            DecodeError: If it has another length or begins beyond what a mailbox holds.
        """
        if len(data) != COLLECTION_SIZE:
            raise DecodeError(f"a collection of {len(data)} bytes")
        identity, point, channel, tag, issued, first, grant = _LAYOUT.unpack_from(data)
        if first > MAX_NOTICES:
            raise DecodeError(f"a collection from {first} on")
        ids = (UserId(identity), NodeId(point), channel, tag)
        return cls(*ids, UnixTime(issued), first, grant, data)

    def is_signed(self, network: Network, unix_now: float) -> bool:
        """Tell whether the user signed it just now: up to 140 us."""
        if abs(self.issued - unix_now) > CLOCK_SKEW:
            return False
        signed, signature = self.raw[:SIGNED_SIZE], self.raw[SIGNED_SIZE:]
        return is_signed_by_user(
            self.identity,
            self.grant,
            _signed_text(network, signed),
            signature,
            network=network,
            unix_now=unix_now,
        )


def sign_collection(
    signer: UserSigner,
    *,
    network: Network,
    presence_point: NodeId,
    channel: bytes,
    tag: bytes,
    issued: UnixTime,
    first: int,
) -> bytes:
    """Make a COLLECT.

    Args:
        signer: Of the user whose mailbox it is.
        network: Which network.
        presence_point: The relay that keeps the mailbox.
        channel: Handshake hash of the circuit's last hop, 32 bytes.
        tag: Of the mailbox.
        issued: Now.
        first: The notice to begin with.
    """
    where = (presence_point, channel, tag)
    body = _LAYOUT.pack(signer.user_id, *where, issued, first, signer.grant)
    return body + signer.sign(_signed_text(network, body))


def _signed_text(network: Network, body: bytes) -> bytes:
    return Label.COLLECT + network.encode() + body
