"""Introductions: what a caller seals to the callee, past the presence point.

The sealed bytes (SPEC.md §7) are HPKE over 1,456 bytes, integers big-endian::

    expiry 8 | rendezvous node id 32 | endpoint 24 | cookie 20 | ticket 64
        | effort 1 | work nonce 16 | zeros 59 | noise message 1 (1,232)

The presence point is part of the HPKE info, so that it cannot pass an introduction on
to another one of the same user.
"""

import struct
from dataclasses import dataclass, field

from psp.crypto.kdf import Label
from psp.crypto.primitives import HPKE_OVERHEAD, hpke_open, hpke_seal
from psp.crypto.work import MAX_EFFORT, NO_WORK, NONCE_SIZE
from psp.errors import DecodeError, HandshakeError, LocalProtocolError
from psp.ids import Cookie, NodeId, UserId
from psp.netdoc.presence_keys import CLOCK_SKEW
from psp.netdoc.ticket import TICKET_SIZE, TicketScope
from psp.units import UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

MAX_LIFE = 60
"""Seconds an introduction may live; replay caches have to remember it no longer."""
NOISE_MESSAGE_SIZE = 1_232
PLAINTEXT_SIZE = 1_456
SEALED_SIZE = PLAINTEXT_SIZE + HPKE_OVERHEAD

_LAYOUT = struct.Struct("!Q32s24s20s64sB16s59s1232s")


@dataclass(frozen=True, slots=True)
class Introduction:
    """A caller's request to meet at a rendezvous.

    Attributes:
        expiry: Last second at which it may be answered, at most 60 ahead.
        rendezvous: Where the caller waits.
        endpoint: One of that node's own in the registry; check it before use.
        cookie: 20 bytes that join the two circuits.
        ticket: A contact's one-use ticket, 64 bytes, or zeros.
        noise_message: First message of the session handshake, 1,232 bytes.
        effort: Bits of work that ``work_nonce`` proves, if it does; 0 for none.
        work_nonce: 16 bytes (`psp.crypto.work`), zeros without work.
    """

    expiry: UnixTime
    rendezvous: NodeId
    endpoint: Endpoint
    cookie: Cookie = field(repr=False)
    ticket: bytes = field(repr=False)
    noise_message: bytes = field(repr=False)
    effort: int = 0
    work_nonce: bytes = field(default=NO_WORK, repr=False)

    def encode(self) -> bytes:
        """Return the 1,456 bytes.

        Raises:
            LocalProtocolError: If a field has the wrong length.
        """
        sizes = (len(self.rendezvous), len(self.cookie), len(self.ticket))
        if sizes != (32, 20, TICKET_SIZE):
            raise LocalProtocolError(f"fields of {sizes} bytes, not 32, 20, 64")
        if len(self.noise_message) != NOISE_MESSAGE_SIZE:
            raise LocalProtocolError(f"noise message of {len(self.noise_message)}")
        if len(self.work_nonce) != NONCE_SIZE or not 0 <= self.effort <= MAX_EFFORT:
            raise LocalProtocolError(
                f"effort {self.effort}, or a nonce of another size"
            )
        where = (self.rendezvous, self.endpoint.encode(), self.cookie)
        work = (self.effort, self.work_nonce, b"")
        return _LAYOUT.pack(self.expiry, *where, self.ticket, *work, self.noise_message)

    @classmethod
    def decode(cls, data: bytes) -> "Introduction":
        """Read the plaintext.

        Raises:
            DecodeError: If it is not one introduction.
        """
        if len(data) != PLAINTEXT_SIZE:
            raise DecodeError(f"introduction of {len(data)} bytes")
        expiry, node, endpoint, cookie, ticket, *rest = _LAYOUT.unpack(data)
        effort, nonce, zeros, noise = rest
        if any(zeros):
            raise DecodeError("reserved bytes are not zero")
        if effort > MAX_EFFORT or (effort == 0 and nonce != NO_WORK):
            raise DecodeError(f"an effort of {effort}, or a nonce without one")
        where = (NodeId(node), Endpoint.decode(endpoint), Cookie(cookie))
        return cls(UnixTime(expiry), *where, ticket, noise, effort, nonce)

    def is_in_time(self, unix_now: float) -> bool:
        """Tell whether it has not ended and does not claim more than 60 s of life."""
        ahead = self.expiry - unix_now
        return -CLOCK_SKEW <= ahead <= MAX_LIFE + CLOCK_SKEW

    def scope(
        self, network: Network, callee: UserId, presence_point: NodeId
    ) -> TicketScope:
        """Return what a ticket in it must be made for."""
        where = (callee, presence_point, self.cookie, self.expiry)
        return TicketScope(network, *where, self.rendezvous)

    def work_challenge(self, contact_key: bytes) -> bytes:
        """Return what work for it is done on: nobody can begin before the call."""
        return work_challenge(contact_key, self.cookie, self.expiry)


def work_challenge(contact_key: bytes, cookie: Cookie, expiry: UnixTime) -> bytes:
    """Return what the work of one introduction is done on, 60 bytes.

    Args:
        contact_key: Whom it is sealed to, 32 bytes.
        cookie: 20 bytes.
        expiry: Of the introduction.
    """
    return contact_key + cookie + expiry.to_bytes(8)


def seal_introduction(
    introduction: Introduction,
    contact_key: bytes,
    *,
    network: Network,
    presence_point: NodeId,
) -> bytes:
    """Return 1,504 bytes that only the holder of the contact key can read.

    Raises:
        HandshakeError: If ``contact_key`` is not a usable X25519 key.
    """
    info = _info(network, presence_point)
    return hpke_seal(contact_key, info, introduction.encode())


def open_introduction(
    sealed: bytes,
    contact_private: bytes,
    *,
    network: Network,
    presence_point: NodeId,
) -> Introduction:
    """Undo `seal_introduction`; the caller checks `Introduction.is_in_time`.

    Raises:
        DecodeError: If it was not sealed to this key, network and presence point.
    """
    if len(sealed) != SEALED_SIZE:
        raise DecodeError(f"sealed introduction of {len(sealed)} bytes")
    try:
        plain = hpke_open(contact_private, _info(network, presence_point), sealed)
    except HandshakeError:
        raise DecodeError("introduction does not open") from None
    return Introduction.decode(plain)


def _info(network: Network, presence_point: NodeId) -> bytes:
    return Label.INTRODUCTION + network.encode() + presence_point
