"""Which chain and which network a command is about: from settings, or from options."""

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from cli.node_config import NodeConfig
from discovery.transactions.wallet import parse_address
from psp.client.config import ClientConfig
from psp.errors import ConfigError
from psp.runtime import settings
from psp.runtime.membership import MembershipConfig
from psp.runtime.rpc import check_url
from psp.units import Seconds
from psp.wire.network import Network

_MAX_SETTINGS = 1 << 20


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Settings that name a network and nothing else, as `psp chain deploy` prints them.

    Attributes:
        membership: Which network, and how its chain is reached.
    """

    membership: MembershipConfig


@dataclass(frozen=True, slots=True)
class ChainTarget:
    """A chain, and perhaps the registry on it.

    Attributes:
        chain_id: Of the chain: signatures hold for it alone.
        rpc: URLs of endpoints; they may carry secrets.
        quorum: How many of them must agree.
        registry: Address of Relays, 20 bytes; None where only the chain matters.
        max_head_age: Seconds that the newest block may be old before that is said.
    """

    chain_id: int
    rpc: tuple[str, ...] = field(repr=False)
    quorum: int
    registry: bytes | None
    max_head_age: Seconds

    @property
    def network(self) -> Network:
        """The network.

        Raises:
            ConfigError: If no registry was named.
        """
        if self.registry is None:
            raise ConfigError(
                "which network? name its registry with --registry, or settings that "
                "have one with --settings"
            )
        return Network(self.chain_id, self.registry)


def find_target(
    settings_file: Path | None,
    *,
    rpc: tuple[str, ...] = (),
    chain_id: int | None = None,
    registry: str | None = None,
    quorum: int | None = None,
) -> ChainTarget:
    """Return what the settings say, with options in place of what they give.

    Raises:
        ConfigError: If endpoints or the chain's id are named by neither, or a value
            makes no sense.
    """
    base = None if settings_file is None else load_membership(settings_file)
    if chain_id is None and base is not None:
        chain_id = base.chain_id
    if chain_id is None:
        raise ConfigError(
            "which chain? give its id with --chain-id, or settings with --settings; "
            "endpoints are not asked for it, as they could name another and have you "
            "sign for that"
        )
    if not 0 < chain_id < 1 << 64:
        raise ConfigError(f"--chain-id {chain_id} is no chain's id")
    address = None
    if registry is not None:
        address = parse_address(registry)
    elif base is not None:
        address = base.network().registry
    urls = rpc or (base.rpc if base is not None else ())
    _check_urls(urls, "--rpc" if rpc else "membership.rpc")
    if quorum is None:
        quorum = base.quorum if base is not None and not rpc else len(urls) // 2 + 1
    if not 1 <= quorum <= len(urls):
        raise ConfigError(
            f"a quorum of {quorum} among {len(urls)} endpoints cannot be; name more "
            "endpoints of different owners, or another --quorum"
        )
    age = MembershipConfig(0, "").max_head_age if base is None else base.max_head_age
    return ChainTarget(chain_id, tuple(urls), quorum, address, age)


def load_membership(path: Path) -> MembershipConfig:
    """Return the membership in the settings of a relay, of a client, or alone.

    Raises:
        ConfigError: If the file is none of these.
    """
    kind: type[NodeConfig | ClientConfig | NetworkSettings] = NetworkSettings
    tables = _tables(path)
    if tables & {"keys", "listen"}:
        kind = NodeConfig
    elif "state_dir" in tables:
        kind = ClientConfig
    return settings.load(kind, path, os.environ).membership


def _tables(path: Path) -> set[str]:
    """Return the outermost names in a settings file; its errors are found later."""
    try:
        with path.open("rb") as file:
            return set(tomllib.loads(file.read(_MAX_SETTINGS).decode()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return set()


def _check_urls(urls: tuple[str, ...], key: str) -> None:
    if not urls:
        raise ConfigError(
            "no endpoint of a chain is named; give --rpc URL, once for each, or settings "
            "with membership.rpc"
        )
    for url in urls:
        check_url(url, key)
    if len(set(urls)) != len(urls):
        raise ConfigError(f"{key} names one endpoint twice; it counts once")
