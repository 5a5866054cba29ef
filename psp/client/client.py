"""A running client: everything an app does, as methods to await.

The examples run in ``python -m asyncio`` as they stand, after these lines::

    >>> import contextlib, psp
    >>> stack = contextlib.AsyncExitStack()
    >>> net = await stack.enter_async_context(psp.testing.network())
    >>> alice, bob = await net.client("alice"), await net.client("bob")

Every method may be cancelled at any moment: what it opened is closed, what it saved is
whole. What goes on in the background, an announcement above all, goes on until it is
ended by its counterpart or by leaving `connect`.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from psp.client.announcer import Announcer
from psp.client.announcing import Appearance
from psp.client.calls import EstablishedCall
from psp.client.circuits import CircuitBuilder
from psp.client.client_status import ClientStatus
from psp.client.contacts import ContactBook
from psp.client.directory import Directory
from psp.client.identity import Identity
from psp.client.lookup import LookupResult
from psp.client.parts import ClientParts
from psp.client.session import ClientSession
from psp.client.snapshot import SnapshotReader
from psp.client.snapshot_following import is_cut_off
from psp.client.whom import Subject, Who
from psp.errors import ConfigError
from psp.netdoc.contact_card import ContactCard
from psp.runtime.membership import Membership

T = TypeVar("T")


class Client:
    """A running client; made by `psp.connect`."""

    def __init__(self, parts: ClientParts) -> None:
        self._parts = parts
        self._registry = parts.outfit.context.registry

    # -- who this is

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

    # -- who is where

    async def lookup(self, who: Who, /) -> LookupResult:
        """Look somebody up, over circuits that name nobody.

        *Off line* is said only where a signed record or enough independent answers say
        so; whatever is less is *unknown*.

        Raises:
            UnknownContactError: If nobody is called so.
            ContactRevokedError: If the contact was revoked, maybe meanwhile.
            UserRevokedError: If the registry says that the identity is lost.
            WrongNetworkError: If the card is of another network.
            ClockError: If this host's clock is too far off to tell anything.
            DecodeError: If the text of a card is damaged.

        ::

            >>> (await bob.lookup("alice")).state
            <PresenceState.OFFLINE: 'offline'>
            >>> await alice.announce()
            >>> (await bob.lookup("alice")).state
            <PresenceState.ONLINE: 'online'>
        """
        subject = self._parts.finder.find(who)
        return await self._guarded(subject, lambda: self._find(subject))

    # -- being found

    async def announce(
        self,
        points: int = 1,
        *,
        visibility: str | None = None,
        status: str = "",
        capabilities: Iterable[str] = (),
    ) -> None:
        """Be reachable; return once ``points`` presence points are announced.

        It goes on, and is repaired, until `withdraw` or the end of the client, even if
        this call is cancelled: call it again to go on waiting.

        Args:
            points: How many to wait for, 1 to 3; three are kept in any case.
            visibility: ``contacts``: found only by holders of a card. ``public``:
                anybody can find this user, and anybody can list when they are on line.
                None for what the identity was made for.
            status: A line that those read who may find this user; empty for none.
            capabilities: Names of what the app can do, such as ``video``.

        Raises:
            ConfigError: If the client has no identity, it is not registered, or it was
                withdrawn meanwhile.

        ::

            >>> await alice.announce(3, status="in the garden")
            >>> alice.status().presence_points
            3
        """
        identity = self._own_identity()
        is_known = self._registry.has_user(identity.user_id)
        if self.membership.knows_users and not is_known:
            raise ConfigError(
                "this identity is not registered; register it on the chain (psp user "
                "register), or have a trusted partner add it"
            )
        appearance = Appearance(visibility, status, tuple(capabilities))
        await self._parts.presence.announce(points, appearance)

    async def set_status(
        self, text: str = "", capabilities: Iterable[str] = ()
    ) -> None:
        """Publish another status at once, to whoever may find this user.

        Raises:
            ConfigError: If nothing is announced, or the text is too long.

        ::

            >>> await alice.set_status("back at seven", ["audio"])
        """
        await self._parts.presence.set_status(text, capabilities)

    async def withdraw(self) -> None:
        """Say that this user is away, and be reachable no more.

        ::

            >>> await alice.withdraw()
            >>> (await bob.lookup("alice")).state
            <PresenceState.OFFLINE: 'offline'>
            >>> await alice.announce()
        """
        await self._parts.presence.withdraw()

    # -- calls

    async def call(
        self,
        who: Who,
        /,
        *,
        found: LookupResult | None = None,
        anonymous: bool = False,
    ) -> ClientSession:
        """Call somebody and return the session.

        Args:
            who: Whom.
            found: A look-up made a moment ago; None makes one.
            anonymous: Do not tell the callee who calls.

        Raises:
            CallError: If no session came about; its subclasses and its text say why.
            PresenceError: As `lookup` does.

        ::

            >>> ringing = asyncio.create_task(bob.call("alice"))
            >>> session = await alice.accept()
            >>> session.peer == bob.me.identity
            True
            >>> (await ringing).send_message(b"hello")
            >>> await session.receive_message()
            b'hello'
            >>> session.close()
        """
        call = await self.establish(who, found=found, anonymous=anonymous)
        return call.session

    async def establish(
        self,
        who: Who,
        /,
        *,
        found: LookupResult | None = None,
        anonymous: bool = False,
    ) -> EstablishedCall:
        """Do what `call` does; return the keeper of the session's legs with it."""
        subject = self._parts.finder.find(who)

        async def place() -> EstablishedCall:
            result = found if found is not None else await self._find(subject)
            return await self._parts.calls.place(
                subject.card, result, anonymous=anonymous
            )

        return await self._guarded(subject, place, _hang_up)

    async def accept(self) -> ClientSession:
        """Wait for the next caller, and take the call; see `call` and `incoming`."""
        return (await self.accept_call()).session

    async def accept_call(self) -> EstablishedCall:
        """Do what `accept` does; return the keeper of the session's legs with it."""
        return await self._parts.calls.accept()

    def on_call_step(self, listener: Callable[[str], None]) -> None:
        """Tell ``listener``, in words, how far a call of ours has come."""
        self._parts.calls.on_step = listener

    # -- names

    async def resolve(self, name: str) -> ContactCard:
        """Return the card of whoever has registered a name, with or without ``@``.

        No network traffic: the whole list of names is at hand, so nobody is asked for
        one. The card finds users who are public, others give their cards themselves.

        Raises:
            UnknownContactError: If nobody has registered it.
            ConfigError: If this client reads no names.
        """
        return self._parts.finder.resolve(name)

    # -- how things are

    def status(self) -> ClientStatus:
        """Return what the client is doing.

        ::

            >>> bob.status().source, bob.status().nodes
            ('trusted', 12)
        """
        parts = self._parts
        return ClientStatus(
            source=self._registry.source.value,
            registry=self._registry_words(),
            directory=parts.directory.explanation,
            nodes=len(self._registry.nodes()),
            presence_points=len(self.announcer.registrations) if self.announcer else 0,
            contacts=len(parts.contacts),
            incoming=len(parts.calls.ringing),
        )

    @property
    def membership(self) -> Membership:
        """Where this client's registry comes from."""
        return self._parts.outfit.membership

    @property
    def announcer(self) -> Announcer | None:
        """What keeps this user announced; None while nothing is announced."""
        return self._parts.presence.announcer

    @property
    def circuits(self) -> CircuitBuilder:
        """What builds circuits."""
        return self._parts.circuits

    @property
    def directory(self) -> Directory:
        """Which relays run, as far as this client heard."""
        return self._parts.directory

    @property
    def snapshots(self) -> SnapshotReader | None:
        """What keeps the chain's list fresh without an endpoint, if that is needed."""
        return self._parts.snapshots

    async def close(self) -> None:
        """Leave the network and save the state; `psp.connect` does it at its end."""
        await self._parts.close()

    # -- inside

    async def _find(self, subject: Subject) -> LookupResult:
        result = await self._parts.lookup.find(subject.card)
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

    def _registry_words(self) -> str:
        words = self.membership.explanation
        if self.snapshots is not None and is_cut_off(self.membership):
            words += f"; {self.snapshots.explanation}"
        return words

    def _own_identity(self) -> Identity:
        if self.identity is None:
            raise ConfigError("this client has no identity; give one to connect()")
        return self.identity


def _hang_up(call: EstablishedCall) -> None:
    call.session.close()
