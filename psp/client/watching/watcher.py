"""Watching contacts without polling: does what `psp.client.watching.contact_watch` says is due.

::

    PresenceWatch ... PresenceWatch      one for each `watch()` of the app
          '----- Watcher -----'
            |             |
      one task per    WatchPoints: the circuits over which we are told
        contact

A contact that several watches are about is watched once. Look-ups go through the client's
own pace; circuits for handles are paced here, so that many contacts never bring
more than the guard takes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.errors import ClockError, UserRevokedError, WrongNetworkError
from psp.client.lookups.lookup import LookupResult, PresenceState
from psp.client.watching.contact_watch import ContactWatch, Leave, Look
from psp.client.watching.presence_event import PresenceEvent, View, WatchReason
from psp.client.watching.presence_watch import PresenceWatch
from psp.client.watching.watch_config import WatcherConfig
from psp.client.watching.watch_point import WatchPoint, WatchPoints
from psp.errors import DecodeError, PspError
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.watch_handle import open_change
from psp.path.selection import Purpose
from psp.units import Monotonic, Seconds
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import KEY_SIZE, Watched, WatchRequest

__all__ = [
    "PresenceEvent",
    "PresenceWatch",
    "WatchLimitError",
    "WatchReason",
    "Watcher",
    "WatcherConfig",
    "WatcherStatus",
]

LookUp = Callable[[ContactCard], Awaitable[LookupResult]]


class WatchLimitError(PspError):
    """More contacts than one client may watch."""


@dataclass(frozen=True, slots=True)
class WatcherStatus:
    """What a watcher is doing.

    Attributes:
        contacts: Watched now.
        handles: Lying at presence points.
        watch_points: Circuits over which we are told.
    """

    contacts: int
    handles: int
    watch_points: int


@dataclass(slots=True, eq=False)
class _Contact:
    """One contact and who wants to know.

    Attributes:
        cookies: By tag, the watch point and cookie of the handle that lies there.
        shown: What was told last.
        event: The same as an event, for watches that come later.
    """

    card: ContactCard
    watch: ContactWatch
    watches: set[PresenceWatch] = field(default_factory=set)
    cookies: dict[bytes, tuple[WatchPoint, bytes]] = field(default_factory=dict)
    shown: View | None = None
    event: PresenceEvent | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Watcher:
    """Everything one client watches."""

    def __init__(
        self,
        context: ClientContext,
        circuits: CircuitBuilder,
        lookup: LookUp,
        config: WatcherConfig | None = None,
        *,
        take_turn: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Nothing happens before the first `watch` is entered.

        Args:
            context: What the client shares.
            circuits: For handles and watch points.
            lookup: Looks a contact up, at a pace that the guard bears.
            config: Timing and limits.
            take_turn: Waits until the client may begin another circuit of this kind;
                None if nothing else of it begins any.
        """
        self._context = context
        self._circuits = circuits
        self._lookup = lookup
        self._config = config or WatcherConfig()
        self._contacts: dict[UserId, _Contact] = {}
        self._points = WatchPoints(context, circuits, self._config, self._on_lost)
        self._turns = _Turns(self._config)
        self._take_turn = take_turn
        self._ending: set[asyncio.Task[None]] = set()

    def watch(
        self, cards: Collection[ContactCard], names: Mapping[UserId, str] | None = None
    ) -> PresenceWatch:
        """Return a watch of contacts; it begins with ``async with``.

        Args:
            cards: Whom to watch.
            names: What events call them.
        """
        return PresenceWatch(self, cards, names or {})

    def remove(self, identity: UserId) -> None:
        """End every watch of a contact that was removed from the book."""
        self._end(identity, WatchReason.REMOVED)

    def renew(self, card: ContactCard) -> None:
        """Look for a contact under a newer card from now on."""
        contact = self._contacts.get(card.identity)
        if contact is not None and contact.card != card:
            contact.card = card
            contact.watch.look_again(_now())
            contact.wake.set()

    def status(self) -> WatcherStatus:
        """Return what the watcher is doing."""
        handles = sum(contact.watch.handles for contact in self._contacts.values())
        return WatcherStatus(len(self._contacts), handles, len(self._points))

    async def close(self) -> None:
        """Stop everything; watches that are open end."""
        contacts = list(self._contacts.values())
        for watch in {watch for contact in contacts for watch in contact.watches}:
            watch.end()
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._points.close()

    # ---- for watches

    def attach(self, watch: PresenceWatch, card: ContactCard) -> None:
        """Begin to tell a watch about a contact.

        Raises:
            WatchLimitError: If too many are watched.
            WrongNetworkError: If the card is of another network.
        """
        if card.network != self._context.registry.network:
            raise WrongNetworkError("the contact card is of another network")
        contact = self._contacts.get(card.identity)
        if contact is None:
            contact = self._begin(card)
        contact.card = card  # a newer card may have a newer secret
        contact.watches.add(watch)
        if contact.event is not None:
            watch.tell(contact.event)

    def detach(self, watch: PresenceWatch, identity: UserId) -> None:
        """Tell it no more; a contact that nobody watches is forgotten."""
        contact = self._contacts.get(identity)
        if contact is None:
            return
        contact.watches.discard(watch)
        if not contact.watches:
            self._drop(contact)

    def _begin(self, card: ContactCard) -> _Contact:
        if len(self._contacts) >= self._config.max_contacts:
            most = self._config.max_contacts
            raise WatchLimitError(f"{most} contacts are watched, no more fit")
        watch = ContactWatch(self._config, self._context.entropy, _now())
        contact = self._contacts[card.identity] = _Contact(card, watch)
        contact.task = asyncio.create_task(self._run(contact), name="watch")
        return contact

    def _drop(self, contact: _Contact) -> None:
        if self._contacts.pop(contact.card.identity, None) is None:
            return
        for point, cookie in contact.cookies.values():
            point.forget(cookie)
        task = contact.task
        if task is not None and not task.done():
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        if not self._contacts:
            closing = asyncio.create_task(self._close_idle())
            self._ending.add(closing)
            closing.add_done_callback(self._ending.discard)

    async def _close_idle(self) -> None:
        if not self._contacts:
            await self._points.close()

    def _end(self, identity: UserId, reason: WatchReason) -> None:
        contact = self._contacts.get(identity)
        if contact is None:
            return
        self._drop(contact)
        event = self._event(contact, View(PresenceState.UNKNOWN, reason=reason))
        for watch in list(contact.watches):
            watch.tell(event)

    # ---- one contact

    async def _run(self, contact: _Contact) -> None:
        while True:
            contact.wake.clear()
            action = contact.watch.next_action(_now())
            match action:
                case Look():
                    await self._look(contact)
                case Leave():
                    await self._leave(contact, action)
                case None:
                    due = contact.watch.next_timeout()
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(due):
                            await contact.wake.wait()
            self._show(contact)

    async def _look(self, contact: _Contact) -> None:
        result: LookupResult | None = None
        is_clock_off = False
        try:
            result = await self._lookup(contact.card)
        except UserRevokedError:
            self._end(contact.card.identity, WatchReason.REVOKED)
            return
        except ClockError:
            is_clock_off = True
        except PspError as error:
            self._context.log.info("watch_lookup_failed", error=str(error))
        was_cut_off = contact.watch.is_cut_off
        contact.watch.looked(result, _now(), is_clock_off=is_clock_off)
        if was_cut_off and not contact.watch.is_cut_off:
            self._wake_cut_off()
        for tag in contact.cookies.keys() - contact.watch.tags:
            self._forget(contact, tag)

    def _wake_cut_off(self) -> None:
        """Our network works again, as one look-up shows: have the others made soon."""
        for contact in self._contacts.values():
            if contact.watch.is_cut_off:
                contact.watch.look_again(_now())
                contact.wake.set()

    async def _leave(self, contact: _Contact, leave: Leave) -> None:
        """Leave a handle; the point's answer, or None, goes to the contact's watch."""
        self._forget(contact, leave.tag)
        await asyncio.sleep(self._turns.next(_now()))
        if self._take_turn is not None:
            await self._take_turn()
        watched: Watched | None = None
        try:
            watched = await self._leave_over_circuit(contact, leave)
        except PspError as error:
            self._context.log.info("watch_failed", error=str(error))
        if watched is not None and not watched.is_left:
            self._forget(contact, leave.tag)
        contact.watch.left(leave.tag, watched, _now())

    async def _leave_over_circuit(self, contact: _Contact, leave: Leave) -> Watched:
        point, cookie = await self._points.hold(2 * (len(self._contacts) + 1))
        key = self._context.entropy.token(KEY_SIZE)
        request = WatchRequest(
            leave.tag, self._config.lifetime, point.node_id, cookie, key
        )

        def on_change(sealed: bytes) -> bool:
            return self._on_change(contact, leave.tag, cookie, key, sealed)

        # The change may overtake the answer.
        contact.cookies[leave.tag] = point, cookie
        point.listen(cookie, on_change)
        circuit = await self._circuits.open(Purpose.WATCH, last=leave.node_id)
        try:
            answer = await circuit.request(RelayCommand.WATCH, request.encode())
            return Watched.decode(answer)
        finally:
            circuit.close()

    def _forget(self, contact: _Contact, tag: bytes) -> None:
        held = contact.cookies.pop(tag, None)
        if held is not None:
            point, cookie = held
            point.forget(cookie)

    def _on_change(
        self, contact: _Contact, tag: bytes, cookie: bytes, key: bytes, sealed: bytes
    ) -> bool:
        """Take in what came for a handle; return whether it opened."""
        contact.cookies.pop(tag, None)
        change, sequence = None, 0
        with suppress(DecodeError):
            change, sequence = open_change(key, cookie, sealed)
        contact.watch.changed(tag, change, sequence, _now())
        self._show(contact)
        contact.wake.set()
        return change is not None

    def _on_lost(self, point: WatchPoint) -> None:
        """Have the handles that led to a lost watch point left anew."""
        for contact in self._contacts.values():
            tags = [tag for tag, held in contact.cookies.items() if held[0] is point]
            for tag in tags:
                del contact.cookies[tag]
            if tags:
                contact.watch.handles_lost(tags)
                contact.wake.set()

    # ---- what watches are told

    def _show(self, contact: _Contact) -> None:
        view = contact.watch.view
        if view is None or view == contact.shown:
            return
        contact.shown = view
        contact.event = self._event(contact, view)
        for watch in list(contact.watches):
            watch.tell(contact.event)

    def _event(self, contact: _Contact, view: View) -> PresenceEvent:
        at = self._context.unix_time()
        told = (view.state, view.status, view.capabilities)
        return PresenceEvent(contact.card, None, *told, at, view.reason)


class _Turns:
    """A burst at once, then one turn after the other."""

    def __init__(self, config: WatcherConfig) -> None:
        self._gap = 1 / config.leaves_per_second
        self._credit = (config.leave_burst - 1) * self._gap
        self._next = float("-inf")

    def next(self, now: Monotonic) -> Seconds:
        """Take the next turn; return the seconds until then."""
        turn = max(self._next, now - self._credit)
        self._next = turn + self._gap
        return Seconds(max(0.0, turn - now))


def _now() -> Monotonic:
    return Monotonic(asyncio.get_running_loop().time())
