"""Everything a running client is made of: put together, started and ended as one."""

import asyncio
from collections.abc import Collection, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from psp.client.announcing.announcer import Announcer
from psp.client.announcing.announcing import OwnPresence
from psp.client.calls.calls import Calls
from psp.client.calls.mailboxes import Mailboxes
from psp.client.calls.missed_calls import MissedCalls
from psp.client.circuits import CircuitBuilder
from psp.client.config import ClientConfig
from psp.client.contacts.contact_file import ContactFile
from psp.client.contacts.contacts import ContactBook
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.client.identities.identity import Identity
from psp.client.lookups.lookup import Lookup
from psp.client.lookups.many import LookupQueue
from psp.client.lookups.spare_circuits import SpareCircuits
from psp.client.lookups.unhurried import unhurried_queue
from psp.client.network import ClientNetwork
from psp.client.ready_circuits import TO_BE_CALLED, TO_CALL, Kind, ReadyCircuits
from psp.client.sealed_file import SealedFile
from psp.client.snapshot_following import follow_snapshots, make_snapshots
from psp.client.state import ClientState
from psp.client.watching.watcher import Watcher
from psp.client.whom import Finder
from psp.crypto.kdf import Label
from psp.endpoint.machine import ClientMachine
from psp.endpoint.session import SessionConfig
from psp.errors import PspError
from psp.link.config import LinkConfig
from psp.link.machine import LinkMachine
from psp.path.constraints import Constraints
from psp.path.selection import PathSelector
from psp.runtime.driver import TrainSocket
from psp.runtime.membership import Membership
from psp.units import Seconds

_SAVE_EVERY = Seconds(60.0)
_COLLECT_AGAIN = Seconds(60.0)
"""Until mailboxes that did not answer are asked once more."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a client is put together from.

    Attributes:
        config: Settings.
        membership: Where the registry comes from.
        context: Registry, clock, random bytes and log.
        udp: The socket.
        identity: Who this is; None for nobody.
        state: What it kept from the last run.
    """

    config: ClientConfig
    membership: Membership
    context: ClientContext
    udp: TrainSocket
    identity: Identity | None
    state: ClientState


class ClientParts:
    """The parts of one client; each has its own module.

    Attributes:
        outfit: What they were made from.
        is_closed: Whether the client has ended, or is about to.
    """

    def __init__(self, outfit: Outfit) -> None:
        """Put everything together; `start` begins it.

        Raises:
            ConfigError: If the contact book is damaged, or another identity's.
        """
        self.outfit = outfit
        self.is_closed = False
        config, context = outfit.config, outfit.context
        # First: it may be refused, and nothing runs yet.
        self.contacts = self._open_contacts()
        self.missed = self._open_missed_calls()
        self.finder = Finder(self.contacts, context.registry)
        self.network = ClientNetwork(
            ClientMachine(self._links(), context.entropy), outfit.udp
        )
        selector = PathSelector(
            Constraints(subnet_rule=config.path.subnet_rule),
            outfit.state.guards,
            outfit.state.layer2,
        )
        self.circuits = CircuitBuilder(
            context,
            self.network,
            selector,
            call_bandwidth=config.call.bandwidth,
        )
        self.directory = Directory(
            context,
            self.circuits,
            selector,
            config.state_dir / "directory",
            config.directory,
        )
        self.directory.update_paths()
        self.snapshots = make_snapshots(
            context, self.circuits, self.directory, outfit.membership, config
        )
        self.spares = SpareCircuits(
            context, self.circuits, self.directory, config.spares
        )
        self.ready = ReadyCircuits(
            self.circuits, self._ready_kinds, self.spares.take_turn
        )
        self.circuits.ready = self.ready
        self.lookup = Lookup(context, self.spares, self.directory)
        self.lookup.highest.update(outfit.state.highest)
        self.queue = LookupQueue(self.lookup)
        unhurried = unhurried_queue(
            context, self.circuits, self.directory, self.spares, self.lookup
        )
        self.watcher = Watcher(
            context, self.circuits, unhurried.find, take_turn=self.spares.take_turn
        )
        self.calls = Calls(
            context,
            self.network,
            self.circuits,
            outfit.identity,
            contact_of=self.contacts.ticket_holder,
            missed=self.missed,
            session=SessionConfig(duplicate_audio=config.call.duplicate_audio),
        )
        self.mailboxes: Mailboxes | None = None
        if outfit.identity is not None:
            self.mailboxes = Mailboxes(
                context, self.circuits, outfit.identity, self.missed
            )
        self.presence = OwnPresence(
            outfit.identity, self._make_announcer, config.presence.slots
        )
        self.contacts.on_new_secret = self.presence.use_secret
        self.contacts.on_card = self.watcher.renew
        self.contacts.on_revoked = self.watcher.remove
        self._tasks: list[asyncio.Task[Any]] = []
        self._collect_now = asyncio.Event()

    def start(self) -> None:
        """Begin what runs in the background."""
        membership = self.outfit.membership
        self.spares.start()
        self.ready.start()
        self._run(self._save_now_and_then())
        self._run(self.directory.run())
        if self.mailboxes is not None:
            self._run(self._collect(self.mailboxes))
        self._run(membership.follow(self.directory.update_paths))
        if self.snapshots is not None:
            self._run(follow_snapshots(self.snapshots, membership))

    def collect_missed_calls(self) -> None:
        """Empty our mailboxes in the background, those that were left just now too."""
        if self.mailboxes is not None:
            self.mailboxes.is_away = False
        self._collect_now.set()

    async def close(self) -> None:
        """Leave the network and save the state, whatever goes wrong on the way."""
        self.is_closed = True
        async with AsyncExitStack() as last_first:
            last_first.push_async_callback(self.outfit.membership.close)
            last_first.callback(self._save)
            last_first.callback(self.network.close)
            last_first.push_async_callback(self._end_tasks)
            last_first.push_async_callback(self.ready.close)
            last_first.push_async_callback(self.spares.close)
            last_first.push_async_callback(self.calls.close)
            last_first.push_async_callback(self.presence.withdraw)
            last_first.push_async_callback(self.watcher.close)

    def _ready_kinds(self) -> Collection[Kind]:
        to_call = () if self.spares.is_idle else TO_CALL
        is_announced = self.presence.announcer is not None
        return (*to_call, *(TO_BE_CALLED if is_announced else ()))

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _collect(self, mailboxes: Mailboxes) -> None:
        """Empty our mailboxes when asked to, and again while some are left."""
        while True:
            again = _COLLECT_AGAIN if self._has_mailboxes() else None
            with suppress(TimeoutError):
                async with asyncio.timeout(again):
                    await self._collect_now.wait()
            self._collect_now.clear()
            if self._has_mailboxes():
                with self._surviving("mailboxes_not_kept"):
                    await mailboxes.collect()

    def _has_mailboxes(self) -> bool:
        """Tell whether the user is back, and some mailboxes are not empty yet.

        While the user is away they stay: emptying one ends it.
        """
        is_back = self.presence.announcer is not None
        return is_back and bool(self.missed.absences(self.outfit.context.unix_time()))

    def _run(self, work: Coroutine[Any, Any, object]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _links(self) -> LinkMachine:
        context = self.outfit.context
        return LinkMachine(
            LinkConfig(),
            network=context.registry.network,
            entropy=context.entropy,
            identity=None,
            own_port=0,
            peer_of_static=lambda _: None,
            unix_time=context.unix_time,
        )

    def _open_contacts(self) -> ContactBook:
        outfit = self.outfit
        context, identity = outfit.context, outfit.identity
        folder, network = outfit.config.state_dir, context.registry.network
        return ContactBook(
            ContactFile.in_folder(folder, identity, network, context.entropy),
            network,
            identity,
            entropy=context.entropy,
            unix_time=context.unix_time,
        )

    def _open_missed_calls(self) -> MissedCalls:
        outfit = self.outfit
        if outfit.identity is None:
            return MissedCalls()
        return MissedCalls(
            SealedFile(
                outfit.config.state_dir / "missed.json",
                outfit.identity.sealing_key(Label.CLIENT_STATE),
                outfit.context.entropy,
                form="psp-missed-calls",
                version=1,
            )
        )

    def _make_announcer(self) -> Announcer:
        outfit = self.outfit
        assert outfit.identity is not None  # noqa: S101 - the client has checked
        announcer = Announcer(
            outfit.context,
            outfit.identity,
            self.circuits,
            self.calls.take_introduction,
            outfit.config.presence,
        )
        # Whoever is refused everywhere asks the discovery nodes what time it is.
        card = outfit.identity.contact_card(outfit.context.registry.network)
        announcer.check_clock = lambda: self.lookup.find(card)
        if self.mailboxes is not None:
            announcer.on_absence = self.mailboxes.left
        return announcer

    def _save(self) -> None:
        self.outfit.state.save(
            self.lookup.highest, self.outfit.context.registry.sequence
        )

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            with self._surviving("state_not_kept"):
                self._save()

    @contextmanager
    def _surviving(self, event: str) -> Iterator[None]:
        """Go on when a disk refuses: it may have room again later."""
        try:
            yield
        except PspError as error:
            self.outfit.context.log.warning(event, error=str(error))
