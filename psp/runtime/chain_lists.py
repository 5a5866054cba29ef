"""The lists of nodes and users at one block, read until they can be believed.

The list of nodes is whole because its words make the proven storage root of NodeBook,
whose storage holds nothing else. Where that cannot be shown (chains whose tries are not
canonical; users, whose contract holds more than users) enough endpoints must give the
very same bytes, and one voice alone is never enough for nodes.
"""

import asyncio
import enum
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from psp.crypto.primitives import sha256
from psp.directory.chain import layout, records, users
from psp.directory.chain.proof import ProvenAccount
from psp.directory.chain.records import BookTrie, ListedNode, NodeList
from psp.directory.chain.users import ListedUser, UserList
from psp.directory.chain.view import ChainView
from psp.errors import DecodeError
from psp.runtime.chain_pages import Pages
from psp.runtime.quorum import ChainReadError, NoQuorumError, QuorumRpc, Rpc
from psp.runtime.rpc import RpcError, RpcUnavailableError
from psp.wire.network import Network

ItemT = TypeVar("ItemT")

LONE_VOICE = 1
"""One endpoint may be all there is; its list of nodes must then be proven."""


class ContractError(ChainReadError):
    """The contracts are not there, or not those that belong together."""


class Completeness(enum.StrEnum):
    """Why a listing is believed to be whole."""

    PROVEN = "proven"
    QUORUM = "quorum"


class ChainLists:
    """Reads one network's lists.

    Attributes:
        completeness: Why the last list of nodes was believed.
    """

    def __init__(self, rpc: QuorumRpc, network: Network) -> None:
        """Start with nothing read."""
        self.completeness = Completeness.PROVEN
        self._rpc = rpc
        self._network = network
        self._users_root = b""
        self._trie = BookTrie(network.registry)

    async def nodes(
        self,
        height: int,
        address: bytes,
        book: ProvenAccount,
        previous: ChainView | None,
    ) -> NodeList:
        """Return all nodes, verified.

        Args:
            height: Of the block.
            address: Of NodeBook.
            book: Its proven account, with its number of nodes.
            previous: An earlier view: what it has is not read again.

        Raises:
            ChainReadError: If no list can be believed now.
        """
        root = book.account.storage_root
        if previous is not None and previous.book_root == root:
            return previous.nodes
        count = book.words[layout.BOOK_COUNT]
        if count > records.MAX_NODES:
            raise ContractError(f"the registry lists {count} nodes, too many to read")
        held = previous.nodes.listed if previous is not None else ()

        async def read(rpc: Rpc) -> tuple[ListedNode, ...]:
            pages = Pages(rpc, address, height)
            return await pages.nodes(held, count)

        async def is_whole(listed: Sequence[ListedNode]) -> bool:
            return await asyncio.to_thread(self._trie.root, listed) == root

        listed, self.completeness = await self._believe(
            read,
            records.join_listing,
            is_whole=is_whole,
            voices=max(self._rpc.quorum, LONE_VOICE + 1),
        )
        before = previous.nodes if previous is not None else None
        return await asyncio.to_thread(
            records.read_nodes, self._network, listed, before
        )

    async def users(
        self,
        height: int,
        address: bytes,
        registered: ProvenAccount,
        previous: ChainView | None,
    ) -> UserList:
        """Return all users, verified; arguments as for `nodes`.

        Raises:
            ChainReadError: If no list can be believed now.
        """
        root = registered.account.storage_root
        held = previous.users if previous is not None else None
        if held is not None and root == self._users_root:
            return held
        count = registered.words[layout.USERS_COUNT]
        if count > users.MAX_USERS:
            raise ContractError(f"the registry lists {count} users, too many to read")
        listed_before = held.listed if held is not None else ()

        async def read(rpc: Rpc) -> tuple[ListedUser, ...]:
            pages = Pages(rpc, address, height)
            return await pages.users(listed_before, count)

        listed, _ = await self._believe(
            read, users.join_users, is_whole=None, voices=self._rpc.quorum
        )
        found = await asyncio.to_thread(users.read_users, self._network, listed, held)
        self._users_root = root
        return found

    async def _believe(
        self,
        read: Callable[[Rpc], Awaitable[tuple[ItemT, ...]]],
        join: Callable[[tuple[ItemT, ...]], bytes],
        *,
        is_whole: Callable[[tuple[ItemT, ...]], Awaitable[bool]] | None,
        voices: int,
    ) -> tuple[tuple[ItemT, ...], Completeness]:
        """Read from one endpoint after the other until a listing can be believed.

        Args:
            read: Reads it from one endpoint.
            join: Makes it bytes.
            is_whole: Proves it; None where that cannot be.
            voices: How many must give the same where it is not proven.
        """
        counts: Counter[bytes] = Counter()
        reasons: list[str] = []
        for rpc in self._rpc.ordered():
            try:
                listed = await read(rpc)
            except (DecodeError, RpcError, RpcUnavailableError) as error:
                self._rpc.judge(rpc, is_good=False)
                reasons.append(str(error))
                continue
            if is_whole is not None and await is_whole(listed):
                return listed, Completeness.PROVEN
            name = sha256(join(listed))
            counts[name] += 1
            if counts[name] >= voices:
                return listed, Completeness.QUORUM
        raise NoQuorumError(
            f"{counts.total()} of {len(self._rpc)} endpoints gave a list, none of them "
            f"proven whole, and no {voices} the same {'; '.join(reasons)}".rstrip()
        )
