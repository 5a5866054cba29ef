"""Where a process gets its registry from: a chain, or the trusted partners' file.

A chain (``rpc``) comes first; the file is what a network without one lives on, and what
a process falls back to that has never read the chain (`psp.runtime.chain_membership`).

The file may be replaced at any time, by whatever means the operator likes; it is looked
at once a minute. A file that is refused changes nothing and is said in the log.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from psp.directory.registry import Registry
from psp.directory.trusted import (
    Refusal,
    RegistryRefusedError,
    TrustAnchor,
    TrustedFileRegistry,
)
from psp.errors import ConfigError
from psp.runtime.rpc import check_url
from psp.units import Seconds, UnixTime
from psp.wire.network import Network

MAX_FILE_BYTES = 32 * 1024 * 1024
_LOOK_EVERY = Seconds(60.0)
_FETCH = "fetch a newer one from the trusted partners"
_CURES = {
    Refusal.MALFORMED: "fetch it anew, or correct chain_id, registry and partners in "
    "[membership]",
    Refusal.EXPIRED: f"{_FETCH}, or set this host's clock",
    Refusal.NOT_YET: "set this host's clock",
    Refusal.OLDER: _FETCH,
    Refusal.CONTRADICTS: "ask the trusted partners which of the two is right",
}
"""What to do about a file that is refused."""


@dataclass(frozen=True, slots=True)
class MembershipConfig:
    """Which network this is, and whose word on its members counts.

    Attributes:
        chain_id: The network's chain id; any number for a network without a chain.
        registry: Address of the registry contract, 40 hex digits.
        file: The trusted partners' signed file; what a network without a chain has, and
            the fallback of those who have never read the chain.
        partners: Ed25519 keys of the trusted partners, 64 hex digits each.
        threshold: How many partners must have signed the file.
        rpc: URLs of the chain's JSON-RPC endpoints, of different owners: three or more.
        quorum: How many endpoints must agree on a block before it counts.
        source: "chain" or "file"; left empty, the chain if it has endpoints. A client
            on "chain" without endpoints lives on its cache and on snapshots that
            discovery nodes sign.
        poll_every: Seconds between looks at the chain, the least for clients
            (`psp.directory.chain.looks`).
        max_head_age: Seconds that the newest block may be old before it is said.
        names: Address of the contract of names, 40 hex digits; clients that have it
            read the registered names too.
    """

    chain_id: int
    registry: str
    file: Path | None = None
    partners: tuple[str, ...] = ()
    threshold: int = 1
    rpc: tuple[str, ...] = field(default=(), repr=False)
    quorum: int = 2
    source: str = ""
    poll_every: Seconds = Seconds(30.0)
    max_head_age: Seconds = Seconds(3600.0)
    names: str = ""

    @property
    def reads_chain(self) -> bool:
        """Whether membership comes from the chain.

        Raises:
            ConfigError: If `source` is neither of the two.
        """
        if self.source not in {"", "chain", "file"}:
            raise ConfigError(
                f'membership.source is {self.source!r}; write "chain" or "file"'
            )
        return self.source == "chain" or (not self.source and bool(self.rpc))

    def network(self) -> Network:
        """Return which network this is.

        Raises:
            ConfigError: If chain id or address is not what it should be.
        """
        if not 0 <= self.chain_id < 1 << 64:
            raise ConfigError(f"membership.chain_id is {self.chain_id}, not a chain id")
        return Network(self.chain_id, _hex(self.registry, 20, "registry"))

    def names_address(self) -> bytes | None:
        """Return the address of the contract of names, 20 bytes; None without one.

        Raises:
            ConfigError: If it is not what it should be.
        """
        return _hex(self.names, 20, "names") if self.names else None

    def check_endpoints(self) -> None:
        """See that the chain can be read with these settings.

        Raises:
            ConfigError: If not; the text never repeats a URL.
        """
        for url in self.rpc:
            check_url(url, "membership.rpc")
        if len(set(self.rpc)) != len(self.rpc):
            raise ConfigError("membership.rpc names one endpoint twice; it counts once")
        if not 1 <= self.quorum <= len(self.rpc):
            raise ConfigError(
                f"membership.quorum is {self.quorum} with {len(self.rpc)} endpoints; "
                "name at least as many endpoints of different owners"
            )
        if self.poll_every <= 0 or self.max_head_age <= 0:
            raise ConfigError("membership.poll_every and max_head_age are above 0")

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
        return TrustAnchor(self.network(), partners, self.threshold)


class Membership(Protocol):
    """Keeps one registry up to date; see `psp.runtime.chain_membership.open_membership`."""

    @property
    def registry(self) -> Registry:
        """The registry; one object for as long as the process lives."""
        ...

    @property
    def explanation(self) -> str:
        """Where the registry comes from and how it stands, in a sentence."""
        ...

    @property
    def knows_users(self) -> bool:
        """Whether the registry can tell who is a registered user."""
        ...

    def file(self) -> bytes | None:
        """Return the trusted partners' file in use, to serve to others; None without."""
        ...

    def take_file(self, data: bytes) -> bool:
        """Take over a file that another node served; tell whether it was newer."""
        ...

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Keep up for ever; call ``on_change`` after each change."""
        ...

    async def close(self) -> None:
        """Let go of connections; save what is kept."""
        ...


class FileMembership:
    """Membership by the trusted partners' file alone.

    Attributes:
        registry: What the file says.
        knows_users: Always.
    """

    knows_users = True

    def __init__(
        self,
        config: MembershipConfig,
        unix_time: Callable[[], float],
        log: FilteringBoundLogger,
        lowest_sequence: int = 0,
    ) -> None:
        """Read the file for the first time.

        Raises:
            ConfigError: If it is missing or refused; the text says why.
        """
        self._config = config
        self._unix_time = unix_time
        self._log = log
        self.registry = open_registry(config, self._now(), lowest_sequence)

    @property
    def explanation(self) -> str:
        """Where the registry comes from and how it stands, in a sentence."""
        state = self.registry.freshness(self._now())
        return f"file {self.registry.sequence} of the trusted partners, {state.value}"

    def file(self) -> bytes | None:
        """Return the file in use."""
        return self.registry.data

    def take_file(self, data: bytes) -> bool:
        """Take over a newer file; it verifies itself."""
        try:
            return self.registry.update(data, self._now())
        except RegistryRefusedError as error:
            self._log.warning("registry_refused", error=str(error))
            return False

    async def look(self) -> bool:
        """Look at the file once; tell whether it was newer. Never fails."""
        try:
            data = await asyncio.to_thread(_read, self._config.file)
        except ConfigError as error:
            self._log.warning("registry_refused", error=str(error))
            return False
        is_newer = self.take_file(data)
        if is_newer:
            self._log.info("registry_updated", sequence=self.registry.sequence)
        return is_newer

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Take over newer files for ever; call ``on_change`` after each."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if await self.look():
                on_change()

    async def close(self) -> None:
        """Hold nothing open."""

    def _now(self) -> UnixTime:
        return UnixTime(int(self._unix_time()))


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
    data = _read(config.file)
    anchor = config.anchor()
    try:
        return TrustedFileRegistry.open(
            data, anchor, unix_now, lowest_sequence=lowest_sequence
        )
    except RegistryRefusedError as error:
        raise ConfigError(f"{config.file}: {error}; {_CURES[error.refusal]}") from None


def _read(path: Path | None) -> bytes:
    if path is None:
        raise ConfigError(
            "membership has neither rpc endpoints of a chain nor a file of the trusted "
            "partners; set membership.rpc or membership.file"
        )
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
