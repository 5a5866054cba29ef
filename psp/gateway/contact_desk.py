"""The contact book over HTTP."""

from collections.abc import Mapping

from psp.client.contacts.contact import Contact, checked_name
from psp.errors import DecodeError
from psp.gateway import bodies
from psp.gateway.operations import Asked, Handler
from psp.gateway.ports import PresenceClient
from psp.gateway.problems import Kind, ProblemError
from psp.gateway.whom import find_contact


class ContactDesk:
    """Shows and changes the contact book."""

    def __init__(self, client: PresenceClient) -> None:
        self._client = client

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What this desk does, by operation."""
        return {
            "contacts": self.contacts,
            "contact": self.contact,
            "add_contact": self.add,
            "invite": self.invite,
            "rename_contact": self.rename,
            "words": self.words,
            "verify": self.verify,
            "revoke": self.revoke,
        }

    async def contacts(self, _: Asked) -> bodies.ContactList:
        """List the book."""
        return bodies.ContactList(
            [contact_entry(one) for one in self._client.contacts.list()]
        )

    async def contact(self, asked: Asked) -> bodies.ContactEntry:
        """Show one entry."""
        return contact_entry(self._named(asked))

    async def add(self, asked: Asked) -> bodies.ContactEntry:
        """Put a card into the book."""
        body = asked.body_as(bodies.AddContact)
        if body.name is not None:
            _check_name(body.name)
        return contact_entry(self._client.contacts.add(body.card, body.name))

    async def invite(self, asked: Asked) -> bodies.Invitation:
        """Make a card for one contact."""
        name = asked.body_as(bodies.Invite).name
        _check_name(name)
        return bodies.Invitation(name, self._client.contacts.invite(name))

    async def rename(self, asked: Asked) -> bodies.ContactEntry:
        """Give a contact another name."""
        new = asked.body_as(bodies.Rename).name
        contact = self._named(asked)
        _check_name(new)
        return contact_entry(self._client.contacts.rename(contact.name, new))

    async def words(self, asked: Asked) -> bodies.Words:
        """Show the words to compare."""
        name = self._named(asked).name
        return bodies.Words(list(self._client.contacts.words(name)))

    async def verify(self, asked: Asked) -> bodies.ContactEntry:
        """Note that they were compared."""
        words = asked.body_as(bodies.Verify).words
        name = self._named(asked).name
        return contact_entry(self._client.contacts.verify(name, words))

    async def revoke(self, asked: Asked) -> bodies.Revoked:
        """Remove a contact."""
        rotate = asked.body_as(bodies.Revoke).rotate
        name = self._named(asked).name
        fresh = await self._client.contacts.revoke(name, rotate=rotate)
        return bodies.Revoked(
            [bodies.Invitation(name, card) for name, card in sorted(fresh.items())]
        )

    def _named(self, asked: Asked) -> Contact:
        return find_contact(self._client, asked.path["id"])


def _check_name(name: str) -> None:
    try:
        checked_name(name)
    except DecodeError as error:
        raise ProblemError(Kind.BAD_NAME, str(error)) from None


def contact_entry(contact: Contact) -> bodies.ContactEntry:
    """Return what is shown of a contact."""
    card = contact.card
    return bodies.ContactEntry(
        name=contact.name,
        user=None if card is None else card.identity.hex(),
        card_name="" if card is None else card.name,
        is_public=card is not None and card.is_public,
        is_verified=contact.is_verified,
        is_invited=contact.is_invited,
        added=contact.added,
    )
