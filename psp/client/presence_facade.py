"""The side of a client that deals in presence; its examples go on in `psp.client.client`."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal, overload

from psp.client.announcing.visibility import Visibility
from psp.client.facade import Facade
from psp.client.lookups.lookup import LookupResult
from psp.client.watching.presence_watch import PresenceWatch
from psp.client.whom import Who, several
from psp.errors import ConfigError, PspError
from psp.netdoc.contact_card import ContactCard


class PresenceFacade(Facade):
    """Who is where: looking up, watching, being found."""

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
            ConfigError: If this client has ended.

        ::

            >>> await alice.announce()
            >>> (await bob.lookup("alice")).state
            <PresenceState.ONLINE: 'online'>
        """
        self._refuse_when_ended()
        subject = self._parts.finder.find(who)
        return await self._guarded(subject, lambda: self._find(subject))

    @overload
    async def lookup_many(
        self, whos: Iterable[Who], *, return_exceptions: Literal[False] = False
    ) -> list[LookupResult]: ...

    @overload
    async def lookup_many(
        self, whos: Iterable[Who], *, return_exceptions: bool
    ) -> list[LookupResult | PspError]: ...

    async def lookup_many(
        self, whos: Iterable[Who], *, return_exceptions: bool = False
    ) -> Sequence[LookupResult | PspError]:
        """Look several people up, a few at a time, so that the guard bears it.

        Args:
            whos: As many as the contact book holds.
            return_exceptions: Return what goes wrong about one of them in its place;
                else the first error ends the whole.

        Returns:
            What was learnt, in the order asked.

        Raises:
            PspError: As `lookup` does.

        ::

            >>> found = await bob.lookup_many(["alice", alice.me])
            >>> [result.state.value for result in found]
            ['online', 'online']
        """
        looking = [asyncio.create_task(self.lookup(who)) for who in several(whos)]
        try:
            if return_exceptions:
                await asyncio.gather(*looking, return_exceptions=True)
            else:
                await asyncio.gather(*looking)
        finally:
            for task in looking:
                task.cancel()
            if looking:
                await asyncio.wait(looking)
        return [_outcome(task) for task in looking]

    def watch(self, whos: Iterable[Who]) -> PresenceWatch:
        """Be told how people are: first as they are now, then at every change.

        Nobody is polled: their presence points tell. It begins with ``async with`` and
        ends with its block; within it, ``async for event in watch`` goes on for ever.
        Of each at most one event waits, the newest, so an app may be slow.

        Args:
            whos: Several; in a list, even if it is one.

        Returns:
            The watch: an iterator of `PresenceEvent`, with ``add`` and ``discard``.

        Raises:
            PresenceError: As `lookup` does, for any of them.
            WatchLimitError: On entering, if too many are watched.

        ::

            >>> async with bob.watch(["alice"]) as watch:
            ...     event = await anext(watch)
            >>> event.name, event.state.value, event.reason.value
            ('alice', 'online', 'first')
        """
        self._refuse_when_ended()
        subjects = self._parts.finder.find_all(whos)
        names = {
            subject.identity: subject.name
            for subject in subjects
            if subject.name is not None
        }
        return self._parts.watcher.watch([subject.card for subject in subjects], names)

    # -- being found

    async def announce(
        self,
        points: int = 1,
        *,
        visibility: Visibility | str | None = None,
        status: str | None = None,
        capabilities: Iterable[str] | None = None,
    ) -> None:
        """Be reachable; return once ``points`` presence points are announced.

        It goes on, and is repaired, until `withdraw` or the end of the client, even if
        this call is cancelled: call it again to go on waiting.

        Args:
            points: How many to wait for, 1 to 3; three are kept in any case.
            visibility: ``contacts``: found only by holders of a card. ``public``:
                anybody can find this user, and anybody can list when they are on line.
                None for what the identity was made for.
            status: At most 180 bytes, for those who may find this user.
            capabilities: What the app can do: ``audio``, ``video``, ``data``,
                ``broadcast``, or ``app-0`` to ``app-27``.

        What is left out stays as it is while the user is announced.

        Raises:
            ConfigError: If the client has no identity, it is not registered, this
                cannot be said, or it was withdrawn meanwhile.
            KeysEndedError: If the keys on this host have ended.

        ::

            >>> await alice.announce(3, status="in the garden")
            >>> alice.status().presence_points
            3
            >>> (await bob.lookup("alice")).status
            'in the garden'
        """
        self._refuse_when_ended()
        identity = self._own_identity()
        is_known = self._registry.has_user(identity.user_id)
        if self.membership.knows_users and not is_known:
            raise ConfigError(
                "this identity is not registered; register it on the chain (psp user "
                "register), or have a trusted partner add it"
            )
        await self._parts.presence.announce(
            points, _visibility(visibility), status, capabilities
        )
        self._parts.collect_missed_calls()

    async def set_status(
        self, text: str = "", capabilities: Iterable[str] = ()
    ) -> None:
        """Publish another status at once, to whoever may find this user.

        Raises:
            ConfigError: If nothing is announced, or the text is too long.

        ::

            >>> await alice.set_status("back at seven", ["audio"])
            >>> found = await bob.lookup("alice")
            >>> found.status, sorted(found.capabilities)
            ('back at seven', ['audio'])
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

    # -- names

    async def resolve(self, name: str) -> ContactCard:
        """Return the card of whoever has registered a name, with or without ``@``.

        No network traffic: the whole list of names is at hand, so nobody is asked for
        one. The card finds users who are public, others give their cards themselves.

        Raises:
            UnknownContactError: If nobody has registered it.
            ConfigError: If this client reads no names.

        ::

            >>> try:
            ...     card = await bob.resolve("alice-2")
            ... except psp.ConfigError:
            ...     print("this network has no registered names")
            this network has no registered names
        """
        return self._parts.finder.resolve(name)


def _outcome(task: "asyncio.Task[LookupResult]") -> LookupResult | PspError:
    """Return a result or what went wrong; anything but our own errors is raised."""
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, PspError):
        return error
    raise error


def _visibility(wanted: Visibility | str | None) -> Visibility | None:
    try:
        return None if wanted is None else Visibility(wanted)
    except ValueError:
        known = ", ".join(Visibility)
        raise ConfigError(f"visibility is one of {known}, not {wanted!r:.40}") from None
