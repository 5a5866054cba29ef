"""Contact tickets: how a caller shows, past the presence point, that it was invited.

A user gives each contact a ticket key of its own. A ticket, 64 bytes, is good for one
introduction::

    ticket id 16 | nonce 16 | HMAC-SHA256 32

The id names the key to its maker. The HMAC is over everything that makes the
introduction this one: network, callee, presence point, cookie, expiry and rendezvous.
The cookie is remembered until it has ended, so a ticket is used once. Presence points
see none of it: it travels in the sealed part.
"""

import struct
from dataclasses import dataclass

from psp.crypto.kdf import Label
from psp.crypto.primitives import KEY_SIZE, blake2b, equal, hmac_sha256
from psp.entropy import Entropy
from psp.errors import LocalProtocolError
from psp.ids import Cookie, NodeId, UserId
from psp.units import UnixTime
from psp.wire.network import Network

TICKET_SIZE = 64
TICKET_KEY_SIZE = KEY_SIZE
TICKET_ID_SIZE = 16
NO_TICKET = bytes(TICKET_SIZE)

_LAYOUT = struct.Struct("!16s16s32s")


@dataclass(frozen=True, slots=True)
class TicketScope:
    """The one introduction that a ticket is for.

    Attributes:
        network: Which network.
        callee: Who is called.
        presence_point: Over which of the callee's points.
        cookie: Of the meeting, 20 bytes.
        expiry: Of the introduction.
        rendezvous: Where the caller waits.
    """

    network: Network
    callee: UserId
    presence_point: NodeId
    cookie: Cookie
    expiry: UnixTime
    rendezvous: NodeId

    def text(self, nonce: bytes) -> bytes:
        """Return what the HMAC is over."""
        who = Label.TICKET + self.network.encode() + self.callee + self.presence_point
        return who + self.cookie + self.expiry.to_bytes(8) + self.rendezvous + nonce


def ticket_id(key: bytes) -> bytes:
    """Return what names a ticket key to its maker, 16 bytes."""
    return blake2b(Label.TICKET_ID, key, size=TICKET_ID_SIZE)


def make_ticket(key: bytes, scope: TicketScope, entropy: Entropy) -> bytes:
    """Return a ticket of 64 bytes.

    Raises:
        LocalProtocolError: If ``key`` has not 32 bytes.
    """
    if len(key) != TICKET_KEY_SIZE:
        raise LocalProtocolError(f"a ticket key has 32 bytes, not {len(key)}")
    nonce = entropy.token(16)
    return _LAYOUT.pack(ticket_id(key), nonce, hmac_sha256(key, scope.text(nonce)))


def named_id(ticket: bytes) -> bytes:
    """Return the id that a ticket claims to be of; 64 bytes given, 16 returned."""
    return ticket[:TICKET_ID_SIZE]


def is_ticket(ticket: bytes, key: bytes, scope: TicketScope) -> bool:
    """Tell whether a ticket was made with this key for this introduction.

    Never raises, whatever the bytes are.
    """
    if len(ticket) != TICKET_SIZE:
        return False
    name, nonce, mac = _LAYOUT.unpack(ticket)
    fits = equal(mac, hmac_sha256(key, scope.text(nonce)))
    return equal(name, ticket_id(key)) and fits
