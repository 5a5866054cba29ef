"""A client for tests of the gateway: nobody is asked, the test says what is known.

The contact book is the real one, in a file of the test's.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from psp.client.calls.missed_calls import MissedCall
from psp.client.client_status import ClientStatus
from psp.client.contacts.contact_file import ContactFile
from psp.client.contacts.contacts import ContactBook
from psp.client.errors import UnknownContactError
from psp.client.identities.identity import NO_IDENTITY, ClientIdentity
from psp.client.lookups.lookup_result import LookupResult, PresenceState
from psp.client.watching.presence_event import PresenceEvent, WatchReason
from psp.entropy import Entropy
from psp.errors import ConfigError, PspError
from psp.gateway.ports import Who
from psp.netdoc.contact_card import ContactCard
from psp.units import UnixTime
from psp.wire.network import Network

NETWORK = Network(31337, b"\xab" * 20)
NOW = 1_800_000_000.0


def looked_up(
    state: PresenceState = PresenceState.UNKNOWN,
    points: int = 0,
    answers: int = 0,
    *,
    status: str = "",
    capabilities: Iterable[str] = (),
    issued: int = 0,
    is_confirmed: bool = False,
) -> LookupResult:
    """Return what a look-up learnt; its points are only to be counted."""
    return LookupResult(
        state,
        (cast("Any", None),) * points,
        answers,
        status=status,
        capabilities=frozenset(capabilities),
        issued=UnixTime(issued),
        is_confirmed=is_confirmed,
    )


def presence_event(
    card: ContactCard,
    state: PresenceState,
    *,
    name: str | None = None,
    status: str = "",
    capabilities: Iterable[str] = (),
    reason: WatchReason = WatchReason.FIRST,
) -> PresenceEvent:
    """Return what a watch tells, now."""
    return PresenceEvent(
        card, name, state, status, frozenset(capabilities), NOW, reason
    )


@dataclass(slots=True)
class FakeCall:
    """Somebody rings."""

    contact: str | None = None
    effort: int = 0
    expires: float = NOW + 60
    is_refused: bool = False
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    def refuse(self) -> None:
        """End it."""
        self.is_refused = True
        self.is_over.set()

    async def ended(self) -> None:
        """Wait for its end."""
        await self.is_over.wait()


class FakePresenceClient:
    """Stands for a running client.

    Attributes:
        identity: Of the user.
        contacts: The book.
        known: What look-ups find, by user; others are off line.
        refused: What a look-up of a user raises instead.
        asked: How many users each look-up of many was for.
        gate: Look-ups wait for it.
        watches: Queues of the open watches, by number; None ends one, an error breaks it.
        watched: Set when a watch is opened.
        watch_refusal: Raised when a watch is opened.
        calls: Rings that the client tells.
        missed: Missed calls.
        announced: The last announcement; None for none.
        fault: Raised by `status`, to stand for a fault of ours.
    """

    def __init__(
        self, folder: Path, entropy: Entropy, *, with_identity: bool = True
    ) -> None:
        self.identity = (
            ClientIdentity.generate(entropy, "Me") if with_identity else None
        )
        self.contacts = ContactBook(
            ContactFile(folder / "contacts.json", b"", NETWORK, entropy),
            NETWORK,
            self.identity,
            entropy=entropy,
            unix_time=lambda: NOW,
        )
        self.known: dict[bytes, LookupResult] = {}
        self.refused: dict[bytes, PspError] = {}
        self.asked: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.watches: list[asyncio.Queue[PresenceEvent | Exception | None]] = []
        self.watched = asyncio.Event()
        self.watch_refusal: Exception | None = None
        self.calls: asyncio.Queue[FakeCall] = asyncio.Queue()
        self.missed: list[MissedCall] = []
        self.announced: dict[str, object] | None = None
        self.fault: Exception | None = None

    @property
    def me(self) -> ContactCard:
        """The user's own card."""
        if self.identity is None:
            raise ConfigError(NO_IDENTITY)
        return self.identity.contact_card(NETWORK)

    async def lookup(self, who: Who, /) -> LookupResult:
        """Return what the test says."""
        card = who if isinstance(who, ContactCard) else who.card
        assert card is not None  # noqa: S101
        await self.gate.wait()
        if card.identity in self.refused:
            raise self.refused[card.identity]
        return self.known.get(
            card.identity, looked_up(PresenceState.OFFLINE, answers=5)
        )

    async def lookup_many(
        self, whos: Iterable[Who], *, return_exceptions: Literal[True]
    ) -> Sequence[LookupResult | PspError]:
        """Look each up."""
        found: list[LookupResult | PspError] = []
        whos = list(whos)
        self.asked.append(len(whos))
        assert return_exceptions  # noqa: S101
        for who in whos:
            try:
                found.append(await self.lookup(who))
            except PspError as error:
                found.append(error)
        return found

    @asynccontextmanager
    async def watch(
        self, whos: Iterable[Who]
    ) -> AsyncIterator[AsyncIterator[PresenceEvent]]:
        """Tell what the test puts into the queue."""
        assert list(whos)  # noqa: S101
        if self.watch_refusal is not None:
            raise self.watch_refusal
        queue: asyncio.Queue[PresenceEvent | Exception | None] = asyncio.Queue()
        self.watches.append(queue)
        self.watched.set()
        yield _events(queue)

    async def announce(
        self,
        points: int = 1,  # noqa: ARG002 - as the real one's
        *,
        visibility: str | None = None,
        status: str = "",
        capabilities: Iterable[str] = (),
    ) -> None:
        """Remember it."""
        await self.gate.wait()
        if self.identity is None:
            raise ConfigError(NO_IDENTITY)
        self.announced = {
            "visibility": visibility,
            "status": status,
            "capabilities": sorted(capabilities),
        }

    async def withdraw(self) -> None:
        """Forget it."""
        self.announced = None

    async def incoming(self) -> AsyncIterator[FakeCall]:
        """Yield what the test lets ring."""
        while True:
            yield await self.calls.get()

    def missed_calls(self) -> Sequence[MissedCall]:
        """Return what the test says."""
        return self.missed

    async def resolve(self, name: str) -> ContactCard:
        """Know nobody."""
        raise UnknownContactError(f"nobody has registered {name!r:.80}")

    def status(self) -> ClientStatus:
        """Return what the client is doing."""
        if self.fault is not None:
            raise self.fault
        return ClientStatus(
            source="trusted",
            registry="file 1 of the trusted partners, fresh",
            directory="12 of 12 relays",
            nodes=12,
            presence_points=3 if self.announced else 0,
        )


async def _events(
    queue: asyncio.Queue[PresenceEvent | Exception | None],
) -> AsyncIterator[PresenceEvent]:
    while (event := await queue.get()) is not None:
        if isinstance(event, Exception):
            raise event
        yield event
