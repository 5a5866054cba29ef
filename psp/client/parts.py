"""Everything a running client is made of: put together, started and ended as one."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from psp.client.announcer import Announcer
from psp.client.announcing import OwnPresence
from psp.client.calls import Calls
from psp.client.circuits import CircuitBuilder
from psp.client.config import ClientConfig
from psp.client.contacts import (
    BOOK_FORM,
    BOOK_VERSION,
    MAX_BOOK_BYTES,
    ContactBook,
)
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.client.identity import Identity
from psp.client.lookup import Lookup
from psp.client.network import ClientNetwork
from psp.client.sealed_file import SealedFile
from psp.client.snapshot_following import follow_snapshots, make_snapshots
from psp.client.spare_circuits import SpareCircuits
from psp.client.state import ClientState
from psp.client.whom import Finder
from psp.crypto.kdf import Label
from psp.endpoint.machine import ClientMachine
from psp.link.config import LinkConfig
from psp.link.machine import LinkMachine
from psp.path.constraints import Constraints
from psp.path.selection import PathSelector
from psp.runtime.driver import TrainSocket
from psp.runtime.membership import Membership
from psp.units import Seconds

_SAVE_EVERY = Seconds(60.0)


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
    """

    def __init__(self, outfit: Outfit) -> None:
        """Put everything together; `start` begins it.

        Raises:
            ConfigError: If the contact book is damaged, or another identity's.
        """
        self.outfit = outfit
        config, context = outfit.config, outfit.context
        # First: it may be refused, and nothing runs yet.
        self.contacts = self._open_contacts()
        self.finder = Finder(self.contacts, context.registry)
        self.network = ClientNetwork(
            ClientMachine(self._links(), context.entropy), outfit.udp
        )
        selector = PathSelector(
            Constraints(subnet_rule=config.path.subnet_rule),
            outfit.state.guards,
            outfit.state.layer2,
        )
        self.circuits = CircuitBuilder(context, self.network, selector)
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
        self.spares = SpareCircuits(context, self.circuits, self.directory)
        self.lookup = Lookup(context, self.spares, self.directory)
        self.lookup.highest.update(outfit.state.highest)
        self.calls = Calls(context, self.network, self.circuits, outfit.identity)
        self.presence = OwnPresence(
            outfit.identity, self._make_announcer, config.presence.slots
        )
        self.contacts.on_new_secret = self.presence.use_secret
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self) -> None:
        """Begin what runs in the background."""
        membership = self.outfit.membership
        self._run(self._save_now_and_then())
        self._run(self.directory.run())
        self.spares.start()
        self._run(membership.follow(self.directory.update_paths))
        if self.snapshots is not None:
            self._run(follow_snapshots(self.snapshots, membership))

    async def close(self) -> None:
        """Leave the network and save the state."""
        await self.presence.withdraw()
        await self.calls.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.spares.close()
        self.network.close()
        self._save()
        await self.outfit.membership.close()

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
        key = b"" if identity is None else identity.sealing_key(Label.CONTACT_BOOK)
        file = SealedFile(
            outfit.config.state_dir / "contacts.json",
            key,
            context.entropy,
            BOOK_FORM,
            BOOK_VERSION,
            max_bytes=MAX_BOOK_BYTES,
        )
        return ContactBook(
            file,
            context.registry.network,
            identity,
            entropy=context.entropy,
            unix_time=context.unix_time,
        )

    def _make_announcer(self) -> Announcer:
        outfit = self.outfit
        assert outfit.identity is not None  # noqa: S101 - the client has checked
        return Announcer(
            outfit.context,
            outfit.identity,
            self.circuits,
            self.calls.take_introduction,
            outfit.config.presence,
        )

    def _save(self) -> None:
        self.outfit.state.save(
            self.lookup.highest, self.outfit.context.registry.sequence
        )

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            self._save()
