"""A whole network in one line, for whoever writes an app.

::

    async with psp.testing.network() as net:
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce()
        found = await bob.lookup(alice.contact_card)

Relays, discovery nodes and clients are the real ones, in this process. What assembles
them lies above this package and is found by its entry point (``psp.testing``).
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from psp.client.api import Client
from psp.client.config import ClientConfig
from psp.client.identities.identity import ClientIdentity, Identity
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.runtime.entropy import SystemEntropy
from psp.sansio import Address
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub, SimSocket
from psp.testing.simloop import SimLoop
from psp.testing.weather import Weather
from psp.units import Seconds

_HOST = "127.0.0.1"
_FIRST_PORT = 9_001
NO_WEATHER = Weather(latency=Seconds(0.0))
"""What an app's tests want unless they say otherwise: no time lost."""


class LocalNetwork(Protocol):
    """A running network, and what can be done to it."""

    @property
    def folder(self) -> Path:
        """Where keys, registry and states lie."""
        ...

    @property
    def users(self) -> tuple[str, ...]:
        """Names of the registered users."""
        ...

    @property
    def relays(self) -> tuple[NodeId, ...]:
        """Every relay in the registry, dead ones too."""
        ...

    @property
    def discovery_nodes(self) -> tuple[NodeId, ...]:
        """The discovery nodes among them."""
        ...

    def node(self, node_id: NodeId) -> Any:  # noqa: ANN401 - it lies above
        """Return a running relay (`cli.assembly.RelayNode`), to look into."""
        ...

    def identity(self, name: str) -> ClientIdentity:
        """Return a user's identity."""
        ...

    def config(self, name: str) -> ClientConfig:
        """Return the settings of a user's client."""
        ...

    def files(self, name: str) -> tuple[Path, Path]:
        """Write a user's settings and key file, for a program of its own; both paths.

        Either that program or `client` runs as this user: both keep the same state.

        Raises:
            ConfigError: If there is no such user, or the network is in memory.
        """
        ...

    async def client(self, name: str) -> Client:
        """Return a user's client; it is started once and ends with the network."""
        ...

    async def close_client(self, name: str) -> None:
        """End a user's client; `client` starts it anew with what it had saved."""

    def connect(
        self,
        name: str,
        *,
        identity: Identity | None = None,
        anonymous: bool = False,
    ) -> AbstractAsyncContextManager[Client]:
        """Run one more client for as long as the block lasts.

        Args:
            name: A user, whose identity it has; or any name.
            identity: Have this identity instead.
            anonymous: Have none.
        """
        ...

    @property
    def weather(self) -> Weather:
        """How the paths treat datagrams; assign another one at any time.

        Raises:
            ConfigError: On loopback.
        """
        ...

    @weather.setter
    def weather(self, weather: Weather) -> None: ...

    async def corrupt(
        self,
        node_id: NodeId,
        behaviour: str,
        *,
        replica: bool = True,
        gateway: bool = True,
    ) -> None:
        """Let a relay misbehave; all such relays are in league.

        Args:
            node_id: Which.
            behaviour: ``garbage``, ``stale``, ``refuse``, ``lie``, ``withhold`` or
                ``stall`` (`cli.testbed.behaviours`).
            replica: When others ask it for records.
            gateway: When users look others up through it.
        """

    async def reform(self, node_id: NodeId) -> None:
        """Let a relay be honest again; it holds what it held before."""

    def skew(self, name: str, seconds: float) -> None:
        """Let the clock of this name's clients be off from now on; 0 sets it right."""

    def unix_time(self) -> float:
        """Return the time that all clocks show which are not off."""
        ...

    async def kill(self, node_id: NodeId) -> None:
        """Cut a relay's power: it falls silent, and keeps what lay on its disk."""

    async def restart(self, node_id: NodeId) -> None:
        """Start a relay with what lies on its disk; a running one is stopped first."""


class HubWires:
    """Sockets in memory.

    Attributes:
        hub: Carries their datagrams.
    """

    def __init__(self, hub: SimHub) -> None:
        self.hub = hub
        self._is_simulated = isinstance(asyncio.get_running_loop(), SimLoop)

    def ports(self, count: int) -> list[int]:
        """Return the first ports; a hub has but one network."""
        return list(range(_FIRST_PORT, _FIRST_PORT + count))

    def socket(self, port: int) -> SimSocket:
        """Attach a socket; 0 for any free port.

        Raises:
            ConfigError: If the port is taken.
        """
        return self.hub.socket((_HOST, port))

    def addresses(self) -> list[Address]:
        """Return where sockets are attached now."""
        return self.hub.addresses()

    @property
    def weather(self) -> Weather:
        """How the paths treat datagrams."""
        return self.hub.sky.weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self.hub.sky.weather = weather

    def unix_time(self) -> float:
        """Return the hub's wall clock in virtual time, else the system's."""
        return self.hub.unix_time() if self._is_simulated else time.time()


@asynccontextmanager
async def network(
    relays: int = 12,
    *,
    discovery: int = 4,
    users: Sequence[str] = ("alice", "bob"),
    loopback: bool = False,
    weather: Weather | None = None,
    hub: SimHub | None = None,
    seed: int | str | None = None,
    folder: Path | None = None,
    relay_config: Callable[[Any], Any] | None = None,
    client_config: Callable[[ClientConfig], ClientConfig] | None = None,
) -> AsyncIterator[LocalNetwork]:
    """Run a whole network for as long as the block lasts.

    Args:
        relays: How many, discovery nodes included; a call needs eight.
        discovery: How many of them are discovery nodes.
        users: Names of the users to register.
        loopback: Use real sockets on 127.0.0.1 instead of memory.
        weather: Delays and losses in memory; none is the default.
        hub: Be on this one, in virtual time or not.
        seed: Of all keys and choices, so that they repeat; None draws them.
        folder: For all files; None takes a temporary one.
        relay_config: Changes the settings of each relay.
        client_config: Changes the settings of each client.

    Raises:
        ConfigError: If the numbers cannot be, or the package is not installed.
    """
    loop = asyncio.get_running_loop()
    if seed is None and isinstance(loop, SimLoop):
        seed = 0
    with ExitStack() as stack:
        if folder is None:
            made = tempfile.TemporaryDirectory(prefix="psp-testing-")
            folder = Path(stack.enter_context(made), "network")
        wires = None
        if loopback:
            if weather is not None or hub is not None:
                raise ConfigError("the kernel's loopback has no weather of ours")
        else:
            hub = hub or SimHub(loop, weather or NO_WEATHER, seed=seed or 0)
            if weather is not None:
                hub.sky.weather = weather
            wires = HubWires(hub)
        async with _assembler()(
            folder,
            wires,
            relays=relays,
            discovery=discovery,
            users=users,
            entropy=_entropy(seed),
            relay_config=relay_config,
            client_config=client_config,
        ) as running:
            yield running


def _entropy(seed: int | str | None) -> Callable[[str], Entropy]:
    if seed is None:
        return lambda _: SystemEntropy()
    root = SeededEntropy(seed)
    return root.child


def _assembler() -> Callable[..., AbstractAsyncContextManager[LocalNetwork]]:
    """Load what puts relays together: this package may not know it."""
    found = entry_points(group="psp.testing", name="testbed")
    for entry in found:
        return cast(
            "Callable[..., AbstractAsyncContextManager[LocalNetwork]]", entry.load()
        )
    raise ConfigError("the entry point psp.testing is missing; install psp anew (pip)")
