"""A whole network on one machine: keys, registry and settings, written to a folder.

Everything is what a real operator, partner and user would have: key files, a file
signed by the trusted partners, one settings file per relay. Only the subnet rule is
off, in the clients' settings, as all relays share the loopback network.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cli.node_config import KeysConfig, ListenConfig, MetricsConfig, NodeConfig
from cli.worker_shares import endpoints_for
from discovery.epochs.config import EpochConfig
from psp.client.config import ClientConfig, PathConfig
from psp.client.identities.identity import ClientIdentity
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.directory.registry import RANDOM_PERIOD, period_of
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.link.config import LinkConfig
from psp.netdoc import trusted_file
from psp.netdoc.node_entry import SignedNode
from psp.netdoc.node_record import NodeRecord
from psp.netdoc.trusted_file import TrustedFile
from psp.runtime import keyfiles
from psp.runtime.membership import MembershipConfig
from psp.units import Seconds, UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

DEMO_NETWORK = Network(31_337, bytes(19) + b"\1")
"""A chain id that development chains use; stands for a network without a chain."""

HOST = "127.0.0.1"
REGISTRY_FILE = "registry.json"
LOOPBACK_LINKS = LinkConfig(handshakes_per_second=1000.0, handshake_burst=1000)
"""All processes share one address here: the limit per source would be one for all."""

_LIFE = 2 * 86_400


@dataclass(frozen=True, slots=True)
class PlannedRelay:
    """One relay to start.

    Attributes:
        node_id: Who it is.
        config: Its settings.
        signed: Its entry for the registry.
    """

    node_id: NodeId
    config: NodeConfig
    signed: SignedNode


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """A chain that already stands, with nobody registered yet.

    Attributes:
        network: Chain and registry.
        operators: Owner account of each relay, 20 bytes each.
        operator_key: Name of the hot key's file in each relay's folder.
        rpc: Where the chain will be served.
        poll_every: Seconds between looks at it.
    """

    network: Network
    operators: tuple[bytes, ...]
    operator_key: str
    rpc: tuple[str, ...]
    poll_every: Seconds


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What there is to start.

    Attributes:
        folder: Where everything lies, mode 0700.
        membership: What every process is configured with.
        relays: The relays, each of an operator of its own.
        discovery_nodes: Which of them the partners' file names as discovery nodes.
        users: Registered identities, by name.
    """

    folder: Path
    membership: MembershipConfig
    relays: tuple[PlannedRelay, ...]
    discovery_nodes: tuple[NodeId, ...]
    users: dict[str, ClientIdentity] = field(repr=False)

    def client_config(self, name: str) -> ClientConfig:
        """Return the settings of a user's client."""
        return ClientConfig(
            membership=self.membership,
            state_dir=self.folder / name,
            bind=HOST,
            path=PathConfig(subnet_rule=False),
        )


def make_plan(
    folder: Path,
    ports: list[int],
    users: list[str],
    *,
    discovery: int,
    entropy: Entropy,
    unix_now: float,
    hosts: Sequence[str] | None = None,
    chain: ChainPlan | None = None,
    workers: int = 1,
) -> NetworkPlan:
    """Make all keys and write all files.

    Args:
        folder: Made with mode 0700 if missing.
        ports: One UDP port per relay.
        users: Names of the users to register.
        discovery: How many relays are discovery nodes.
        entropy: For the keys.
        unix_now: The registry is valid for two days from now.
        hosts: The relays' numeric addresses; None for loopback.
        chain: Where the relays are to be registered; None for a network that has the
            partners' file alone. With a chain, the file is the fallback.
        workers: Processes of each relay; they have the ports after its own.
    """
    partner = SigningKey.generate(entropy)
    identities = {name: ClientIdentity.generate(entropy, name) for name in users}
    nodes, configs = [], []
    network = DEMO_NETWORK if chain is None else chain.network
    membership = _membership(folder, partner, chain)
    hosts = [HOST] * len(ports) if hosts is None else hosts
    for number, endpoint in enumerate(map(Endpoint, hosts, ports)):
        operator = (number + 1).to_bytes(20)
        if chain is not None:
            operator = chain.operators[number]
        node, config = _make_relay(
            relay_home(folder, number),
            endpoint,
            membership,
            operator,
            entropy,
            workers=workers,
        )
        if chain is not None:
            config = replace(config, epochs=_epochs(config.state_dir, chain))
        nodes.append(node)
        configs.append(PlannedRelay(node.record.node_id, config, node))
    chosen = tuple(sorted(relay.node_id for relay in configs[:discovery]))
    document = TrustedFile(
        network=network,
        sequence=1,
        issued=UnixTime(int(unix_now)),
        expires=UnixTime(int(unix_now) + _LIFE),
        nodes={node.record.node_id: node for node in nodes},
        discovery_nodes=chosen,
        users=frozenset(identity.user_id for identity in identities.values()),
        random_values=_random_values(unix_now, entropy),
    )
    (folder / REGISTRY_FILE).write_bytes(trusted_file.encode(document, [partner]))
    return NetworkPlan(folder, membership, tuple(configs), chosen, identities)


def free_ports(count: int, base: int | None = None) -> list[int]:
    """Return UDP ports that are free now: from ``base`` on, or any.

    Raises:
        ConfigError: If one of the ports asked for is taken.
    """
    sockets: list[socket.socket] = []
    try:
        for number in range(count):
            wanted = 0 if base is None else base + number
            held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sockets.append(held)
            try:
                held.bind((HOST, wanted))
            except OSError as error:
                raise ConfigError(
                    f"port {wanted} on {HOST} is taken ({error.strerror}); choose "
                    "others with --base-port, or leave it out"
                ) from None
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


def relay_home(folder: Path, number: int) -> Path:
    """Return the folder of a relay."""
    return folder / f"relay-{number:02}"


def _membership(
    folder: Path, partner: SigningKey, chain: ChainPlan | None
) -> MembershipConfig:
    network = DEMO_NETWORK if chain is None else chain.network
    config = MembershipConfig(
        chain_id=network.chain_id,
        registry=network.registry.hex(),
        file=folder / REGISTRY_FILE,
        partners=(partner.public.hex(),),
    )
    if chain is None:
        return config
    return replace(config, rpc=chain.rpc, poll_every=chain.poll_every)


def _epochs(home: Path, chain: ChainPlan) -> EpochConfig:
    # Epochs of seconds: what is spread over hours elsewhere is done soon.
    return EpochConfig(
        operator_key=home / chain.operator_key,
        request_spread=0.05,
        nomination_spread=0.3,
        revealers=2,
    )


def _make_relay(
    home: Path,
    endpoint: Endpoint,
    membership: MembershipConfig,
    operator: bytes,
    entropy: Entropy,
    *,
    workers: int,
) -> tuple[SignedNode, NodeConfig]:
    identity, onion = SigningKey.generate(entropy), x25519_generate(entropy)
    keys = KeysConfig(home / "identity.key", home / "onion.key")
    keyfiles.create(keys.identity, identity.seed, entropy=entropy)
    keyfiles.create(keys.onion, onion, entropy=entropy)
    record = NodeRecord(
        node_id=NodeId(identity.public),
        onion_key=x25519_public(onion),
        endpoints=endpoints_for([endpoint], workers, named="workers"),
        operator=operator,
    )
    config = NodeConfig(
        membership=membership,
        keys=keys,
        listen=ListenConfig(port=endpoint.port, host=endpoint.host),
        state_dir=home,
        workers=workers,
        link=LOOPBACK_LINKS,
        metrics=MetricsConfig(enabled=False),
    )
    network = membership.network()
    return SignedNode.sign(network, record, identity), config


def _random_values(unix_now: float, entropy: Entropy) -> dict[int, bytes]:
    first = period_of(int(unix_now)) - 1
    return {
        period: entropy.token(32)
        for period in range(first, first + 3 + _LIFE // RANDOM_PERIOD)
    }
