"""What the gateway needs of a client; `psp.client.client.Client` fits."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from psp.client.calls.missed_calls import MissedCall
from psp.client.client_status import ClientStatus
from psp.client.contacts.contact import Contact
from psp.client.contacts.contacts import ContactBook
from psp.client.lookups.lookup_result import LookupResult
from psp.client.watching.presence_event import PresenceEvent
from psp.errors import PspError
from psp.netdoc.contact_card import ContactCard

Who = Contact | ContactCard
"""Somebody to look for; names and ids are resolved before."""


class IncomingCall(Protocol):
    """Somebody rings; see `psp.client.calls.ringing.IncomingCall`."""

    @property
    def contact(self) -> str | None:
        """The contact's name; None for a stranger."""

    @property
    def effort(self) -> int:
        """Bits of work that were proven."""
        ...

    @property
    def expires(self) -> float:
        """Unix seconds at which it stops ringing."""
        ...

    def refuse(self) -> None:
        """End it; nothing is built."""

    async def ended(self) -> object:
        """Wait until it rings no longer."""


class PresenceClient(Protocol):
    """A running client, as far as the gateway uses it."""

    @property
    def identity(self) -> object | None:
        """Who this is; None for nobody."""

    @property
    def contacts(self) -> ContactBook:
        """The contact book."""
        ...

    @property
    def me(self) -> ContactCard:
        """The user's own card."""
        ...

    async def lookup(self, who: Who, /) -> LookupResult:
        """Look somebody up."""
        ...

    async def lookup_many(
        self, whos: Iterable[Who], *, return_exceptions: Literal[True]
    ) -> Sequence[LookupResult | PspError]:
        """Look many up, each with a result or an error."""
        ...

    def watch(
        self, whos: Iterable[Who]
    ) -> AbstractAsyncContextManager[AsyncIterator[PresenceEvent]]:
        """Tell what happens to somebody."""
        ...

    async def announce(
        self,
        points: int = 1,
        *,
        visibility: str | None = None,
        status: str = "",
        capabilities: Iterable[str] = (),
    ) -> None:
        """Be reachable."""

    async def withdraw(self) -> None:
        """Be reachable no more."""

    def incoming(self) -> AsyncIterator[IncomingCall]:
        """Yield what rings."""
        ...

    def missed_calls(self) -> Sequence[MissedCall]:
        """Return the missed calls, the newest last."""
        ...

    async def resolve(self, name: str) -> ContactCard:
        """Return the card of whoever has registered a name."""
        ...

    def status(self) -> ClientStatus:
        """Return what the client is doing."""
        ...
