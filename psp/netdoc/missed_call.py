"""Missed-call notices: what a caller leaves in the mailbox of somebody who is off line.

HPKE to the contact key of the signed absence, 368 bytes inside, 416 outside::

    version 1 | time 8 | caller 32 | grant 112 | signature 64
        | text length 1 | text, at most 128 bytes of UTF-8 | zeros 22

The caller signs, with its identity key or under a grant of it, what makes the notice
this one: network, presence point, contact key, tag, time, text. Zeros for caller, grant
and signature: an anonymous caller. Presence point and tag are also in the HPKE info, so
that no mailbox can pass a notice on to another. The mailbox reads nothing of it.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from psp.crypto.kdf import Label
from psp.crypto.keys import SIGNATURE_SIZE
from psp.crypto.primitives import (
    HPKE_OVERHEAD,
    hpke_open,
    hpke_seal,
    sha256,
    x25519_public,
)
from psp.errors import DecodeError, HandshakeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE, NodeId, UserId
from psp.netdoc.presence_keys import CLOCK_SKEW, GRANT_SIZE, is_signed_by_user
from psp.units import UnixTime
from psp.wire.mailboxes import NOTICE_SIZE
from psp.wire.network import Network

NOTICE_VERSION = 1
PLAINTEXT_SIZE = NOTICE_SIZE - HPKE_OVERHEAD
MAX_TEXT_BYTES = 128
MAX_AGE = 86_400
"""Seconds a mailbox lives; a notice that claims to be older is not believed."""

_LAYOUT = struct.Struct("!BQ32s112s64sB128s22s")
_NOBODY = bytes(NODE_ID_SIZE + GRANT_SIZE + SIGNATURE_SIZE)

Signer = Callable[[bytes], tuple[bytes, bytes]]
"""Takes a text; returns the grant, 112 bytes, and the signature."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where notices for one absence of one user go.

    Attributes:
        network: Which network.
        presence_point: The relay that keeps them.
        contact_key: X25519 key that they are sealed to, 32 bytes.
        tag: What the presence point knows the user by, 16 bytes.
    """

    network: Network
    presence_point: NodeId
    contact_key: bytes
    tag: bytes

    def info(self) -> bytes:
        """Return the HPKE info of every notice in it."""
        return (
            Label.MISSED_CALL
            + self.network.encode()
            + self.presence_point
            + self.contact_key
            + self.tag
        )

    def signed_text(self, time: int, text: bytes) -> bytes:
        """Return what a caller signs."""
        where = Label.MISSED_CALLER + self.info()
        return where + time.to_bytes(8) + text


@dataclass(frozen=True, slots=True)
class MissedCallNotice:
    """One notice, opened and verified.

    Attributes:
        time: When the caller left it, by the caller's clock.
        caller: Who signed it; None for an anonymous caller.
        text: What the caller wanted to say; unverified, may be empty.
    """

    time: UnixTime
    caller: UserId | None
    text: str


def seal_notice(
    mailbox: Mailbox,
    *,
    text: str,
    time: UnixTime,
    caller: UserId | None,
    sign: Signer | None,
) -> bytes:
    """Return a notice of 416 bytes.

    Args:
        mailbox: Where it goes.
        text: At most 128 bytes of UTF-8, all printable.
        time: Now.
        caller: Who leaves it; None to stay anonymous.
        sign: Signs for the caller; None to stay anonymous.

    Raises:
        LocalProtocolError: If the text is too long or has unprintable characters.
        HandshakeError: If the contact key is not usable.
    """
    if not is_notice_text(text):
        raise LocalProtocolError("a notice has at most 128 bytes, all printable")
    data = text.encode()
    who = (bytes(NODE_ID_SIZE), bytes(GRANT_SIZE), bytes(SIGNATURE_SIZE))
    if caller is not None and sign is not None:
        who = (caller, *sign(mailbox.signed_text(time, data)))
    plain = _LAYOUT.pack(NOTICE_VERSION, time, *who, len(data), data, b"")
    return hpke_seal(mailbox.contact_key, mailbox.info(), plain)


def is_notice_text(text: str) -> bool:
    """Tell whether a notice can say this."""
    return text.isprintable() and len(text.encode()) <= MAX_TEXT_BYTES


def notice_challenge(tag: bytes, notice: bytes) -> bytes:
    """Return what the work of a notice is done on, 48 bytes."""
    return tag + sha256(notice)


def open_notice(
    sealed: bytes,
    contact_private: bytes,
    *,
    network: Network,
    presence_point: NodeId,
    tag: bytes,
    unix_now: float,
) -> MissedCallNotice:
    """Open and verify a notice that lay in one of our mailboxes.

    Args:
        sealed: 416 bytes.
        contact_private: Of the absence.
        network: Which network.
        presence_point: The relay that kept it.
        tag: Of the absence.
        unix_now: Seconds.

    Raises:
        DecodeError: If it was not made for this mailbox, within a day and by whom it
            says; and nothing else.
    """
    if len(sealed) != NOTICE_SIZE:
        raise DecodeError(f"a notice of {len(sealed)} bytes")
    contact_key = x25519_public(contact_private)
    mailbox = Mailbox(network, presence_point, contact_key, tag)
    try:
        plain = hpke_open(contact_private, mailbox.info(), sealed)
    except HandshakeError:
        raise DecodeError("notice does not open") from None
    return _decode(plain, mailbox, unix_now)


def _decode(plain: bytes, mailbox: Mailbox, unix_now: float) -> MissedCallNotice:
    if len(plain) != PLAINTEXT_SIZE:
        raise DecodeError(f"a notice of {len(plain)} bytes inside")
    version, time, caller, grant, signature, length, data, zeros = _LAYOUT.unpack(plain)
    text = data[:length]
    if version != NOTICE_VERSION:
        raise DecodeError(f"a notice of version {version}")
    if length > MAX_TEXT_BYTES or any(data[length:]) or any(zeros):
        raise DecodeError("a text that is too long, or padding that is not zero")
    if not -MAX_AGE - CLOCK_SKEW <= time - unix_now <= CLOCK_SKEW:
        raise DecodeError("a notice of another day")
    if caller + grant + signature == _NOBODY:
        return MissedCallNotice(UnixTime(time), None, _printable(text))
    is_signed = is_signed_by_user(
        caller,
        grant,
        mailbox.signed_text(time, text),
        signature,
        network=mailbox.network,
        unix_now=time,
    )
    if not is_signed:
        raise DecodeError("the caller's signature is wrong")
    return MissedCallNotice(UnixTime(time), UserId(caller), _printable(text))


def _printable(text: bytes) -> str:
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        raise DecodeError("the text is not UTF-8") from None
    if not decoded.isprintable():
        raise DecodeError("the text has unprintable characters")
    return decoded
