"""Settings and a key file of a test bed's user, for a program in a process of its own."""

from pathlib import Path
from typing import Protocol

from cli.settings_file import to_toml
from cli.testbed.wires import LoopbackWires, Wires
from psp.client.config import ClientConfig
from psp.client.identities.identity import ClientIdentity
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy


class _Users(Protocol):
    """Those whose files can be written."""

    wires: Wires

    def identity(self, name: str) -> ClientIdentity: ...

    def config(self, name: str) -> ClientConfig: ...


class WithUserFiles:
    """Writes the files of users."""

    def files(self: _Users, name: str) -> tuple[Path, Path]:
        """Write a user's settings and key file, for a program of its own; both paths.

        Either that program or `client` runs as this user: both keep the same state.

        Raises:
            ConfigError: If there is no such user, or the network is in memory.
        """
        identity, config = self.identity(name), self.config(name)
        if not isinstance(self.wires, LoopbackWires):
            raise ConfigError(
                "no other process reaches a network in memory; use "
                "psp.testing.network(loopback=True)"
            )
        home = config.state_dir
        settings, key = home / "client.toml", home / "identity.key"
        if not key.exists():
            keyfiles.create(
                key,
                identity.key.seed + identity.discovery_secret,
                entropy=SystemEntropy(),
            )
        settings.write_text(to_toml(config), encoding="utf-8")
        return settings, key
