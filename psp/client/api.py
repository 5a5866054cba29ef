"""What an app uses: `connect`, then look up, announce, call, accept.

::

    async with psp.connect(config, identity=identity) as client:
        await client.announce()
        session = await client.call(card)
        connection = session.peer_connection()
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from psp.client.announcer import Announcer
from psp.client.calls import Calls, EstablishedCall
from psp.client.circuits import CircuitBuilder
from psp.client.config import ClientConfig
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.client.identity import ClientIdentity
from psp.client.lookup import Lookup, LookupResult
from psp.client.network import ClientNetwork
from psp.client.session import ClientSession
from psp.client.snapshot_following import (
    follow_snapshots,
    is_cut_off,
    make_snapshots,
)
from psp.client.state import ClientState
from psp.directory.chain.alarms import AlarmConfig
from psp.directory.chain.looks import CLIENT_DAY_BYTES
from psp.endpoint.machine import ClientMachine
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.link.config import LinkConfig
from psp.link.machine import LinkMachine
from psp.netdoc.contact_card import ContactCard
from psp.path.constraints import Constraints
from psp.path.selection import PathSelector
from psp.runtime.chain_membership import Reader, open_membership
from psp.runtime.driver import TrainSocket
from psp.runtime.entropy import SystemEntropy
from psp.runtime.logs import logger
from psp.runtime.membership import Membership
from psp.runtime.udp import UdpSocket
from psp.units import Seconds

_SAVE_EVERY = Seconds(60.0)


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """What a client is doing, without secrets.

    Attributes:
        source: Where the registry comes from.
        registry: How it stands, in words.
        directory: How the descriptors came, in words.
        nodes: Relays in the registry.
        presence_points: In use by this client's announcer.
    """

    source: str
    registry: str
    directory: str
    nodes: int
    presence_points: int


class Client:
    """A running client; made by `connect`."""

    def __init__(
        self,
        config: ClientConfig,
        membership: Membership,
        context: ClientContext,
        udp: TrainSocket,
        *,
        identity: ClientIdentity | None,
        state: ClientState,
    ) -> None:
        self.identity = identity
        self._config = config
        self._membership = membership
        self._registry = registry = membership.registry
        self._context = context
        self._state = state
        links = LinkMachine(
            LinkConfig(),
            network=registry.network,
            entropy=context.entropy,
            identity=None,
            own_port=0,
            peer_of_static=lambda _: None,
            unix_time=context.unix_time,
        )
        self._network = ClientNetwork(ClientMachine(links, context.entropy), udp)
        self._selector = PathSelector(
            Constraints(subnet_rule=config.path.subnet_rule),
            self._state.guards,
            self._state.layer2,
        )
        self.circuits = CircuitBuilder(context, self._network, self._selector)
        self.directory = Directory(
            context,
            self.circuits,
            self._selector,
            config.state_dir / "directory",
            config.directory,
        )
        self.directory.update_paths()
        self.snapshots = make_snapshots(
            context, self.circuits, self.directory, membership, config
        )
        self._lookup = Lookup(context, self.circuits, self.directory)
        self._lookup.highest.update(self._state.highest)
        self._calls = Calls(context, self._network, self.circuits, identity)
        self.announcer: Announcer | None = None
        self._tasks = [
            asyncio.create_task(self._save_now_and_then()),
            asyncio.create_task(self.directory.run()),
            asyncio.create_task(membership.follow(self.directory.update_paths)),
        ]
        if self.snapshots is not None:
            follow = follow_snapshots(self.snapshots, membership)
            self._tasks.append(asyncio.create_task(follow))

    @property
    def membership(self) -> Membership:
        """Where this client's registry comes from."""
        return self._membership

    @property
    def contact_card(self) -> ContactCard:
        """What this user gives to contacts.

        Raises:
            ConfigError: If the client has no identity.
        """
        return self._own_identity().contact_card(self._registry.network)

    async def announce(self, points: int = 1) -> None:
        """Be reachable until the client closes; return once ``points`` are announced.

        Raises:
            ConfigError: If the client has no identity or it is not registered.
        """
        identity = self._own_identity()
        is_known = self._registry.has_user(identity.user_id)
        if self._membership.knows_users and not is_known:
            raise ConfigError(
                "this identity is not registered; register it on the chain (psp user "
                "register), or have a trusted partner add it"
            )
        if self.announcer is None:
            self.announcer = Announcer(
                self._context,
                identity,
                self.circuits,
                self._calls.take_introduction,
                self._config.presence,
            )
            self.announcer.start()
        await self.announcer.wait_until_announced(points)

    async def lookup(self, card: ContactCard) -> LookupResult:
        """Look a user up over one-off circuits; see `psp.client.lookup`."""
        return await self._lookup.find(card)

    async def call(
        self,
        card: ContactCard,
        *,
        found: LookupResult | None = None,
        anonymous: bool = False,
    ) -> ClientSession:
        """Call a user and return the session.

        Args:
            card: Whom.
            found: A look-up made a moment ago; None makes one.
            anonymous: Do not tell the callee who calls.

        Raises:
            CallError: If the user is not reachable; the text says why.
        """
        established = await self.establish(card, found=found, anonymous=anonymous)
        return established.session

    async def establish(
        self,
        card: ContactCard,
        *,
        found: LookupResult | None = None,
        anonymous: bool = False,
    ) -> EstablishedCall:
        """Do what `call` does; return the keeper of the session's legs with it."""
        result = found if found is not None else await self.lookup(card)
        return await self._calls.place(card, result, anonymous=anonymous)

    async def accept(self) -> ClientSession:
        """Wait for the next caller."""
        return (await self.accept_call()).session

    async def accept_call(self) -> EstablishedCall:
        """Do what `accept` does; return the keeper of the session's legs with it."""
        return await self._calls.incoming.get()

    def on_call_step(self, listener: Callable[[str], None]) -> None:
        """Tell ``listener``, in words, how far a call of ours has come."""
        self._calls.on_step = listener

    def status(self) -> ClientStatus:
        """Return what the client is doing."""
        points = len(self.announcer.registrations) if self.announcer else 0
        return ClientStatus(
            source=self._registry.source.value,
            registry=self._registry_words(),
            directory=self.directory.explanation,
            nodes=len(self._registry.nodes()),
            presence_points=points,
        )

    async def close(self) -> None:
        """Leave the network and save the state."""
        if self.announcer is not None:
            await self.announcer.stop()
        await self._calls.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._network.close()
        self._save()
        await self._membership.close()

    def _registry_words(self) -> str:
        words = self._membership.explanation
        if self.snapshots is not None and is_cut_off(self._membership):
            words += f"; {self.snapshots.explanation}"
        return words

    def _own_identity(self) -> ClientIdentity:
        if self.identity is None:
            raise ConfigError("this client has no identity; give one to connect()")
        return self.identity

    def _save(self) -> None:
        self._state.save(self._lookup.highest, self._registry.sequence)

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            self._save()


@asynccontextmanager
async def connect(
    config: ClientConfig,
    *,
    identity: ClientIdentity | None = None,
    udp: TrainSocket | None = None,
    entropy: Entropy | None = None,
    unix_time: Callable[[], float] = time.time,
    log: FilteringBoundLogger | None = None,
) -> AsyncIterator[Client]:
    """Run a client for as long as the block lasts.

    Args:
        config: Settings.
        identity: Who this is; None can look up and call anonymously.
        udp: A socket to use instead of one of its own; the caller closes it.
        entropy: Random bytes; None for the system's.
        unix_time: The wall clock.
        log: Where to log; None for the "client" logger.

    Raises:
        ConfigError: If a setting is wrong or a file is missing or damaged.
    """
    entropy = entropy or SystemEntropy()
    state = ClientState(config.state_dir / "client.json", identity, entropy)
    log = log or logger("client")
    reader = Reader(
        config.state_dir,
        state.cache_key(config.state_dir / "cache.key"),
        reads_users=identity is not None,
        alarms=AlarmConfig(own_user=identity.user_id if identity else None),
        day_bytes=CLIENT_DAY_BYTES,
    )
    membership = await open_membership(
        config.membership,
        reader,
        unix_time=unix_time,
        entropy=entropy,
        log=log,
        lowest_sequence=state.registry_sequence,
    )
    context = ClientContext(membership.registry, entropy, unix_time, log)
    socket = UdpSocket((config.bind, config.port)) if udp is None else udp
    try:
        client = Client(
            config, membership, context, socket, identity=identity, state=state
        )
        try:
            yield client
        finally:
            await client.close()
    finally:
        if isinstance(socket, UdpSocket) and udp is None:
            socket.close()
