"""What every side of a client shares: who it is, and whom it knows."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from psp.client.contacts.contacts import ContactBook
from psp.client.identities.identity import NO_IDENTITY, Identity
from psp.client.lookups.lookup import LookupResult
from psp.client.parts import ClientParts
from psp.client.whom import Subject
from psp.errors import ConfigError
from psp.netdoc.contact_card import ContactCard
from psp.runtime.membership import Membership

T = TypeVar("T")


class Facade:
    """What every side of a client shares: who it is, and whom it knows."""

    def __init__(self, parts: ClientParts) -> None:
        self._parts = parts
        self._registry = parts.outfit.context.registry

    @property
    def identity(self) -> Identity | None:
        """Who this is; None can look up and call anonymously, and nothing else."""
        return self._parts.outfit.identity

    @property
    def me(self) -> ContactCard:
        """The card that this user gives to contacts; `contacts` makes personal ones.

        Raises:
            ConfigError: If the client has no identity.

        ::

            >>> bob.me.name
            'bob'
            >>> psp.ContactCard.decode(bob.me.encode()) == bob.me
            True
        """
        return self._own_identity().contact_card(self._registry.network)

    contact_card = me

    @property
    def contacts(self) -> ContactBook:
        """The contact book: add, invite, compare words, rename, revoke.

        ::

            >>> contact = bob.contacts.add(alice.contacts.invite("bob"), "alice")
            >>> contact = alice.contacts.add(bob.me.encode(), "bob")
            >>> alice.contacts.words("bob") == bob.contacts.words("alice")
            True
            >>> bob.contacts.verify("alice").is_verified
            True
        """
        return self._parts.contacts

    @property
    def membership(self) -> Membership:
        """Where this client's registry comes from."""
        return self._parts.outfit.membership

    # -- inside

    async def _find(self, subject: Subject) -> LookupResult:
        result = await self._parts.queue.find(subject.card)
        self._parts.finder.check(subject.card)
        return result

    async def _guarded(
        self,
        subject: Subject,
        work: Callable[[], Coroutine[Any, Any, T]],
        undo: Callable[[T], object] = lambda _: None,
    ) -> T:
        """Do some work about somebody, unless they are revoked as a contact."""
        if subject.name is None:
            return await work()
        revocations = self.contacts.revocations
        return await revocations.guard(subject.identity, work, undo)

    def _refuse_when_ended(self) -> None:
        if self._parts.is_closed:
            raise ConfigError(
                "this client has ended; use it inside: async with psp.connect(…)"
            )

    def _own_identity(self) -> Identity:
        if self.identity is None:
            raise ConfigError(NO_IDENTITY)
        return self.identity
