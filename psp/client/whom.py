"""Who is meant: a contact, a card, or text that stands for one of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from psp.client.contacts.contact import REGISTERED_MARK, Contact
from psp.client.contacts.contacts import ContactBook
from psp.client.errors import (
    ContactRevokedError,
    UnknownContactError,
    UserRevokedError,
    WrongNetworkError,
)
from psp.directory.registry import Registry
from psp.errors import ConfigError
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard, is_card

Who: TypeAlias = Contact | ContactCard | str
"""Somebody to look for: a `Contact`, a `ContactCard`, the name of a contact, the text of
a card (``psp://…``), or a registered name behind an at sign (``@alice``).

A registered name needs its sign: a contact's name typed wrong must not lead to whoever
has registered that."""


def several(whos: Iterable[Who]) -> Iterable[Who]:
    """Return them, unless it is one text, which could be taken for its letters.

    Raises:
        TypeError: If it is one text.
    """
    if isinstance(whos, str):
        raise TypeError(f"several people are a list: [{whos!r:.80}]")
    return whos


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody to look for.

    Attributes:
        card: How to find them.
        name: In the contact book; None if they are not in it.
    """

    card: ContactCard
    name: str | None = None

    @property
    def identity(self) -> UserId:
        """Their identity key."""
        return self.card.identity


class Finder:
    """Tells who is meant; asks nobody."""

    def __init__(self, contacts: ContactBook, registry: Registry) -> None:
        self._contacts = contacts
        self._registry = registry

    def find(self, who: Who) -> Subject:
        """Return who is meant.

        Raises:
            UnknownContactError: If nobody is called so, or a contact was invited and
                has not given a card yet.
            ContactRevokedError: If the contact is not in the book any more.
            UserRevokedError: If the registry says that the identity is lost.
            WrongNetworkError: If the card is of another network.
            DecodeError: If the text of a card is damaged.
            ConfigError: If a registered name is meant and no names were read.
            TypeError: If it is none of what ``Who`` can be.
        """
        if not isinstance(who, Contact | ContactCard | str):
            raise TypeError(
                "somebody to look for is a name, a contact or a contact card, not "
                f"{type(who).__name__}"
            )
        subject = self._named(who) if isinstance(who, str) else self._known(who)
        self.check(subject.card)
        return subject

    def find_all(self, whos: Iterable[Who]) -> list[Subject]:
        """Return who is meant by each.

        Raises:
            TypeError: If it is one text: its letters are nobody's names.
            PspError: As `find` does.
        """
        return [self.find(who) for who in several(whos)]

    def check(self, card: ContactCard) -> None:
        """See that a card can be used, as far as is known now.

        Raises:
            UserRevokedError: If the registry says that the identity is lost.
            WrongNetworkError: If the card is of another network.
        """
        if card.network != self._registry.network:
            raise WrongNetworkError("this contact card is of another network")
        if self._registry.is_revoked_user(card.identity):
            raise UserRevokedError(
                "the registry says that this identity is lost or stolen: do not trust it"
            )

    def resolve(self, name: str) -> ContactCard:
        """Return the card of whoever has registered a name, with or without ``@``.

        It finds users who are public; contacts-only users give their cards themselves.

        Raises:
            UnknownContactError: If nobody has.
            ConfigError: If this client reads no names, or has not read them yet.
        """
        if not self._registry.knows_names:
            raise ConfigError(
                "this client has read no registered names; set membership.names, or "
                "wait until the chain was read"
            )
        name = name.strip().removeprefix(REGISTERED_MARK)
        user = self._registry.user_of_name(name)
        if user is None:
            raise UnknownContactError(f"nobody has registered the name {name!r:.80}")
        registered = self._registry.name_of(user) or name
        return ContactCard(self._registry.network, user, name=registered)

    def _named(self, text: str) -> Subject:
        text = text.strip()
        if is_card(text):
            return self._known(ContactCard.decode(text))
        if text.startswith(REGISTERED_MARK):
            return self._registered(text)
        return self._known(self._contacts.get(text))

    def _registered(self, text: str) -> Subject:
        card = self.resolve(text)
        contact = self._contacts.find(card.identity)
        return self._known(card if contact is None else contact)

    def _known(self, who: Contact | ContactCard) -> Subject:
        if isinstance(who, ContactCard):
            contact = self._contacts.find(who.identity)
            return Subject(who, None if contact is None else contact.name)
        if who.card is None:
            raise UnknownContactError(
                f"{who.name} is invited, but has not given a card yet"
            )
        # The book's card, not the one in hand: it may have been renewed since.
        now = self._contacts.find(who.card.identity)
        if now is None or now.card is None:
            raise ContactRevokedError(f"{who.name} is not in the contact book any more")
        return Subject(now.card, now.name)
