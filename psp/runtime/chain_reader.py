"""Reads the registry from a chain: one agreed block, and everything proven against it.

::

    quorum of endpoints --> header --> state root
        --> proof of Relays --> election, trusted nodes, beacons, parameters
        --> proof of NodeBook --> its storage root --> the whole listing, rebuilt to it
        --> proof of Users --> their number --> the whole list, the same from a quorum

A single endpoint can withhold, and nothing else: what it changes is refused and the next
one is asked. The listing of all nodes is complete because its words make the proven
storage root. A chain whose tries are not canonical (anvil keeps zeros) and the list of
users, whose contract holds more than users, are believed when a quorum gives the very
same bytes.

What has not changed since the view before is not read again: an equal storage root ends
it; else 4 bytes a record say which differ.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from psp.directory.chain import layout
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.proof import ProvenAccount
from psp.directory.chain.view import ChainView, CodeHashes
from psp.errors import DecodeError
from psp.runtime.chain_lists import ChainLists, Completeness, ContractError
from psp.runtime.chain_proofs import ChainProofs, checked_state, strange_contract
from psp.runtime.quorum import (
    Agreed,
    ChainReadError,
    QuorumRpc,
    Rpc,
)
from psp.units import UnixTime
from psp.wire.network import Network

ItemT = TypeVar("ItemT")

__all__ = ["ChainReader", "Completeness", "ContractError", "Reading", "checked_state"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the chain.

    Attributes:
        view: What was read.
        agreed: Who agreed on its block.
        completeness: Why the list of nodes is whole.
    """

    view: ChainView
    agreed: Agreed
    completeness: Completeness


class ChainReader:
    """Reads one network's contracts."""

    def __init__(
        self, rpc: QuorumRpc, network: Network, *, reads_users: bool = True
    ) -> None:
        """Name the network.

        Args:
            rpc: The chain's endpoints.
            network: The chain, and the address of Relays on it.
            reads_users: Whether to read the list of users too: relays check
                registrations against it, and a client its own.
        """
        self._rpc = rpc
        self._network = network
        self._reads_users = reads_users
        self._lists = ChainLists(rpc, network)
        self._proofs = ChainProofs(rpc, network.registry)

    @property
    def rpc(self) -> QuorumRpc:
        """The chain's endpoints."""
        return self._rpc

    async def read(
        self, previous: ChainView | None = None, *, height: int | None = None
    ) -> Reading:
        """Return the registry at the newest agreed block, or at a height.

        Args:
            previous: An earlier view of this network: only differences are read.
            height: A finalised block's; None for the newest.

        Raises:
            ChainReadError: If it cannot be read now; nothing is lost.
        """
        rpc = self._rpc
        agreed = await (rpc.newest() if height is None else rpc.at(height))
        header = agreed.header
        if (
            previous is not None
            and (header.number, header.hash) == (previous.height, previous.block_hash)
            and (previous.users is not None or not self._reads_users)
        ):
            return Reading(previous, agreed, self._lists.completeness)
        relays = await self.prove_relays(header)
        state = checked_state(relays, header)
        slots = (layout.BOOK_KEEPER, layout.BOOK_COUNT)
        book, registered = await asyncio.gather(
            self.prove(header, state.book, slots),
            self.prove(header, state.users, (layout.USERS_COUNT,)),
        )
        if book.words[layout.BOOK_KEEPER] != int.from_bytes(self._network.registry):
            raise ContractError(
                "the record contract belongs to another registry; check "
                "membership.registry"
            )
        height = header.number
        nodes = await self._lists.nodes(height, state.book, book, previous)
        user_list = None
        if self._reads_users:
            user_list = await self._lists.users(
                height, state.users, registered, previous
            )
        try:
            view = ChainView(
                network=self._network,
                height=header.number,
                block_hash=header.hash,
                timestamp=header.timestamp,
                code_hashes=CodeHashes(
                    relays.account.code_hash,
                    book.account.code_hash,
                    registered.account.code_hash,
                ),
                book_root=book.account.storage_root,
                state=state,
                nodes=nodes,
                users=user_list,
            )
        except DecodeError as error:
            raise strange_contract(error) from None
        return Reading(view, agreed, self._lists.completeness)

    async def block_at(self, height: int) -> BlockHeader:
        """Return the agreed block of a height, to see whether history has changed.

        Raises:
            ChainReadError: If there is no agreement on it.
        """
        return (await self._rpc.at(height)).header

    async def view_at(
        self, start: UnixTime, previous: ChainView | None = None
    ) -> ChainView | None:
        """Return the registry at the first finalised block not before a time.

        Args:
            start: Such as an epoch's beginning; every honest reader gets the same view.
            previous: An earlier view: only differences are read.

        Raises:
            ChainReadError: If it cannot be read now.
        """
        newest = (await self._rpc.newest()).header
        if newest.timestamp < start:
            return None
        height = await self.first_block(start, newest)
        reading = await self.read(previous, height=height)
        before = await self._rpc.at(height - 1) if height else None
        if reading.view.timestamp < start or (
            before is not None and before.header.timestamp >= start
        ):
            raise ChainReadError("no agreement on the first block after a time")
        return reading.view

    async def first_block(self, start: int, newest: BlockHeader) -> int:
        """Search for the first block not before ``start``, at most ``newest``.

        One endpoint's word: the caller checks the result under the quorum.

        Raises:
            ChainReadError: If no endpoint answers.
        """

        async def search(rpc: Rpc) -> int:
            low, high = 0, newest.number
            while low < high:
                middle = (low + high) // 2
                answer = await rpc.call("eth_getBlockByNumber", hex(middle), False)  # noqa: FBT003
                if BlockHeader.from_json(answer).timestamp >= start:
                    high = middle
                else:
                    low = middle + 1
            return low

        return await self._rpc.ask_any(search, "the first block after a time")

    # ---- proofs

    async def prove_relays(self, header: BlockHeader) -> ProvenAccount:
        """Return what `read_state` needs of Relays; see `ChainProofs.prove_relays`."""
        return await self._proofs.prove_relays(header)

    async def prove(
        self, header: BlockHeader, address: bytes, slots: Sequence[int]
    ) -> ProvenAccount:
        """Return proven words of one contract; see `ChainProofs.prove`."""
        return await self._proofs.prove(header, address, slots)
