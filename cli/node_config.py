"""Settings of a relay process."""

from dataclasses import dataclass, field
from pathlib import Path

from discovery.config import DiscoveryConfig
from discovery.epochs.config import EpochConfig
from discovery.handover.config import HandOverConfig
from presence.config import PresenceConfig
from psp.errors import ConfigError
from psp.link.config import LinkConfig
from psp.netdoc.node_record import MAX_ENDPOINTS
from psp.runtime.membership import MembershipConfig
from relay.config import RelayConfig


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """Where a relay's secrets are.

    Attributes:
        identity: Key file of the node's Ed25519 identity.
        onion: Key file of its X25519 onion key.
        previous_onion: The onion key before, still answered for; none right after the
            first start.
        passphrase_file: A private file with the passphrase of all of them.
    """

    identity: Path
    onion: Path
    previous_onion: Path | None = None
    passphrase_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where a relay listens.

    Attributes:
        host: Address to bind.
        port: UDP port, the one in the registry.
    """

    port: int
    host: str = "0.0.0.0"  # noqa: S104 - a relay is meant to be reached


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Where metrics are served.

    Attributes:
        host: A loopback address.
        port: TCP port; 0 for any, and none at all while ``enabled`` is false.
        enabled: Whether to serve metrics.
    """

    host: str = "127.0.0.1"
    port: int = 9464
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Everything a relay process is told.

    Attributes:
        membership: Which network, and who says who its members are.
        keys: Where the secrets are.
        listen: Where it listens.
        state_dir: A private directory for what must survive a restart.
        workers: Processes, each with a UDP port of its own in the registry and a core to
            itself; more than there are cores gain nothing.
        link: Limits on handshakes and timing of links.
        relay: Limits of the relay.
        presence: Limits of presence point, gateway and DHT.
        discovery: Limits of publishing and serving the directory.
        epochs: What this relay does for elections on the chain, and at what cost.
        handover: Limits of signing and serving the chain's list for those who cannot
            read it.
        metrics: Where metrics are served.
    """

    membership: MembershipConfig
    keys: KeysConfig
    listen: ListenConfig
    state_dir: Path
    workers: int = 1
    link: LinkConfig = field(default_factory=LinkConfig)
    relay: RelayConfig = field(default_factory=RelayConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    discovery: DiscoveryConfig = field(default_factory=DiscoveryConfig)
    epochs: EpochConfig = field(default_factory=EpochConfig)
    handover: HandOverConfig = field(default_factory=HandOverConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MAX_ENDPOINTS:
            raise ConfigError(
                f"workers = {self.workers}: use 1 to {MAX_ENDPOINTS}, one for each core "
                "that the relay may fill; a record has room for no more endpoints"
            )
