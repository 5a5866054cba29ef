"""What every process of a relay needs: its keys, and links that remember."""

import base64
from collections.abc import Callable, Iterable

from cli.node_config import KeysConfig, NodeConfig
from psp.crypto.keys import SigningKey, link_public
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError
from psp.ids import NodeId
from psp.link.machine import LinkMachine
from psp.runtime import keyfiles
from psp.runtime.logs import logger
from psp.runtime.statefile import StateFile
from psp.wire.network import Network

_MAX_STATE_BYTES = 16 << 20
"""Handshake times of 65,536 relays, and room."""

_log = logger("relay")


class KeptLinks:
    """The links of one process; older handshakes stay refused after a restart (R-LNK-3).

    Attributes:
        machine: The links.
    """

    def __init__(
        self,
        config: NodeConfig,
        *,
        network: Network,
        identity: SigningKey,
        port: int,
        worker: int = 0,
        entropy: Entropy,
        unix_time: Callable[[], float],
    ) -> None:
        """Make a machine without links that knows nobody.

        Args:
            config: Settings.
            network: Which network.
            identity: The node's.
            port: Where this process listens, by the registry.
            worker: Which process of the node this is, from 0; each has its own file.
            entropy: Random bytes.
            unix_time: The wall clock.

        Raises:
            ConfigError: If the file of handshake times is damaged.
        """
        name = f"relay-{worker}.json" if worker else "relay.json"
        self._state = StateFile(
            config.state_dir / name,
            form="psp-relay",
            version=1,
            max_bytes=_MAX_STATE_BYTES,
        )
        self._statics: dict[bytes, NodeId] = {}
        saved = str((self._state.load() or {}).get("link_timestamps", ""))
        try:
            self.machine = LinkMachine(
                config.link,
                network=network,
                entropy=entropy,
                identity=identity,
                own_port=port,
                peer_of_static=self._statics.get,
                unix_time=unix_time,
                timestamps=base64.b64decode(saved, validate=True),
            )
        except (ValueError, DecodeError):
            raise ConfigError(
                f"{self._state.path} is damaged; remove it to start anew"
            ) from None

    def know(self, node_ids: Iterable[NodeId]) -> None:
        """Answer the handshakes of these nodes, and of no others, from now on."""
        statics: dict[bytes, NodeId] = {}
        for node_id in node_ids:
            try:
                statics[link_public(node_id)] = node_id
            except DecodeError:
                _log.warning("member_key_unusable")
        self._statics.clear()
        self._statics.update(statics)

    def save(self) -> None:
        """Keep the newest handshake times."""
        timestamps = base64.b64encode(self.machine.export_timestamps()).decode()
        self._state.save({"link_timestamps": timestamps})


def load_keys(config: KeysConfig) -> tuple[SigningKey, list[bytes]]:
    """Return a node's identity and its onion keys, the current one first.

    Raises:
        ConfigError: If a file is missing, open to others or damaged.
    """
    passphrase = None
    if config.passphrase_file is not None:
        passphrase = keyfiles.read_passphrase(config.passphrase_file)
    identity = SigningKey.from_seed(
        keyfiles.load_seed(config.identity, passphrase=passphrase)
    )
    onions = [keyfiles.load_seed(config.onion, passphrase=passphrase)]
    if config.previous_onion is not None:
        previous = keyfiles.load_seed(config.previous_onion, passphrase=passphrase)
        onions.append(previous)
    return identity, onions
