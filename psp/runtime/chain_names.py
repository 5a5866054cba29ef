"""The registered names at a block, proven whole, and kept for the next start.

Every list is rebuilt to the storage root that the block's state proves for the contract;
the contract itself is known by its code, and names the network's users in its storage.
So one honest endpoint suffices, on any chain with proofs, and none is asked for a single
name: which ones a client looks up, nobody can see.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from psp.directory.chain import layout
from psp.directory.chain.cache import open_names, seal_names
from psp.directory.chain.names import (
    CODE_HASH,
    MAX_NAMES,
    ListedName,
    NameDoubt,
    NameList,
    NamesTrie,
    read_names,
)
from psp.directory.chain.proof import ProvenAccount
from psp.directory.chain.registry import ChainRegistry
from psp.directory.chain.users import UserList
from psp.errors import ConfigError, DecodeError
from psp.runtime import private_files
from psp.runtime.chain_cache import SAVE_EVERY
from psp.runtime.chain_pages import Pages
from psp.runtime.chain_reader import ChainReader, ContractError, Reading
from psp.runtime.quorum import ChainReadError, Rpc

CACHE_FILE = "names"
_MAX_CACHE_BYTES = 8 << 20
_SLOTS = (layout.NAMES_USERS, layout.NAMES_DEPOSIT, layout.NAMES_COUNT)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Names, and the users that they were counted by: the same until one expires."""

    names: NameList
    users: UserList

    @property
    def until(self) -> int:
        """Until when they are the same, if nothing else changes."""
        return min(
            (
                record.expires
                for record, verdict in zip(
                    self.names.listed, self.names.verdicts, strict=True
                )
                if not isinstance(verdict, NameDoubt)
            ),
            default=self.names.timestamp,
        )


class ChainNames:
    """Reads the names of one network.

    Attributes:
        deposit: What a name costs as long as it is kept, in wei; 0 before it was read.
    """

    def __init__(self, reader: ChainReader, address: bytes) -> None:
        """Name the contract; nothing is read yet.

        Args:
            reader: Of the network's other contracts, for its endpoints and proofs.
            address: Of the contract of names, 20 bytes.
        """
        self._reader = reader
        self.deposit = 0
        self._address = address
        self._root = b""
        self._listed: tuple[ListedName, ...] = ()
        self._trie: NamesTrie | None = None
        self._counted: _Counted | None = None

    async def read(
        self, reading: Reading, held: tuple[ListedName, ...] = ()
    ) -> NameList:
        """Return all names at the block of a reading.

        Args:
            reading: Of the registry at that block, with its users.
            held: Records that another reader has read: what they have is not read
                again.

        Raises:
            ContractError: If there is no contract of names of this network.
            ChainReadError: If they cannot be read now.
        """
        view = reading.view
        if view.users is None:
            raise ContractError("names mean nothing without the list of users")
        proven = await self._prove(reading)
        if proven.account.storage_root != self._root:
            self._listed = await self._whole(proven, self._listed or held, view.height)
            self._root = proven.account.storage_root
            self._counted = None
        last = self._counted
        if last is None or last.users is not view.users or view.timestamp > last.until:
            names = await asyncio.to_thread(
                read_names, self._listed, view.users, view.timestamp
            )
            self._counted = last = _Counted(names, view.users)
        return replace(last.names, timestamp=view.timestamp)

    async def _prove(self, reading: Reading) -> ProvenAccount:
        name = f"the contract at membership.names (0x{self._address.hex()})"
        try:
            proven = await self._reader.prove(
                reading.agreed.header, self._address, _SLOTS
            )
        except ContractError:
            raise ContractError(
                f"{name} is not there at block {reading.view.height}; check the address"
            ) from None
        if proven.account.code_hash != CODE_HASH:
            raise ContractError(
                f"{name} is not the contract of names that this program knows; check "
                "the address"
            )
        users = int.from_bytes(reading.view.state.users)
        if proven.words[layout.NAMES_USERS] != users:
            raise ContractError(f"{name} names users of another network")
        if proven.words[layout.NAMES_COUNT] > MAX_NAMES:
            raise ContractError(f"{name} lists more than {MAX_NAMES} names")
        self.deposit = proven.words[layout.NAMES_DEPOSIT]
        return proven

    async def _whole(
        self, proven: ProvenAccount, held: tuple[ListedName, ...], height: int
    ) -> tuple[ListedName, ...]:
        """Read the list from one endpoint after the other until it is proven."""
        if self._trie is None:
            self._trie = NamesTrie(
                proven.words[layout.NAMES_USERS].to_bytes(20),
                proven.words[layout.NAMES_DEPOSIT],
            )
        trie, count = self._trie, proven.words[layout.NAMES_COUNT]

        async def ask(rpc: Rpc) -> tuple[ListedName, ...]:
            listed = await Pages(rpc, self._address, height).names(held, count)
            root = await asyncio.to_thread(trie.root, listed)
            if root != proven.account.storage_root:
                raise DecodeError("a list of names that the chain does not hold")
            return listed

        return await self._reader.rpc.ask_any(ask, "the registered names")


class NamesFollower:
    """Keeps a registry's names up to date, and on this host's disk.

    Attributes:
        failure: Why the last look failed, in a sentence; empty if it did not.
    """

    def __init__(
        self,
        registry: ChainRegistry,
        reader: ChainReader | None,
        address: bytes | None,
        cache: tuple[Path, bytes],
        log: FilteringBoundLogger,
    ) -> None:
        """Nothing is read yet.

        Args:
            registry: Gets the names.
            reader: Of the network; None without endpoints.
            address: Of the contract, 20 bytes; None if names are not wanted.
            cache: A private directory, and a key of 32 bytes for the file there.
            log: Where to say what fails.
        """
        self.failure = ""
        self._registry = registry
        self._address = address
        self._reader: ChainNames | None = None
        if reader is not None and address is not None:
            self._reader = ChainNames(reader, address)
        self._path = cache[0] / CACHE_FILE
        self._key = cache[1]
        self._log = log
        self._saved = 0
        self._read_at = b""

    def load(self) -> None:
        """Give the registry the names on disk, counted by the view that it has."""
        view = self._registry.view
        if self._address is None or view is None or view.users is None:
            return
        try:
            data = private_files.read(self._path, _MAX_CACHE_BYTES)
            listed, timestamp = open_names(data, self._address, self._key)
        except FileNotFoundError:
            return
        except (DecodeError, ConfigError) as error:
            self._log.warning("names_cache_unusable", why=str(error))
            return
        self._registry.adopt_names(read_names(listed, view.users, timestamp))
        self._saved = timestamp

    async def look(self, reading: Reading) -> None:
        """Read the names at a block that was just adopted. Never fails."""
        names = self._registry.names
        view = self._registry.view
        if self._reader is None or view is None or view is not reading.view:
            return
        if view.block_hash == self._read_at:
            return
        try:
            found = await self._reader.read(
                reading, () if names is None else names.listed
            )
        except (ChainReadError, DecodeError) as error:
            if str(error) != self.failure:
                self._log.warning("names_not_read", why=str(error))
            self.failure = str(error)
            return
        self.failure, self._read_at = "", view.block_hash
        self._registry.adopt_names(found)
        is_due = found.timestamp >= self._saved + SAVE_EVERY
        if is_due or names is None or found.listed != names.listed:
            self.save()

    def save(self) -> None:
        """Keep the names; a full disk must not end the following."""
        names = self._registry.names
        if self._address is None or names is None or names.timestamp == self._saved:
            return
        try:
            private_files.replace(
                self._path, seal_names(names, self._address, self._key)
            )
        except ConfigError as error:
            self._log.warning("names_not_kept", error=str(error))
            return
        self._saved = names.timestamp
