"""One entry of the contact book: whom we know, and what we gave them."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from psp.errors import DecodeError
from psp.ids import UserId
from psp.netdoc.contact_card import MAX_NAME_BYTES, SCHEME, ContactCard
from psp.netdoc.ticket import TICKET_KEY_SIZE
from psp.runtime.statefile import JsonValue
from psp.units import UnixTime

REGISTERED_MARK = "@"
"""Begins a name that is registered on the chain; no name in the book begins so."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody in the book, as of the moment when it was asked for.

    Attributes:
        name: What this user calls them; unique in the book whatever its case.
        card: How to find them; None while they are invited and have not answered.
        is_verified: Whether the fingerprint words were compared for this identity.
        added: When they came into the book.
        ticket_key: What their tickets are made with when they call us, 32 bytes; empty
            if they were not invited.
    """

    name: str
    card: ContactCard | None
    is_verified: bool
    added: UnixTime
    ticket_key: bytes = field(default=b"", repr=False)

    @property
    def identity(self) -> UserId | None:
        """Their identity key; None while we have no card of theirs."""
        return None if self.card is None else self.card.identity

    @property
    def is_invited(self) -> bool:
        """Whether they were given a card of their own, with tickets."""
        return bool(self.ticket_key)

    def encode(self) -> Mapping[str, JsonValue]:
        """Return the entry as it is kept."""
        return {
            "name": self.name,
            "card": "" if self.card is None else self.card.encode(),
            "verified": self.is_verified,
            "added": int(self.added),
            "ticket": self.ticket_key.hex(),
        }

    @classmethod
    def decode(cls, entry: object) -> "Contact":
        """Read a kept entry.

        Raises:
            DecodeError: If it is damaged; nothing else, for any value.
        """
        match entry:
            case {
                "name": str(name),
                "card": str(card),
                "verified": bool(is_verified),
                "added": int(added),
                "ticket": str(ticket),
            }:
                return cls(
                    checked_name(name),
                    ContactCard.decode(card) if card else None,
                    is_verified,
                    _time(added),
                    _ticket_key(ticket),
                )
            case _:
                raise DecodeError("a contact is not complete")


@dataclass(frozen=True, slots=True)
class TicketHolder:
    """Who may make tickets with a key.

    Attributes:
        name: Of the contact.
        key: The ticket key, 32 bytes.
        identity: Of the contact; None while we have no card of theirs.
    """

    name: str
    key: bytes = field(repr=False)
    identity: UserId | None = None


def checked_name(name: str) -> str:
    """Return a name as the book keeps it: NFC, without spaces around it.

    Raises:
        DecodeError: If it is empty, too long, unprintable, or looks like a card or a
            registered name.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise DecodeError(
            f"a contact's name has 1 to {MAX_NAME_BYTES} bytes; choose another"
        )
    if not name.isprintable():
        raise DecodeError("a contact's name is printable; choose another")
    if name.startswith(REGISTERED_MARK) or key_of(name).startswith(SCHEME):
        raise DecodeError(
            f'a contact\'s name begins neither with "{REGISTERED_MARK}" nor with '
            f'"{SCHEME}"; choose another'
        )
    return name


def key_of(name: str) -> str:
    """Return what makes a name unique: case and spaces around it do not matter."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _time(seconds: int) -> UnixTime:
    if isinstance(seconds, bool) or not 0 <= seconds < 1 << 63:
        raise DecodeError("a time is out of range")
    return UnixTime(seconds)


def _ticket_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        raise DecodeError("a ticket key is not hex") from None
    if key and (len(key) != TICKET_KEY_SIZE or not any(key)):
        raise DecodeError("a ticket key has another size, or is all zeros")
    return key
