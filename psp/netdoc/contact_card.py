"""Contact cards: what a user hands to those who may reach them.

``psp://`` and lower-case base32 (RFC 4648 §6, no padding) of, big-endian::

    version 1 | kind 1 | chain id 8 | registry 20 | identity 32
        | discovery secret 32 (kinds 1 and 2) | ticket key 32 (kind 2)
        | name length 1 | name | checksum 4

kind 0 = public: anybody may find, and enumerate, the user; kind 1 = contacts: only who
holds the card; kind 2 = personal: made for one contact, whose calls it lets through at
once; its discovery secret may be zeros, for a user who is public. Cards of kinds 1 and
2 are secrets of both sides. Base32 survives being read aloud, upper-cased and broken
into lines; the checksum finds typing errors and protects against nothing else.
"""

import base64
import binascii
from dataclasses import dataclass, field

from psp.crypto.blinding import PUBLIC_SECRET, SECRET_SIZE, Credential
from psp.crypto.kdf import Label
from psp.crypto.primitives import blake2b
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import UserId
from psp.netdoc.ticket import TICKET_KEY_SIZE
from psp.wire.buffer import Reader
from psp.wire.network import Network

SCHEME = "psp://"
CARD_VERSION = 1
MAX_NAME_BYTES = 64
MAX_CARD_CHARACTERS = 1_024
"""More than any card needs, spaces and line ends included."""

_PUBLIC_KIND = 0
_CONTACTS_KIND = 1
_PERSONAL_KIND = 2
_CHECKSUM_SIZE = 4


@dataclass(frozen=True, slots=True)
class ContactCard:
    """How to find one user.

    Attributes:
        network: Where the user is registered.
        identity: The user's Ed25519 identity key.
        secret: The discovery secret, 32 bytes; zeros for a public user.
        name: What the user wants to be called, at most 64 bytes of UTF-8; unverified.
        ticket_key: What the holder's tickets are made with, 32 bytes; empty on a card
            that is not for one person only.
    """

    network: Network
    identity: UserId
    secret: bytes = field(default=PUBLIC_SECRET, repr=False)
    name: str = ""
    ticket_key: bytes = field(default=b"", repr=False)

    @property
    def is_personal(self) -> bool:
        """True for a card that was made for one contact."""
        return bool(self.ticket_key)

    @property
    def is_public(self) -> bool:
        """True when anybody may find, and enumerate, this user."""
        return self.secret == PUBLIC_SECRET

    @property
    def credential(self) -> Credential:
        """What finds and reads this user's records."""
        return Credential.derive(self.identity, self.secret)

    def encode(self) -> str:
        """Return the card as text to copy, print or show as a QR code.

        Raises:
            LocalProtocolError: If the name is too long or has unprintable characters.
        """
        name = self.name.encode()
        if len(name) > MAX_NAME_BYTES or not self.name.isprintable():
            raise LocalProtocolError("a name has at most 64 bytes, all printable")
        head = bytes([CARD_VERSION, self._kind]) + self.network.encode()
        secret = b"" if self._kind == _PUBLIC_KIND else self.secret
        body = head + self.identity + secret + self.ticket_key
        body += bytes([len(name)]) + name
        text = base64.b32encode(body + _checksum(body)).decode()
        return SCHEME + text.rstrip("=").lower()

    @property
    def _kind(self) -> int:
        if self.is_personal:
            return _PERSONAL_KIND
        return _PUBLIC_KIND if self.is_public else _CONTACTS_KIND

    @classmethod
    def decode(cls, text: str) -> "ContactCard":
        """Read a card that somebody pasted; spaces, line ends and case do not matter.

        Raises:
            DecodeError: With a sentence for the user; nothing else, for any text.
        """
        data = _decode_text(text)
        body, checksum = data[:-_CHECKSUM_SIZE], data[-_CHECKSUM_SIZE:]
        if not body or _checksum(body) != checksum:
            raise DecodeError(
                "This contact card has a typing error or is incomplete: "
                "its checksum does not fit. Copy it again."
            )
        reader = Reader(body)
        if (version := reader.u8()) != CARD_VERSION:
            raise DecodeError(
                f"This contact card has version {version}; this program reads "
                f"version {CARD_VERSION}. Update the program."
            )
        try:
            return cls._decode_body(reader)
        except DecodeError as error:
            raise DecodeError(f"This contact card is damaged: {error}.") from None

    @classmethod
    def _decode_body(cls, reader: Reader) -> "ContactCard":
        kind = reader.u8()
        if kind not in {_PUBLIC_KIND, _CONTACTS_KIND, _PERSONAL_KIND}:
            raise DecodeError(f"unknown kind {kind}")
        network = Network(int.from_bytes(reader.take(8)), reader.take(20))
        identity = UserId(reader.take(32))
        secret = PUBLIC_SECRET if kind == _PUBLIC_KIND else reader.take(SECRET_SIZE)
        if kind == _CONTACTS_KIND and secret == PUBLIC_SECRET:
            raise DecodeError("its secret is all zeros")
        ticket_key = reader.take(TICKET_KEY_SIZE) if kind == _PERSONAL_KIND else b""
        if ticket_key == bytes(TICKET_KEY_SIZE):
            raise DecodeError("its ticket key is all zeros")
        name = reader.take(reader.u8())
        reader.finish()
        return cls(network, identity, secret, _decode_name(name), ticket_key)


def is_card(text: str) -> bool:
    """Tell whether a text is meant as a contact card, even a damaged one."""
    return text.strip().lower().startswith(SCHEME)


def _decode_text(text: str) -> bytes:
    if len(text) > MAX_CARD_CHARACTERS:
        raise DecodeError("This text is too long for a contact card.")
    compact = "".join(text.split()).lower()
    if not compact.startswith(SCHEME):
        raise DecodeError('A contact card begins with "psp://".')
    letters = compact.removeprefix(SCHEME).upper()
    try:
        data = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError):
        raise DecodeError(
            "This contact card has characters that do not belong in it: "
            "only the letters a-z and the digits 2-7 do."
        ) from None
    if base64.b32encode(data).decode().rstrip("=") != letters:
        raise DecodeError("This contact card is incomplete at its end.")
    return data


def _decode_name(name: bytes) -> str:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise DecodeError("its name is not UTF-8") from None
    if len(name) > MAX_NAME_BYTES or not text.isprintable():
        raise DecodeError("its name is too long or has unprintable characters")
    return text


def _checksum(body: bytes) -> bytes:
    return blake2b(Label.CONTACT_CARD, body, size=_CHECKSUM_SIZE)
