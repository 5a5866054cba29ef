"""The registry at one block: everything that was read and verified there, in one value.

A view is made by whoever reads the chain (`psp.runtime`) or believes somebody who did
(a cache, the discovery nodes' hand-over). Encoded it is a MessagePack array, one
spelling only. Reading it verifies every record's own signature again; that the rest is
what the chain says is for the caller to know.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Self

import msgspec

from psp.crypto.kdf import Label
from psp.crypto.primitives import sha256
from psp.directory.chain.layout import MAX_RECORD_WORDS, USER_WORDS, WORD, epoch_at
from psp.directory.chain.records import (
    MAX_NODES,
    NodeList,
    read_nodes,
    recall_nodes,
    split_listing,
)
from psp.directory.chain.state import (
    BEACON_LOOK_BACK,
    MAX_BEACONS,
    ElectionState,
    StateError,
)
from psp.directory.chain.users import (
    MAX_USERS,
    ListedUser,
    UserList,
    read_users,
    recall_users,
    split_users,
)
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.units import UnixTime
from psp.wire.network import Network

FORMAT = "psp-chain-view-v1"

_Bytes20 = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
_Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Int = Annotated[int, msgspec.Meta(ge=0)]
_Numbers = Annotated[tuple[_Int, ...], msgspec.Meta(max_length=256)]


@dataclass(frozen=True, slots=True)
class CodeHashes:
    """Keccak-256 of the contracts' code, 32 bytes each.

    Attributes:
        relays: Its parameters are part of its code.
        book: The same for every network.
        users: The same for every network.
    """

    relays: bytes
    book: bytes
    users: bytes


@dataclass(frozen=True, slots=True)
class ChainView:
    """The registry at one block.

    Attributes:
        network: Which network.
        height: Number of the block.
        block_hash: Its name, 32 bytes.
        timestamp: When it was made.
        code_hashes: Of the three contracts.
        book_root: Storage root of NodeBook, 32 bytes: as long as it stays the same, no
            record has changed.
        state: Elections, trusted nodes, daily values.
        nodes: All nodes.
        users: All users; None if they were not read.
    """

    network: Network
    height: int
    block_hash: bytes = field(repr=False)
    timestamp: UnixTime
    code_hashes: CodeHashes = field(repr=False)
    book_root: bytes = field(repr=False)
    state: ElectionState
    nodes: NodeList
    users: UserList | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse contradictions.

        Raises:
            StateError: If the parts cannot belong to one block.
        """
        state = self.state
        if self.timestamp < state.genesis or state.epoch != epoch_at(
            self.timestamp, state.genesis, state.epoch_length
        ):
            raise StateError(f"epoch {state.epoch} at a block of {self.timestamp}")
        chosen = {*state.elected, *state.retiring, *state.trusted}
        if max(chosen, default=0) > len(self.nodes.listed):
            raise StateError("a chosen node that is not in the book")

    @property
    def listing(self) -> bytes:
        """The listing of all nodes."""
        return self.nodes.listing

    @property
    def digest(self) -> bytes:
        """SHA-256 of the listing, 32 bytes."""
        return sha256(self.listing)

    def elected(self) -> tuple[NodeId, ...]:
        """Return the discovery nodes of the list in force that still count, sorted."""
        return self._ids(self.state.elected)

    def retiring(self) -> tuple[NodeId, ...]:
        """Return those of the list before that still count, sorted.

        Nodes that were elected again are not among them.
        """
        again = set(self.state.elected)
        return self._ids(n for n in self.state.retiring if n not in again)

    def trusted(self) -> tuple[NodeId, ...]:
        """Return the trusted partners' nodes that still count, sorted."""
        return self._ids(self.state.trusted)

    def random_value(self, day: int) -> bytes | None:
        """Return the 32 random bytes of a day, or None if unknown.

        Where none was drawn, the value of the nearest of seven earlier days stands in,
        hashed with the day. For tomorrow that may change until the day begins.
        """
        beacons = self.state.beacons
        if day in beacons:
            return beacons[day]
        for earlier in range(day - 1, day - 1 - BEACON_LOOK_BACK, -1):
            if earlier in beacons:
                return sha256(Label.BEACON, beacons[earlier], day.to_bytes(WORD))
        return None

    def encode(self) -> bytes:
        """Return the view for the disk or the wire."""
        return msgspec.msgpack.encode(_View.of(self))

    @property
    def flags(self) -> tuple[bytes, bytes]:
        """The verdicts on all nodes and users, for a cache that only we can write."""
        return self.nodes.flags, b"" if self.users is None else self.users.flags

    @staticmethod
    def decode(
        data: bytes,
        network: Network,
        previous: "ChainView | None" = None,
        *,
        flags: tuple[bytes, bytes] | None = None,
    ) -> "ChainView":
        """Read a view; every record's signature is verified, 0.13 ms each.

        Args:
            data: What `encode` returned.
            network: The network the reader is on.
            previous: Another view: records that stand in it as well are verified
                already.
            flags: Of the same view; then nothing is verified.

        Raises:
            DecodeError: If it is not a view of this network.
        """
        try:
            view = msgspec.msgpack.decode(data, type=_View)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise DecodeError("not a view of a chain") from None
        if (view.chain_id, view.registry) != (network.chain_id, network.registry):
            raise DecodeError("a view of another network")
        if msgspec.msgpack.encode(view) != data:
            raise DecodeError("a view has one spelling, this is another")
        return view.read(network, previous, flags)

    def _ids(self, numbers: Iterable[int]) -> tuple[NodeId, ...]:
        known = self.nodes.numbers
        return tuple(sorted({known[n] for n in numbers if n in known}))


class _State(msgspec.Struct, array_like=True, frozen=True):
    genesis: _Int
    epoch_length: _Int
    unbonding: _Int
    seats: _Int
    seed_delay: _Int
    sortition: bool
    self_only: bool
    strategy: _Int
    min_stake: Annotated[bytes, msgspec.Meta(min_length=12, max_length=12)]
    book: _Bytes20
    users: _Bytes20
    epoch: _Int
    list_epoch: _Int
    elected: _Numbers
    retiring_epoch: _Int
    retiring: _Numbers
    seed_target: _Int
    next_seed: Annotated[bytes, msgspec.Meta(max_length=32)]
    trusted: _Numbers
    beacons: Annotated[
        tuple[tuple[_Int, _Bytes32], ...], msgspec.Meta(max_length=MAX_BEACONS)
    ]

    @classmethod
    def of(cls, state: ElectionState) -> Self:
        return cls(
            state.genesis,
            state.epoch_length,
            state.unbonding,
            state.seats,
            state.seed_delay,
            state.sortition,
            state.self_only,
            state.strategy,
            state.min_stake.to_bytes(12),
            state.book,
            state.users,
            state.epoch,
            state.list_epoch,
            state.elected,
            state.retiring_epoch,
            state.retiring,
            state.seed_target,
            state.next_seed,
            state.trusted,
            tuple(sorted(state.beacons.items())),
        )

    def read(self) -> ElectionState:
        return ElectionState(
            genesis=UnixTime(self.genesis),
            epoch_length=self.epoch_length,
            unbonding=self.unbonding,
            seats=self.seats,
            seed_delay=self.seed_delay,
            sortition=self.sortition,
            self_only=self.self_only,
            strategy=self.strategy,
            min_stake=int.from_bytes(self.min_stake),
            book=self.book,
            users=self.users,
            epoch=self.epoch,
            list_epoch=self.list_epoch,
            elected=self.elected,
            retiring_epoch=self.retiring_epoch,
            retiring=self.retiring,
            seed_target=self.seed_target,
            next_seed=self.next_seed,
            trusted=self.trusted,
            beacons=_beacons(self.beacons),
        )


class _View(msgspec.Struct, array_like=True, frozen=True, tag=FORMAT):
    chain_id: _Int
    registry: _Bytes20
    height: _Int
    block_hash: _Bytes32
    timestamp: _Int
    code_hashes: tuple[_Bytes32, _Bytes32, _Bytes32]
    book_root: _Bytes32
    state: _State
    nodes: Annotated[
        bytes, msgspec.Meta(max_length=MAX_NODES * MAX_RECORD_WORDS * WORD)
    ]
    users: (
        Annotated[bytes, msgspec.Meta(max_length=MAX_USERS * USER_WORDS * WORD)] | None
    )

    @classmethod
    def of(cls, view: ChainView) -> Self:
        code = view.code_hashes
        return cls(
            view.network.chain_id,
            view.network.registry,
            view.height,
            view.block_hash,
            view.timestamp,
            (code.relays, code.book, code.users),
            view.book_root,
            _State.of(view.state),
            view.listing,
            None if view.users is None else view.users.listing,
        )

    def read(
        self,
        network: Network,
        previous: ChainView | None,
        flags: tuple[bytes, bytes] | None,
    ) -> ChainView:
        nodes = split_listing(self.nodes)
        users = None if self.users is None else split_users(self.users)
        return ChainView(
            network=network,
            height=self.height,
            block_hash=self.block_hash,
            timestamp=UnixTime(self.timestamp),
            code_hashes=CodeHashes(*self.code_hashes),
            book_root=self.book_root,
            state=self.state.read(),
            nodes=(
                recall_nodes(network, nodes, flags[0])
                if flags
                else read_nodes(network, nodes, previous.nodes if previous else None)
            ),
            users=_users(network, users, previous, flags),
        )


def _users(
    network: Network,
    listed: tuple[ListedUser, ...] | None,
    previous: ChainView | None,
    flags: tuple[bytes, bytes] | None,
) -> UserList | None:
    if listed is None:
        return None
    if flags:
        return recall_users(network, listed, flags[1])
    return read_users(network, listed, previous.users if previous else None)


def _beacons(pairs: Sequence[tuple[int, bytes]]) -> dict[int, bytes]:
    beacons = dict(pairs)
    if len(beacons) != len(pairs) or list(beacons) != sorted(beacons):
        raise DecodeError("days that do not rise")
    return beacons
