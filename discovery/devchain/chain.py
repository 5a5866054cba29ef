"""Blocks on a file: reading them, adding one, taking some back.

The random word of a block (PREVRANDAO, the header's mixHash) follows from its parent
and from the branch, a number that grows with each reorganisation: the blocks that
replace others differ from them even if they hold the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from eth_utils.crypto import keccak

from discovery.devchain.blocks import (
    CallResult,
    Executed,
    Header,
    Message,
    Sealed,
    Transaction,
)
from discovery.devchain.evm import (
    BlockBuilder,
    Evm,
    decode_header,
    encode_header,
)
from discovery.devchain.nodes import StateNodes
from discovery.devchain.state_trie import Account, AccountProof, StateReader
from discovery.devchain.store import BlockRow, ChainStore, LogRow, TransactionRow

MAX_ANCESTORS = 256
"""Blocks whose hash BLOCKHASH can see (yellow paper, 9.4)."""

MAX_CACHED_CALLS = 256
"""Results of calls that are remembered, the oldest goes for a new one: every node of a
network asks for the same pages of the same block."""

MAX_CACHED_OUTPUT = 1 << 16
"""Bytes; a longer result is not remembered. So all of them are at most 16 MB."""


class Chain:
    """The canonical chain of one file.

    Attributes:
        store: The file; for rows that need no meaning.
        evm: Execution; for decoding and signing transactions.
        head: Header of the newest block.
    """

    def __init__(
        self,
        store: ChainStore,
        *,
        chain_id: int,
        balances: Mapping[bytes, int],
        genesis_time: int,
        gas_limit: int,
    ) -> None:
        """Go on with the chain in the file, or start one.

        Args:
            store: The file.
            chain_id: Of a new chain; an existing file has its own.
            balances: At the start of a new chain, wei by address.
            genesis_time: Of a new chain.
            gas_limit: Of a new chain's blocks.
        """
        self.store = store
        self._nodes = StateNodes(store.node)
        self._reader = StateReader(self._nodes)
        stored = store.meta("chain_id")
        self.evm = Evm(
            int(stored or chain_id), self._nodes, self._reader, self._ancestors
        )
        self._calls: dict[tuple[bytes, Message], CallResult] = {}
        self._branch = int(store.meta("branch") or 0)
        self._header = lru_cache(1_024)(self._load_header)
        number = store.head()
        if number is None:
            self.head = self.evm.genesis_header(balances, genesis_time, gas_limit)
            with store.transaction():
                store.put_meta({"chain_id": str(chain_id)})
                store.put_nodes(self._nodes.take_new().items())
                store.put_block(_block_row(Sealed(self.head, ())))
        else:
            self.head = self._header(number)

    # ---- reading

    def header(self, number: int) -> Header | None:
        """Return a block's header; None above the head."""
        if not 0 <= number <= self.head.block_number:
            return None
        return self._header(number)

    def header_by_hash(self, block_hash: bytes) -> Header | None:
        """Return the header of a block of this chain; None for another's."""
        number = self.store.number_of(block_hash)
        return None if number is None else self._header(number)

    def account(self, header: Header, address: bytes) -> Account:
        """Return an account after this block."""
        return self._reader.account(header.state_root, address)

    def code(self, header: Header, address: bytes) -> bytes:
        """Return a contract's code after this block."""
        return self._reader.code(self.account(header, address))

    def storage(self, header: Header, address: bytes, slot: int) -> int:
        """Return a word of a contract's storage after this block."""
        storage_root = self.account(header, address).storage_root
        return self._reader.word(storage_root, slot)

    def prove(
        self, header: Header, address: bytes, slots: Sequence[int]
    ) -> AccountProof:
        """Prove an account and words of its storage after this block."""
        return self._reader.prove(header.state_root, address, slots)

    def call(self, header: Header, message: Message) -> CallResult:
        """Run a call after this block, as if in it; the same one is run once.

        Raises:
            InvalidTransactionError: If the gas does not cover the call's own cost.
        """
        key = (bytes(header.hash), message)
        result = self._calls.get(key)
        if result is None:
            result = self.evm.call(header, message)
            if len(result.output) <= MAX_CACHED_OUTPUT:
                if len(self._calls) >= MAX_CACHED_CALLS:
                    del self._calls[next(iter(self._calls))]
                self._calls[key] = result
        return result

    # ---- writing

    def pending_header(self, timestamp: int) -> Header:
        """Return the header of the block that would come next, still empty."""
        return self.evm.next_header(
            self.head, timestamp, keccak(self.head.mix_hash + self._seed())
        )

    def builder(self, header: Header) -> BlockBuilder:
        """Start a block from `pending_header`."""
        return self.evm.builder(header)

    def append(self, sealed: Sealed, meta: Mapping[str, str]) -> None:
        """Write a block and settings with it, all or nothing."""
        new = self._nodes.take_new()
        with self.store.transaction():
            self.store.put_nodes(new.items())
            self.store.put_block(_block_row(sealed))
            self.store.put_meta(dict(meta))
        self.head = sealed.header

    def discard(self) -> None:
        """Give up the block that was being built."""
        self._nodes.drop_new()

    def fund(self, address: bytes, balance: int, header: Header) -> Sealed:
        """Return an empty block after which an account has this balance."""
        return Sealed(self.evm.balance_set(header, address, balance), ())

    def rewind(self, number: int, *, branch: int | None = None) -> list[Transaction]:
        """Drop the blocks above one; return their transactions, oldest first.

        Args:
            number: The new head.
            branch: Of the blocks to come; None for one never used before.
        """
        dropped = [
            self.evm.decode_transaction(row.raw)
            for block in range(number + 1, self.head.block_number + 1)
            for row in self.store.transactions(block)
        ]
        if branch is None:
            branch = int(self.store.meta("branches") or 0) + 1
            self.store.put_meta({"branches": str(branch)})
        with self.store.transaction():
            self.store.drop_blocks_above(number)
            self.store.put_meta({"branch": str(branch)})
        self._branch = branch
        self._header.cache_clear()
        self.head = self._header(number)
        return dropped

    @property
    def branch(self) -> int:
        """Number of the branch the next blocks are on."""
        return self._branch

    def _seed(self) -> bytes:
        return bytes(self.head.hash) + self._branch.to_bytes(8, "big")

    def _load_header(self, number: int) -> Header:
        encoded = self.store.header(number)
        if encoded is None:
            raise KeyError(number)
        return decode_header(encoded)

    def _ancestors(self, header: Header) -> Iterator[bytes]:
        lowest = max(-1, header.block_number - MAX_ANCESTORS - 1)
        for number in range(header.block_number - 1, lowest, -1):
            block_hash = self.store.block_hash(number)
            if block_hash is not None:
                yield block_hash


def _block_row(sealed: Sealed) -> BlockRow:
    header = sealed.header
    number = int(header.block_number)
    logs: list[LogRow] = []
    for position, executed in enumerate(sealed.executed):
        for address, topics, data in executed.logs:
            logs.append(
                LogRow(
                    number,
                    len(logs),
                    position,
                    executed.transaction.hash,
                    address,
                    topics,
                    data,
                )
            )
    return BlockRow(
        number,
        bytes(header.hash),
        encode_header(header),
        [_transaction_row(number, i, done) for i, done in enumerate(sealed.executed)],
        logs,
    )


def _transaction_row(block: int, position: int, executed: Executed) -> TransactionRow:
    transaction = executed.transaction
    return TransactionRow(
        block,
        position,
        transaction.hash,
        transaction.raw,
        transaction.sender,
        executed.status,
        executed.gas_used,
        executed.cumulative_gas,
        executed.price,
        executed.bloom,
        executed.created,
    )
