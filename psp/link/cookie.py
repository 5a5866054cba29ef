"""The two macs at the end of handshake packets, and cookies (R-LNK-4).

::

    0                          1200      1216      1232
    +--------------------------+---------+---------+
    | handshake message        | mac1 16 | mac2 16 |
    +--------------------------+---------+---------+

mac1 shows, before any costly step, that the sender knows whom it writes to. A relay
under load answers a handshake by a cookie: a keyed hash of the address it came from,
sealed so that only who saw the handshake can read it. mac2 under that cookie shows that
the sender receives what is sent to its address.

Source: SPEC.md section 1; WireGuard, section 5.4.7.
"""

from psp.crypto.kdf import cookie, cookie_key
from psp.crypto.primitives import blake2s_mac, equal, siv_open, siv_seal
from psp.entropy import Entropy
from psp.link.config import COOKIE_LIFETIME
from psp.sansio import Address
from psp.units import Monotonic
from psp.wire.packet import (
    COOKIE_NONCE_SIZE,
    MAC1_OFFSET,
    MAC2_OFFSET,
    MAC_SIZE,
    CookieReply,
)

SECRET_SIZE = 32
_NO_MAC = bytes(MAC_SIZE)


def add_macs(message: bytes, key: bytes, mac2_key: bytes | None) -> bytes:
    """Return a whole packet.

    Args:
        message: Bytes 0 … 1,199.
        key: `mac1_key` of the receiver's static key for an initiation, of the
            initiator's ephemeral key for a response.
        mac2_key: The receiver's cookie for our address, if we have one.
    """
    packet = message + blake2s_mac(key, message)
    return packet + (_NO_MAC if mac2_key is None else blake2s_mac(mac2_key, packet))


def mac1_of(packet: bytes) -> bytes:
    """Return the first mac of a handshake packet, 16 bytes."""
    return packet[MAC1_OFFSET:MAC2_OFFSET]


def has_mac1(packet: bytes, key: bytes) -> bool:
    """Tell whether the sender knew whom it wrote to; ``key`` as in `add_macs`."""
    return equal(blake2s_mac(key, packet[:MAC1_OFFSET]), mac1_of(packet))


def open_cookie(reply: CookieReply, responder_static: bytes, mac1: bytes) -> bytes:
    """Return the cookie, 16 bytes, sent in answer to the packet with this ``mac1``.

    Raises:
        HandshakeError: If it was not.
    """
    key = cookie_key(responder_static)
    return siv_open(key, reply.nonce, reply.sealed, mac1)


class CookieIssuer:
    """The responder's side: gives cookies out and knows them again.

    The secret lives `COOKIE_LIFETIME`; the one before it is still honoured as long,
    so that a cookie given out just before the change is of use.
    """

    __slots__ = ("_changed", "_entropy", "_key", "_previous", "_secret")

    def __init__(self, static: bytes, *, entropy: Entropy) -> None:
        """Begin without a secret.

        Args:
            static: Our X25519 public key.
            entropy: Gives secrets and nonces.
        """
        self._key = cookie_key(static)
        self._entropy = entropy
        self._secret = entropy.token(SECRET_SIZE)
        self._previous = entropy.token(SECRET_SIZE)
        self._changed: Monotonic | None = None

    def is_mac2_valid(self, packet: bytes, source: Address, now: Monotonic) -> bool:
        """Tell whether the sender of ``packet`` holds a cookie for ``source``."""
        mac2 = packet[MAC2_OFFSET:]
        if mac2 == _NO_MAC:
            return False
        self._turn(now)
        where = _encode(source)
        return any(
            equal(blake2s_mac(cookie(secret, where), packet[:MAC2_OFFSET]), mac2)
            for secret in (self._secret, self._previous)
        )

    def reply(
        self, packet: bytes, sender_index: int, source: Address, now: Monotonic
    ) -> bytes:
        """Return the cookie packet that answers ``packet``."""
        self._turn(now)
        nonce = self._entropy.token(COOKIE_NONCE_SIZE)
        value = cookie(self._secret, _encode(source))
        sealed = siv_seal(self._key, nonce, value, mac1_of(packet))
        return CookieReply(sender_index, nonce, sealed).encode()

    def _turn(self, now: Monotonic) -> None:
        if self._changed is None:
            self._changed = now
        if now - self._changed >= COOKIE_LIFETIME:
            self._previous = self._secret
            self._secret = self._entropy.token(SECRET_SIZE)
            self._changed = now

    def __repr__(self) -> str:
        return "CookieIssuer([scrubbed])"


def _encode(source: Address) -> bytes:
    host, port = source
    return f"{port} {host}".encode()
