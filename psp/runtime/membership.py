"""Where a process gets its registry from: the trusted partners' file, and its cache.

The file may be replaced at any time, by whatever means the operator likes; it is looked
at once a minute. A file that is refused changes nothing and is said in the log.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from psp.directory.trusted import (
    RegistryRefusedError,
    TrustAnchor,
    TrustedFileRegistry,
)
from psp.errors import ConfigError
from psp.units import Seconds, UnixTime
from psp.wire.network import Network

MAX_FILE_BYTES = 32 * 1024 * 1024
_LOOK_EVERY = Seconds(60.0)


@dataclass(frozen=True, slots=True)
class MembershipConfig:
    """Which network this is, and whose word on its members counts.

    Attributes:
        chain_id: The network's chain id; any number for a network without a chain.
        registry: Address of the registry, 40 hex digits.
        file: The trusted partners' signed file.
        partners: Ed25519 keys of the trusted partners, 64 hex digits each.
        threshold: How many partners must have signed the file.
    """

    chain_id: int
    registry: str
    file: Path
    partners: tuple[str, ...]
    threshold: int = 1

    def anchor(self) -> TrustAnchor:
        """Return what the file is verified against.

        Raises:
            ConfigError: If a value is not what it should be.
        """
        partners = frozenset(_hex(key, 32, "partners") for key in self.partners)
        if not 1 <= self.threshold <= len(partners):
            raise ConfigError(
                f"membership.threshold is {self.threshold} with {len(partners)} "
                "partners; set it to a number between 1 and that"
            )
        if not 0 <= self.chain_id < 1 << 64:
            raise ConfigError(f"membership.chain_id is {self.chain_id}, not a chain id")
        address = _hex(self.registry, 20, "registry")
        return TrustAnchor(Network(self.chain_id, address), partners, self.threshold)


def open_registry(
    config: MembershipConfig, unix_now: UnixTime, lowest_sequence: int = 0
) -> TrustedFileRegistry:
    """Read the registry for the first time.

    Args:
        config: Where it is and whose word counts.
        unix_now: For its expiry.
        lowest_sequence: Of the newest one this host has ever used.

    Raises:
        ConfigError: If the file is missing or refused; the text says why.
    """
    anchor = config.anchor()
    try:
        return TrustedFileRegistry.open(
            _read(config.file), anchor, unix_now, lowest_sequence=lowest_sequence
        )
    except RegistryRefusedError as error:
        raise ConfigError(f"{config.file}: {error}") from None


async def follow_registry(
    config: MembershipConfig,
    registry: TrustedFileRegistry,
    unix_time: Callable[[], float],
    on_change: Callable[[], None],
    log: FilteringBoundLogger,
) -> None:
    """Take over newer files for ever; call ``on_change`` after each."""
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        try:
            data = await asyncio.to_thread(_read, config.file)
            if registry.update(data, UnixTime(int(unix_time()))):
                log.info("registry_updated", sequence=registry.sequence)
                on_change()
        except (ConfigError, RegistryRefusedError) as error:
            log.warning("registry_refused", error=str(error))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"membership.file {path} cannot be read ({error.strerror}); fetch it from "
            "the trusted partners"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(
            f"membership.file {path} has more than {MAX_FILE_BYTES} bytes"
        )
    return data


def _hex(text: str, size: int, key: str) -> bytes:
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != size:
        raise ConfigError(
            f"membership.{key} has an entry that is not {2 * size} hex digits"
        )
    return data
