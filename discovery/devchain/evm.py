"""The only file that knows py-evm 0.12.1b1.

py-evm is frozen (last release May 2025, Prague), so the version is pinned and what is
used of it is little: the state, a transaction's execution, the header's fields and the
decoding of transactions. Its chain database is not used. `test_evm.py` holds the list
of names and plays our blocks into py-evm's own chain, which must accept them.

::

    next_header(parent) -> BlockBuilder(header).apply(transaction)… .seal() -> Sealed
    call(header, message) -> CallResult           state is thrown away afterwards
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import rlp
from eth.abc import (
    ComputationAPI,
    ReceiptAPI,
    SignedTransactionAPI,
)
from eth.constants import (
    BLANK_ROOT_HASH,
    POST_MERGE_DIFFICULTY,
    POST_MERGE_NONCE,
    ZERO_HASH32,
)
from eth.db.trie import make_trie_root_and_nodes
from eth.exceptions import Revert
from eth.vm.chain_context import ChainContext
from eth.vm.forks.london.transactions import UnsignedDynamicFeeTransaction
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.prague.state import PragueState
from eth.vm.spoof import SpoofTransaction
from eth_bloom.bloom import BloomFilter
from eth_keys.datatypes import PrivateKey
from eth_utils.exceptions import ValidationError

from discovery.devchain import RECURSION_LIMIT
from discovery.devchain.blocks import (
    CallResult,
    Executed,
    Header,
    Message,
    Sealed,
    Transaction,
)
from discovery.devchain.call_state import CallAccounts
from discovery.devchain.nodes import StateNodes
from discovery.devchain.state_trie import StateReader

EVM_RECURSION_LIMIT = 100_000
"""What py-evm sets when it is imported: 1,024 contracts may call each other. With it, a
decoder written in C that meets deep nesting overflows the stack instead of raising
RecursionError; so it holds only while something is executed."""

sys.setrecursionlimit(RECURSION_LIMIT)

BLOB_TYPE = 3
INITIAL_BASE_FEE = 10**9
"""Wei per gas of block 0 (EIP-1559); it falls while blocks are less than half full."""

PrevHashes = Callable[[Header], Iterable[bytes]]
"""Gives the hashes of the 256 blocks before a header, newest first."""


class InvalidTransactionError(Exception):
    """The transaction cannot be in this block; the state is as before."""


class BrokenTransactionError(Exception):
    """py-evm failed on a transaction: the block it was in must be given up.

    Attributes:
        transaction: Which.
    """

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(f"py-evm failed on {transaction.hash.hex()}")
        self.transaction = transaction


class UndecodableTransactionError(Exception):
    """These bytes are no signed transaction this chain takes."""


class _CallState(PragueState):
    """State of a call: py-evm hands its database, here a StateReader, to the class."""

    account_db_class = cast(Any, CallAccounts)


class Evm:
    """Execution on top of a store of trie nodes."""

    def __init__(
        self,
        chain_id: int,
        nodes: StateNodes,
        reader: StateReader,
        prev_hashes: PrevHashes,
    ) -> None:
        self.chain_id = chain_id
        self._context = ChainContext(chain_id)
        self._nodes = nodes
        self._reader = reader
        self._prev_hashes = prev_hashes

    def genesis_header(
        self, balances: Mapping[bytes, int], timestamp: int, gas_limit: int
    ) -> Header:
        """Make block 0; the caller writes the new nodes."""
        state = self._state(_first_header(timestamp, gas_limit, BLANK_ROOT_HASH))
        for address, balance in balances.items():
            state.set_balance(address, balance)
        state.persist()
        return _first_header(timestamp, gas_limit, state.state_root)

    def next_header(self, parent: Header, timestamp: int, mix_hash: bytes) -> Header:
        """Return the header of an empty block after `parent`, state root as there."""
        header = PragueVM.create_header_from_parent(
            cast(Any, parent),
            timestamp=timestamp,
            gas_limit=parent.gas_limit,
            parent_beacon_block_root=ZERO_HASH32,
        )
        return cast(Header, header.copy(mix_hash=mix_hash))

    def builder(self, header: Header) -> "BlockBuilder":
        """Start a block from `next_header`."""
        return BlockBuilder(self._state(header), header)

    def balance_set(self, header: Header, address: bytes, balance: int) -> Header:
        """Return the header with the state in which an account has this balance."""
        state = self._state(header)
        state.set_balance(address, balance)
        state.persist()
        return header.copy(state_root=state.state_root)

    def call(self, header: Header, message: Message) -> CallResult:
        """Run a call in the state and with the numbers of `header`, for nothing.

        Raises:
            InvalidTransactionError: If the gas does not cover the call's own cost.
        """
        unsigned = self._unsigned(message, nonce=0, fees=(0, 0))
        if message.gas < unsigned.intrinsic_gas:
            raise InvalidTransactionError(
                f"intrinsic gas too low: have {message.gas}, "
                f"want {unsigned.intrinsic_gas}"
            )
        state = self._call_state(header)
        transaction = SpoofTransaction(unsigned, from_=message.sender)
        executor = state.get_transaction_executor()
        with _deep_recursion():
            computation = executor.build_computation(
                executor.build_evm_message(transaction), transaction
            )
        used = message.gas - computation.get_gas_remaining()
        if not computation.is_error:
            return CallResult(computation.output, used, None)
        error = computation.error
        if isinstance(error, Revert):
            return CallResult(computation.output, used, "reverted")
        return CallResult(b"", used, _fault(error))

    def decode_transaction(self, raw: bytes) -> Transaction:
        """Decode a signed transaction and find its sender.

        Raises:
            UndecodableTransactionError: With the reason.
        """
        try:
            transaction = PragueVM.get_transaction_builder().decode(raw)
            transaction.validate()
            chain_id = transaction.chain_id
            sender = transaction.sender
        except Exception as error:  # a frozen library meets strangers' bytes
            reason = str(error) or type(error).__name__
            raise UndecodableTransactionError(reason) from error
        kind = transaction.type_id or 0
        if kind == BLOB_TYPE:
            raise UndecodableTransactionError("blob transactions are not supported")
        if chain_id not in {None, self.chain_id}:
            raise UndecodableTransactionError(
                f"invalid chain id: have {chain_id}, want {self.chain_id}"
            )
        signed = cast(Any, transaction)
        return Transaction(signed, raw, transaction.hash, sender, kind)

    def sign(
        self, message: Message, key: bytes, nonce: int, fees: tuple[int, int]
    ) -> bytes:
        """Return the raw transaction; `fees` are the most and the tip, wei per gas."""
        unsigned = self._unsigned(message, nonce=nonce, fees=fees)
        return bytes(unsigned.as_signed_transaction(PrivateKey(key)).encode())

    def _call_state(self, header: Header) -> Any:  # noqa: ANN401 - as _state
        context = PragueVM.create_execution_context(
            cast(Any, header.copy(base_fee_per_gas=0)),
            cast(Any, self._prev_hashes(header)),
            self._context,
        )
        return _CallState(
            cast(Any, self._reader), context, cast(Any, header.state_root)
        )

    def _unsigned(
        self, message: Message, *, nonce: int, fees: tuple[int, int]
    ) -> UnsignedDynamicFeeTransaction:
        most, tip = fees
        return UnsignedDynamicFeeTransaction(
            chain_id=self.chain_id,
            nonce=nonce,
            max_priority_fee_per_gas=tip,
            max_fee_per_gas=most,
            gas=message.gas,
            to=message.to or b"",
            value=message.value,
            data=message.data,
            access_list=(),
        )

    def _state(self, header: Header) -> Any:  # noqa: ANN401 - py-evm's types are loose
        return PragueVM.build_state(
            cast(Any, self._nodes),
            cast(Any, header),
            self._context,
            cast(Any, self._prev_hashes(header)),
        )


class BlockBuilder:
    """A block in the making."""

    def __init__(self, state: Any, header: Header) -> None:  # noqa: ANN401
        self._state = state
        self._header = header
        self._executed: list[Executed] = []
        self._receipts: list[ReceiptAPI] = []
        self.gas_used = 0

    @property
    def gas_left(self) -> int:
        """Gas the block still has room for."""
        return int(self._header.gas_limit) - self.gas_used

    def apply(self, transaction: Transaction) -> None:
        """Execute a transaction.

        Raises:
            InvalidTransactionError: If it does not fit the state or the block.
            BrokenTransactionError: If py-evm fails; the builder is of no use any more.
        """
        if transaction.evm.gas > self.gas_left:
            raise InvalidTransactionError("exceeds block gas limit")
        signed = cast(SignedTransactionAPI, transaction.evm)
        self._state.lock_changes()
        try:
            with _deep_recursion():
                computation = self._state.apply_transaction(signed)
                receipt = PragueVM.make_receipt(
                    cast(Any, self._header.copy(gas_used=self.gas_used)),
                    signed,
                    computation,
                    self._state,
                )
                # Both ask every contract that was called for what those it called did.
                entries = computation.get_log_entries()
        except ValidationError as error:
            raise InvalidTransactionError(str(error)) from error
        except Exception as error:
            raise BrokenTransactionError(transaction) from error
        used = receipt.gas_used - self.gas_used
        self.gas_used = receipt.gas_used
        self._receipts.append(receipt)
        self._executed.append(
            Executed(
                transaction,
                status=0 if computation.is_error else 1,
                gas_used=used,
                cumulative_gas=self.gas_used,
                price=transaction.price(self._header.base_fee_per_gas),
                bloom=receipt.bloom.to_bytes(256, "big"),
                created=_created(computation),
                logs=tuple(
                    (
                        address,
                        tuple(topic.to_bytes(32, "big") for topic in topics),
                        data,
                    )
                    for address, topics, data in entries
                ),
            )
        )

    def seal(self) -> Sealed:
        """Compute the roots; the new trie nodes are ready to be taken."""
        self._state.persist()
        transactions_root, _ = make_trie_root_and_nodes(
            [cast(Any, executed.transaction.evm) for executed in self._executed]
        )
        receipts_root, _ = make_trie_root_and_nodes(self._receipts)
        bloom = BloomFilter()
        for executed in self._executed:
            bloom |= BloomFilter(int.from_bytes(executed.bloom, "big"))
        header = self._header.copy(
            state_root=self._state.state_root,
            transaction_root=transactions_root,
            receipt_root=receipts_root,
            bloom=int(bloom),
            gas_used=self.gas_used,
        )
        return Sealed(header, tuple(self._executed))


@contextmanager
def _deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, EVM_RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _first_header(timestamp: int, gas_limit: int, state_root: bytes) -> Header:
    header = PragueBlockHeader(
        difficulty=POST_MERGE_DIFFICULTY,
        block_number=cast(Any, 0),
        gas_limit=gas_limit,
        timestamp=timestamp,
        state_root=cast(Any, state_root),
        nonce=POST_MERGE_NONCE,
        base_fee_per_gas=INITIAL_BASE_FEE,
    )
    return cast(Header, header)


def encode_header(header: Header) -> bytes:
    """Return what the block's hash is over."""
    return bytes(rlp.encode(header))


def decode_header(encoded: bytes) -> Header:
    """Return the header."""
    return cast(Header, rlp.decode(encoded, sedes=PragueBlockHeader))


def _created(computation: ComputationAPI) -> bytes | None:
    return bytes(computation.msg.storage_address) if computation.msg.is_create else None


def _fault(error: Exception) -> str:
    """Name a fault as geth would, roughly: "out of gas", "invalid instruction"."""
    name = type(error).__name__
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
