"""The contact book: whom this user knows, kept sealed on the disk.

::

    bob's card --add--> contact --words, verify--> verified contact
    invite -----------> a personal card for one contact, whose calls pass at once
    revoke -----------> gone: the ticket is dead, the discovery secret another

Every change is on the disk before the call returns: old or new, never half. A known
name never takes another identity. A full book refuses new contacts; nothing in it is
ever given up for something else.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from psp.client.contacts.contact import (
    Contact,
    TicketHolder,
    checked_name,
    key_of,
)
from psp.client.contacts.contact_file import ContactFile
from psp.client.contacts.contact_rules import (
    name_for,
    next_secret,
    refuse_changed,
    renewed,
)
from psp.client.contacts.fingerprint import are_words_equal, fingerprint_words
from psp.client.contacts.revocations import Revocations
from psp.client.errors import (
    ChangedIdentityError,
    UnknownContactError,
    WordsDifferError,
    WrongNetworkError,
)
from psp.client.identities.identity import NO_IDENTITY, Identity
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.ticket import TICKET_KEY_SIZE, ticket_id
from psp.units import UnixTime
from psp.wire.network import Network

MAX_CONTACTS = 10_000


class ContactBook:
    """The contacts of one user.

    Attributes:
        on_new_secret: Called with a new discovery secret when a contact was revoked:
            publish under it from now on, and under no older one.
        on_card: Told of each card that was added, new or newer.
        on_revoked: Told of the identity of each revoked contact.
        revocations: What is under way about contacts, to be ended by a revocation.
    """

    def __init__(
        self,
        file: ContactFile,
        network: Network,
        identity: Identity | None,
        *,
        entropy: Entropy,
        unix_time: Callable[[], float],
    ) -> None:
        """Read the book, and give the identity the discovery secret kept in it.

        Raises:
            ConfigError: If the file is damaged, another identity's or of another
                network, or if the identity on this host has an older secret.
        """
        self.on_new_secret: Callable[[bytes], Awaitable[None]] = self._use_secret
        self.on_card: Callable[[ContactCard], None] = lambda _: None
        self.on_revoked: Callable[[UserId], None] = lambda _: None
        self.revocations = Revocations()
        self._file = file
        self._network = network
        self._identity = identity
        self._entropy = entropy
        self._unix_time = unix_time
        self._by_key: dict[str, Contact] = {}
        self._by_identity: dict[UserId, str] = {}
        self._holders: dict[bytes, TicketHolder] = {}
        self._secret = b""
        self._load()

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and key_of(name) in self._by_key

    def __iter__(self) -> Iterator[Contact]:
        """Yield every contact, by name, as the book is now."""
        return iter(self.list())

    # -- reading

    def list(self) -> Sequence[Contact]:
        """Return every contact, by name.

        ::

            >>> [contact.name for contact in alice.contacts.list()]
            ['bob']
        """
        return [self._by_key[key] for key in sorted(self._by_key)]

    def get(self, name: str) -> Contact:
        """Return the contact of a name; its case does not matter.

        Raises:
            UnknownContactError: If there is none.

        ::

            >>> alice.contacts.get("BOB").name
            'bob'
        """
        contact = self._by_key.get(key_of(name))
        if contact is None:
            raise UnknownContactError(f"no contact is called {name!r:.80}")
        return contact

    def find(self, identity: UserId) -> Contact | None:
        """Return the contact with an identity, or None.

        ::

            >>> alice.contacts.find(bob.me.identity).name
            'bob'
        """
        key = self._by_identity.get(identity)
        return None if key is None else self._by_key[key]

    def ticket_holder(self, named: bytes) -> TicketHolder | None:
        """Return who makes tickets under a ticket id (16 bytes), or None."""
        return self._holders.get(named)

    def words(self, name: str) -> tuple[str, ...]:
        """Return the twelve words that this user and a contact compare by voice.

        Raises:
            UnknownContactError: If there is no such contact, or no card of theirs yet.
            ConfigError: If this client has no identity.

        ::

            >>> alice.contacts.words("bob") == bob.contacts.words("alice")
            True
        """
        return self._words(self._with_card(name))

    # -- changing

    def add(self, card: str | ContactCard, name: str | None = None) -> Contact:
        """Take somebody's card into the book, or a newer card of somebody in it.

        Args:
            card: As text, or read.
            name: What to call them; None for what they are called in the book, or
                for the name on the card.

        Raises:
            DecodeError: If the card's text is damaged, or the name cannot be used.
            WrongNetworkError: If the card is of another network.
            ChangedIdentityError: If the name is known with another identity, or the
                identity under another name.
            ConfigError: If the card is this user's own, the book is full, or the disk
                refuses.

        ::

            >>> alice.contacts.add(net.identity("bob").contact_card(alice.me.network))
            Contact(name='bob', ...)
        """
        if isinstance(card, str):
            card = ContactCard.decode(card)
        if card.network != self._network:
            raise WrongNetworkError("this contact card is of another network")
        if self._identity is not None and card.identity == self._identity.user_id:
            raise ConfigError("this is your own card; add those of others")
        known = self.find(card.identity)
        name = checked_name(name_for(card, known) if name is None else name)
        old = self._by_key.get(key_of(name))
        refuse_changed(name, card, named=old, known=known)
        if old is None:
            contact = Contact(name, card, is_verified=False, added=self._now())
        else:
            contact = replace(old, card=renewed(old.card, card))
        self._change(contact)
        self.on_card(card)
        return contact

    def invite(self, name: str) -> str:
        """Return a personal card to give to one contact, in the book or new in it.

        Whoever holds it finds this user, and rings through at once. Asked again, the
        same card comes back, as long as nobody was revoked.

        Raises:
            DecodeError: If the name cannot be used.
            ConfigError: If this client has no identity, the book is full, or the disk
                refuses.

        ::

            >>> carols = alice.contacts.invite("carol")
            >>> carols.startswith("psp://"), alice.contacts.get("carol").is_invited
            (True, True)
        """
        self._own_identity()
        contact = self._by_key.get(key_of(name))
        if contact is None:
            contact = Contact(
                checked_name(name), None, is_verified=False, added=self._now()
            )
        if not contact.is_invited:
            key = self._entropy.token(TICKET_KEY_SIZE)
            contact = replace(contact, ticket_key=key)
            self._change(contact)
        return self._own_card(contact).encode()

    def verify(self, name: str, words: str | Iterable[str] | None = None) -> Contact:
        """Note that this user and a contact have compared their words.

        Args:
            name: Of the contact.
            words: Those that the contact read out, to be compared here; None when the
                user has compared them.

        Raises:
            UnknownContactError: If there is no such contact, or no card of theirs yet.
            WordsDifferError: If the words are not the same.
            ConfigError: If this client has no identity, or the disk refuses.

        ::

            >>> heard = bob.contacts.words("alice")
            >>> alice.contacts.verify("bob", heard).is_verified
            True
        """
        contact = self._with_card(name)
        ours = self._words(contact)
        if words is not None:
            heard = words if isinstance(words, str) else " ".join(words)
            if not are_words_equal(ours, heard):
                raise WordsDifferError(
                    "these are not the words of you two: hear them again; if they stay "
                    "different, somebody sits between you"
                )
        verified = replace(contact, is_verified=True)
        self._change(verified)
        return verified

    def rename(self, old: str, new: str) -> Contact:
        """Call a contact something else.

        Raises:
            UnknownContactError: If there is no contact ``old``.
            DecodeError: If ``new`` cannot be used.
            ChangedIdentityError: If somebody else is called ``new``.
            ConfigError: If the disk refuses.

        ::

            >>> alice.contacts.rename("carol", "Carol from work").name
            'Carol from work'
        """
        contact = self.get(old)
        name = checked_name(new)
        if key_of(name) != key_of(old) and name in self:
            raise ChangedIdentityError(f"somebody else is called {name!r} already")
        renamed = replace(contact, name=name)
        self._change(renamed, instead_of=contact)
        return renamed

    async def revoke(self, name: str, *, rotate: bool = True) -> dict[str, str]:
        """Remove a contact: no more tickets, and no more finding this user.

        What the contact held is worth nothing once this returns, except for what can
        be found under the old discovery secret for at most half an hour. Look-ups and
        calls of this contact that are under way end with `ContactRevokedError`.

        Args:
            name: Of the contact.
            rotate: Change the discovery secret, so that the contact finds this user no
                more. All others then need a fresh card.

        Returns:
            By name, the fresh cards to send to the others; empty if their old ones are
            good, as they are for a public user, whom anybody finds anyway.

        Raises:
            UnknownContactError: If there is none.
            ConfigError: If this host may not change the secret (it runs on keys made
                ahead), or the disk refuses. Nothing is changed then.

        ::

            >>> fresh = await alice.contacts.revoke("carol from work")
            >>> bob.contacts.add(fresh["bob"], "alice").is_invited
            False
        """
        contact = self.get(name)
        secret = next_secret(self._identity, self._entropy) if rotate else b""
        self._change(None, instead_of=contact, secret=secret)
        if contact.identity is not None:
            self.revocations.tell(contact.identity)
            self.on_revoked(contact.identity)
        if not secret:
            return {}
        await self.on_new_secret(secret)
        return {other.name: self._own_card(other).encode() for other in self}

    # -- inside

    def _with_card(self, name: str) -> Contact:
        contact = self.get(name)
        if contact.card is None:
            raise UnknownContactError(
                f"{contact.name} is invited, but has not given a card yet"
            )
        return contact

    def _words(self, contact: Contact) -> tuple[str, ...]:
        assert contact.identity is not None  # noqa: S101 - _with_card has checked
        own = self._own_identity().user_id
        return fingerprint_words(self._network, own, contact.identity)

    def _own_card(self, contact: Contact) -> ContactCard:
        card = self._own_identity().contact_card(self._network)
        return replace(card, ticket_key=contact.ticket_key)

    def _own_identity(self) -> Identity:
        if self._identity is None:
            raise ConfigError(NO_IDENTITY)
        return self._identity

    async def _use_secret(self, secret: bytes) -> None:
        self._own_identity().new_secret(secret)

    def _now(self) -> UnixTime:
        return UnixTime(int(self._unix_time()))

    def _change(
        self,
        contact: Contact | None,
        *,
        instead_of: Contact | None = None,
        secret: bytes = b"",
    ) -> None:
        """Put one contact in, take one out, in one write; memory follows the disk."""
        by_key = dict(self._by_key)
        if instead_of is not None:
            del by_key[key_of(instead_of.name)]
        if contact is not None:
            by_key[key_of(contact.name)] = contact
        if len(by_key) > max(MAX_CONTACTS, len(self._by_key)):
            raise ConfigError(
                f"the contact book holds {MAX_CONTACTS} contacts; revoke some first"
            )
        secret = secret or self._secret
        self._file.save(by_key, secret)
        self._secret = secret
        self._index(by_key)

    def _index(self, by_key: dict[str, Contact]) -> None:
        self._by_key = by_key
        self._by_identity = {
            contact.identity: key
            for key, contact in by_key.items()
            if contact.identity is not None
        }
        self._holders = {
            ticket_id(contact.ticket_key): TicketHolder(
                contact.name, contact.ticket_key, contact.identity
            )
            for contact in by_key.values()
            if contact.is_invited
        }

    def _load(self) -> None:
        by_key, self._secret = self._file.load()
        self._index(by_key)
        identity = self._identity
        if identity is None or self._secret in (b"", identity.discovery_secret):
            return
        if identity.ends is not None:
            raise ConfigError(
                "the keys made ahead for this host are of an older discovery secret "
                "than its contact book; delegate anew"
            )
        identity.new_secret(self._secret)
