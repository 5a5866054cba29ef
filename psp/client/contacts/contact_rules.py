"""What may change in a contact book, and what may not."""

from dataclasses import replace

from psp.client.contacts.contact import Contact, key_of
from psp.client.errors import ChangedIdentityError
from psp.client.identities.identity import Identity
from psp.crypto.blinding import SECRET_SIZE
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError
from psp.netdoc.contact_card import ContactCard


def refuse_changed(
    name: str, card: ContactCard, *, named: Contact | None, known: Contact | None
) -> None:
    """See that a card under a name brings no other identity than the book has.

    Args:
        name: What the card's user is to be called.
        card: The card.
        named: Who is called so now, if anybody.
        known: Who has the card's identity now, if anybody.

    Raises:
        ChangedIdentityError: If the name is known with another identity, or the
            identity under another name.
    """
    if known is not None and key_of(known.name) != key_of(name):
        raise ChangedIdentityError(
            f"this card's identity is in the book as {known.name!r}; rename that "
            "contact instead"
        )
    if named is None or named.identity in {None, card.identity}:
        return
    raise ChangedIdentityError(
        f"{named.name!r} has another identity in the book: ask {named.name} by voice; "
        "if it is true, revoke the old contact first"
    )


def name_for(card: ContactCard, known: Contact | None) -> str:
    """Return what a card's user is called when nobody says it.

    Raises:
        DecodeError: If neither the book nor the card has a name.
    """
    name = card.name if known is None else known.name
    if not name:
        raise DecodeError("this card has no name on it; say what to call its user")
    return name


def renewed(old: ContactCard | None, new: ContactCard) -> ContactCard:
    """Take a newer card of the same identity; a ticket is not lost to a plain card."""
    if old is None or new.is_personal:
        return new
    return replace(new, ticket_key=old.ticket_key)


def next_secret(identity: Identity | None, entropy: Entropy) -> bytes:
    """Return a new discovery secret, or nothing where none would help.

    Raises:
        ConfigError: If this host may not change it.
    """
    if identity is None or identity.is_public:
        return b""
    if identity.ends is not None:
        raise ConfigError(
            "this host runs on keys made ahead, which are of one discovery secret; "
            "revoke where the identity key is and delegate anew, or revoke the ticket "
            "alone (rotate=False)"
        )
    return entropy.token(SECRET_SIZE)
