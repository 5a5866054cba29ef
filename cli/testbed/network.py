"""A whole network in one process, for tests of apps and for benchmarks.

Everything is what the demo starts: key files, a registry signed by a partner, one
`RelayNode` per relay, clients made by `psp.connect`. Only the sockets and the clock may
be others' (`cli.testbed.wires`). `psp.testing.network` opens one in memory.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from cli.assembly import RelayNode
from cli.demo.plan import NetworkPlan, PlannedRelay, make_plan
from cli.node_config import NodeConfig
from cli.testbed.bad_relay import BadRelay
from cli.testbed.behaviours import Behaviour, League
from cli.testbed.files import WithUserFiles
from cli.testbed.wires import LoopbackWires, SwitchedSocket, Wires
from psp.client.api import Client, connect
from psp.client.config import ClientConfig
from psp.client.identities.identity import ClientIdentity, Identity
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.wire.network import Network

RelaySettings = Callable[[NodeConfig], NodeConfig]
ClientSettings = Callable[[ClientConfig], ClientConfig]


class Testbed(WithUserFiles):
    """Relays and clients that run, and what can be done to them.

    Attributes:
        plan: All keys and settings.
        clients: Those made by `client`, by name.
        league: What the corrupted relays share.
        wires: Where sockets and the time come from.
    """

    def __init__(
        self,
        plan: NetworkPlan,
        wires: Wires,
        *,
        entropy: Callable[[str], Entropy],
        client_config: ClientSettings,
    ) -> None:
        """Prepare a network; `open_testbed` starts it.

        Args:
            plan: Who takes part.
            wires: Where sockets and the time come from.
            entropy: Random bytes for somebody, by name.
            client_config: Changes each client's settings.
        """
        self.plan = plan
        self.clients: dict[str, Client] = {}
        self.wires = wires
        self._entropy = entropy
        self._client_config = client_config
        self._planned = {relay.node_id: relay for relay in plan.relays}
        self._nodes: dict[NodeId, RelayNode] = {}
        self._sockets: dict[NodeId, SwitchedSocket] = {}
        self._starts = 0
        self._skews: dict[str, float] = {}
        self._own: dict[str, AsyncExitStack] = {}
        self._client_sockets: dict[Client, SwitchedSocket] = {}
        self.league = League()
        self._bad: dict[NodeId, BadRelay] = {}

    # ---- who there is

    @property
    def folder(self) -> Path:
        """Where keys, registry and states lie."""
        return self.plan.folder

    @property
    def network(self) -> Network:
        """Chain and registry that everybody is configured with."""
        return self.plan.membership.network()

    @property
    def users(self) -> tuple[str, ...]:
        """Names of the registered users."""
        return tuple(self.plan.users)

    @property
    def relays(self) -> tuple[NodeId, ...]:
        """Every relay in the registry, dead ones too; the first are discovery nodes."""
        return tuple(relay.node_id for relay in self.plan.relays)

    @property
    def discovery_nodes(self) -> tuple[NodeId, ...]:
        """The discovery nodes of the registry, sorted."""
        return self.plan.discovery_nodes

    @property
    def alive(self) -> Mapping[NodeId, RelayNode]:
        """The relays that run."""
        return self._nodes

    def node(self, node_id: NodeId) -> RelayNode:
        """Return a running relay, to look into.

        Raises:
            ConfigError: If it is dead or was never there.
        """
        self._check_relay(node_id)
        if node_id not in self._nodes:
            raise ConfigError(f"relay {node_id.hex()} is dead; restart it first")
        return self._nodes[node_id]

    def socket(self, node_id: NodeId) -> SwitchedSocket:
        """Return a running relay's socket, to listen at.

        Raises:
            ConfigError: If it is dead or was never there.
        """
        self.node(node_id)
        return self._sockets[node_id]

    def identity(self, name: str) -> ClientIdentity:
        """Return a user's identity.

        Raises:
            ConfigError: If there is no user of this name.
        """
        if name not in self.plan.users:
            known = ", ".join(self.plan.users) or "none"
            raise ConfigError(f"there is no user {name!r}; the users are: {known}")
        return self.plan.users[name]

    def config(self, name: str) -> ClientConfig:
        """Return the settings of a user's client."""
        return self._client_config(self.plan.client_config(name))

    # ---- clients

    async def client(self, name: str) -> Client:
        """Return a user's client; it is started once and ends with the network.

        Raises:
            ConfigError: If there is no user of this name.
        """
        if name not in self.clients:
            own = AsyncExitStack()
            self.clients[name] = await own.enter_async_context(self.connect(name))
            self._own[name] = own
        return self.clients[name]

    async def close_client(self, name: str) -> None:
        """End a user's client; `client` starts it anew with what it had saved."""
        own = self._own.pop(name, None)
        self.clients.pop(name, None)
        if own is not None:
            await own.aclose()

    @asynccontextmanager
    async def connect(
        self,
        name: str,
        *,
        identity: Identity | None = None,
        anonymous: bool = False,
    ) -> AsyncIterator[Client]:
        """Run a client for as long as the block lasts.

        Args:
            name: A user, whose identity it has; or any other name.
            identity: Have this identity instead.
            anonymous: Have none; ``name`` only names the state's folder.

        Raises:
            ConfigError: If there is no user of this name, and no other identity.
        """
        if identity is None and not anonymous:
            identity = self.identity(name)
        self._starts += 1
        udp = SwitchedSocket(self.wires.socket(0))
        try:
            async with connect(
                self.config(name),
                identity=identity,
                udp=udp,
                entropy=self._entropy(f"client {name} {self._starts}"),
                unix_time=lambda: self.unix_time() + self._skews.get(name, 0.0),
            ) as client:
                self._client_sockets[client] = udp
                yield client
                del self._client_sockets[client]
        finally:
            udp.close()

    def traffic(self, client: Client) -> int:
        """Return the bytes of datagrams that a running client sent and received."""
        return self._client_sockets[client].carried

    def skew(self, name: str, seconds: float) -> None:
        """Let the clock of this name's clients be off from now on; 0 sets it right."""
        self._skews[name] = seconds

    @property
    def weather(self) -> object:
        """How the paths treat datagrams; assign another one at any time.

        Raises:
            ConfigError: On loopback.
        """
        return self.wires.weather

    @weather.setter
    def weather(self, weather: object) -> None:
        self.wires.weather = weather

    def unix_time(self) -> float:
        """Return the time that all clocks show which are not off."""
        return self.wires.unix_time()

    # ---- faults

    async def kill(self, node_id: NodeId) -> None:
        """Cut a relay's power: it falls silent, and keeps what lay on its disk.

        Harmless when it is dead already.

        Raises:
            ConfigError: If there is no such relay.
        """
        self._check_relay(node_id)
        await self.reform(node_id)
        node = self._nodes.pop(node_id, None)
        if node is None:
            return
        socket = self._sockets.pop(node_id)
        socket.is_cut = True
        home = self._planned[node_id].config.state_dir
        # Stopping in order saves more than a power cut leaves.
        kept = home.with_name(f"{home.name}.kept")
        shutil.copytree(home, kept)
        await node.stop()
        socket.close()
        shutil.rmtree(home)
        kept.rename(home)

    async def restart(self, node_id: NodeId) -> None:
        """Start a relay with what lies on its disk; a running one is stopped in order.

        Raises:
            ConfigError: If there is no such relay.
        """
        self._check_relay(node_id)
        await self._stop(node_id)
        await self.start(self._planned[node_id])

    async def corrupt(
        self,
        node_id: NodeId,
        behaviour: str,
        *,
        replica: bool = True,
        gateway: bool = True,
    ) -> None:
        """Let a relay misbehave until `reform`; all such relays are in league.

        Args:
            node_id: Which; it must be running.
            behaviour: One of `cli.testbed.behaviours.Behaviour`.
            replica: When others ask it for records.
            gateway: When users look others up through it.

        Raises:
            ConfigError: If it is dead or was never there, or nobody behaves so.
        """
        if behaviour not in set(Behaviour):
            known = ", ".join(Behaviour)
            raise ConfigError(f"{behaviour!r} is no behaviour; there are: {known}")
        node = self.node(node_id)
        await self.reform(node_id)
        entropy = self._entropy(f"bad {self._planned[node_id].config.listen.port}")
        bad = BadRelay(
            node.presence,
            node.relay.circuits,
            node.relay.links,
            behaviour=Behaviour(behaviour),
            league=self.league,
            entropy=entropy,
        )
        bad.corrupt(replica=replica, gateway=gateway)
        self._bad[node_id] = bad

    async def reform(self, node_id: NodeId) -> None:
        """Let a relay be honest again; harmless when it is."""
        bad = self._bad.pop(node_id, None)
        if bad is not None:
            bad.reform()

    def behaviour(self, node_id: NodeId) -> Behaviour | None:
        """Return how a relay misbehaves; None for an honest one."""
        bad = self._bad.get(node_id)
        return None if bad is None else bad.behaviour

    # ---- inside

    async def start(self, relay: PlannedRelay) -> None:
        """Start one relay of the plan."""
        self._starts += 1
        socket = SwitchedSocket(self.wires.socket(relay.config.listen.port))
        node = RelayNode(
            relay.config,
            udp=socket,
            unix_time=self.wires.unix_time,
            entropy=self._entropy(f"relay {relay.config.listen.port} {self._starts}"),
        )
        await node.start()
        self._nodes[relay.node_id] = node
        self._sockets[relay.node_id] = socket

    async def close(self) -> None:
        """Stop everybody: clients first."""
        for name in list(self._own):
            await self.close_client(name)
        for node_id in list(self._nodes):
            await self._stop(node_id)

    async def _stop(self, node_id: NodeId) -> None:
        await self.reform(node_id)
        node = self._nodes.pop(node_id, None)
        if node is not None:
            await node.stop()
            self._sockets.pop(node_id).close()

    def _check_relay(self, node_id: NodeId) -> None:
        if node_id not in self._planned:
            raise ConfigError("there is no such relay; see .relays")


@asynccontextmanager
async def open_testbed(
    folder: Path,
    wires: Wires | None = None,
    *,
    relays: int,
    discovery: int,
    users: Sequence[str],
    entropy: Callable[[str], Entropy],
    relay_config: RelaySettings | None = None,
    client_config: ClientSettings | None = None,
    starts: Callable[[int], bool] = lambda _: True,
) -> AsyncIterator[Testbed]:
    """Run a network for as long as the block lasts.

    Args:
        folder: For all files; empty.
        wires: Where sockets and the time come from; None for loopback.
        relays: How many, discovery nodes included.
        discovery: How many of them are discovery nodes.
        users: Names of the users to register.
        entropy: Random bytes for somebody, by name.
        relay_config: Changes each relay's settings.
        client_config: Changes each client's settings.
        starts: Tells by number, discovery nodes first, who is started at once.

    Raises:
        ConfigError: If the numbers cannot be.
    """
    if not 1 <= discovery <= relays:
        raise ConfigError(f"{discovery} of {relays} relays cannot be discovery nodes")
    wires = LoopbackWires() if wires is None else wires
    plan = make_plan(
        folder,
        wires.ports(relays),
        list(users),
        discovery=discovery,
        entropy=entropy("plan"),
        unix_now=wires.unix_time(),
    )
    if relay_config is not None:
        changed = (replace(r, config=relay_config(r.config)) for r in plan.relays)
        plan = replace(plan, relays=tuple(changed))
    async with AsyncExitStack() as stack:
        bed = Testbed(
            plan,
            wires,
            entropy=entropy,
            client_config=client_config or (lambda config: config),
        )
        stack.push_async_callback(bed.close)
        for number, relay in enumerate(plan.relays):
            if starts(number):
                await bed.start(relay)
                await asyncio.sleep(0)
        yield bed
