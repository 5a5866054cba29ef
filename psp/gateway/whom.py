"""From what a program writes for a user to somebody whom the client can look for."""

import re
from dataclasses import dataclass

from psp.client.contacts.contact import REGISTERED_MARK, Contact
from psp.client.errors import UnknownContactError
from psp.gateway.ports import PresenceClient, Who
from psp.gateway.problems import Kind, ProblemError
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard, is_card

_IDENTITY = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Whom:
    """Somebody to look for.

    Attributes:
        who: What the client is given.
        user: The identity.
        shown: What answers call the user: never a card.
    """

    who: Who
    user: UserId
    shown: str


async def find_whom(client: PresenceClient, text: str) -> Whom:
    """Find out who is meant.

    Args:
        client: Whose contacts count.
        text: A contact's name or identity, a card, or a registered name behind an @.

    Raises:
        UnknownContactError: If nobody is.
        DecodeError: If a card is damaged, or a registered name cannot be one.
    """
    if is_card(text):
        card = ContactCard.decode(text)
        return Whom(card, card.identity, card.identity.hex())
    if text.startswith(REGISTERED_MARK):
        card = await client.resolve(text.removeprefix(REGISTERED_MARK))
        return Whom(card, card.identity, text)
    contact = find_contact(client, text)
    if contact.card is None:
        raise UnknownContactError(
            f"{contact.name} is invited, but has not given a card yet"
        )
    return Whom(contact, contact.card.identity, contact.name)


def find_contact(client: PresenceClient, text: str) -> Contact:
    """Return the entry of the book that a name or an identity means.

    Raises:
        UnknownContactError: If there is none.
        ProblemError: If somebody put a card into an address.
    """
    if is_card(text):
        raise ProblemError(Kind.CARD_IN_ADDRESS)
    if not _IDENTITY.fullmatch(text):
        return client.contacts.get(text)
    contact = client.contacts.find(UserId(bytes.fromhex(text)))
    if contact is None:
        raise UnknownContactError("no contact has this identity")
    return contact
