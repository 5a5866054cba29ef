"""One watch of an app: the newest news of each contact, until the app has time for it."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from psp.client.errors import ContactRevokedError, UserRevokedError
from psp.client.watching.presence_event import PresenceEvent, WatchReason
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard


class WatchOwner(Protocol):
    """What a watch needs of the `Watcher` it belongs to."""

    def attach(self, watch: "PresenceWatch", card: ContactCard) -> None:
        """Begin to tell a watch about a contact."""

    def detach(self, watch: "PresenceWatch", identity: UserId) -> None:
        """Tell it no more; any identity is fine."""


class PresenceWatch:
    """Tells how contacts are, first as they are now, then at every change.

    ::

        async with client.watch(["alice"]) as watch:
            async for event in watch:
                print(event.name, event.state, event.status)

    Of each contact at most one event waits, the newest: an app that is slow misses what was
    meanwhile, never how it is now. A contact that is removed from the book, or whose
    identity is revoked, gets a last event that says so; when no contact is left for
    that reason, the iteration raises.
    """

    def __init__(
        self,
        owner: WatchOwner,
        cards: Collection[ContactCard],
        names: Mapping[UserId, str],
    ) -> None:
        self._owner = owner
        self._cards = {card.identity: card for card in cards}
        self._names = dict(names)
        self._waiting: dict[UserId, PresenceEvent] = {}
        self._told: dict[UserId, PresenceEvent] = {}
        self._news = asyncio.Event()
        self._is_open = False
        self._was_open = False
        self._last_reason: WatchReason | None = None

    @property
    def contacts(self) -> frozenset[UserId]:
        """Whom this watch is about, now."""
        return frozenset(self._cards)

    def add(self, card: ContactCard, name: str | None = None) -> None:
        """Watch a further contact, or one under a newer card.

        Raises:
            WatchLimitError: If too many are watched.
            WrongNetworkError: If the card is of another network.
        """
        if self._is_open:
            self._owner.attach(self, card)
        self._cards[card.identity] = card
        if name is not None:
            self._names[card.identity] = name

    def discard(self, identity: UserId) -> None:
        """Watch a contact no longer; nothing more is told of it."""
        self._owner.detach(self, identity)
        self._forget(identity)
        self._waiting.pop(identity, None)

    async def __aenter__(self) -> Self:
        """Begin to watch.

        Raises:
            WatchLimitError: If too many contacts are watched.
            WrongNetworkError: If a card is of another network.
        """
        self._is_open = self._was_open = True
        try:
            for card in list(self._cards.values()):
                self._owner.attach(self, card)
        except BaseException:
            self.end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; whoever waits for an event learns that there is none."""
        self.end()

    def __aiter__(self) -> Self:
        """Return itself: iterators of one watch share its events."""
        return self

    async def __anext__(self) -> PresenceEvent:
        """Return the next event; nothing is lost if the wait is cancelled.

        Raises:
            StopAsyncIteration: If the watch has ended.
            RuntimeError: If it has not begun.
            ContactRevokedError: If the last contact was removed.
            UserRevokedError: If the identity of the last contact was revoked.
        """
        while not self._waiting:
            if not self._was_open:
                raise RuntimeError("a watch begins with: async with client.watch(…)")
            if not self._is_open:
                raise StopAsyncIteration
            if not self._cards and self._last_reason is WatchReason.REVOKED:
                raise UserRevokedError("the identity that was watched is revoked")
            if not self._cards and self._last_reason is not None:
                raise ContactRevokedError("the contact that was watched was removed")
            self._news.clear()
            await self._news.wait()
        identity = next(iter(self._waiting))
        event = self._waiting.pop(identity)
        if identity in self._cards:
            self._told[identity] = event
        return event

    def tell(self, event: PresenceEvent) -> None:
        """Take in news of a contact; called by the watcher only."""
        identity = event.card.identity
        if identity not in self._cards:
            return
        told = self._told.get(identity)
        if told is not None and event.is_like(told):
            self._waiting.pop(identity, None)  # as the app knows it, again
            return
        is_first = told is None and event.reason is WatchReason.LOOKED_UP
        reason = WatchReason.FIRST if is_first else event.reason
        event = replace(event, name=self._names.get(identity), reason=reason)
        self._waiting[identity] = event
        if event.reason.is_last:
            self._last_reason = event.reason
            self._forget(identity)
        self._news.set()

    def end(self) -> None:
        """Watch nobody any longer; whoever waits for an event learns it."""
        self._is_open = False
        for identity in list(self._cards):
            self._owner.detach(self, identity)
        self._waiting.clear()
        self._news.set()

    def _forget(self, identity: UserId) -> None:
        self._cards.pop(identity, None)
        self._told.pop(identity, None)
