"""Headers, transactions and what became of them: plain values, without py-evm.

`evm` makes them; everybody else only reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self


class Header(Protocol):
    """A block's header; py-evm's own, of which this is what we read.

    The hash is keccak of `encode_header`, which has these fields in another order.
    """

    block_number: int
    timestamp: int
    parent_hash: bytes
    uncles_hash: bytes
    coinbase: bytes
    state_root: bytes
    transaction_root: bytes
    receipt_root: bytes
    bloom: int
    difficulty: int
    gas_limit: int
    gas_used: int
    extra_data: bytes
    mix_hash: bytes
    nonce: bytes
    base_fee_per_gas: int
    withdrawals_root: bytes
    blob_gas_used: int
    excess_blob_gas: int
    parent_beacon_block_root: bytes
    requests_hash: bytes

    @property
    def hash(self) -> bytes:
        """Of the block."""
        ...

    def copy(self, **changes: object) -> Self:
        """Return a header with some fields changed."""
        ...


class Signed(Protocol):
    """The fields of a signed transaction; py-evm's own, of which this is what we read.

    `to` is empty if it creates a contract; `chain_id` is None in a legacy transaction
    from before EIP-155. A legacy transaction shows its price as both fees.
    """

    chain_id: int | None
    nonce: int
    gas: int
    to: bytes
    value: int
    data: bytes
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    access_list: Sequence[tuple[bytes, Sequence[int]]]
    y_parity: int
    r: int
    s: int
    intrinsic_gas: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed transaction.

    Attributes:
        evm: As py-evm knows it.
        raw: The encoding that was hashed.
        hash: 32 bytes.
        sender: Who signed, 20 bytes.
        type: 0 legacy, 1 access list, 2 dynamic fee, 4 set code.
    """

    evm: Signed
    raw: bytes
    hash: bytes
    sender: bytes
    type: int

    @property
    def nonce(self) -> int:
        """Number among the sender's transactions."""
        return int(self.evm.nonce)

    @property
    def max_cost(self) -> int:
        """Wei the sender must have."""
        return int(self.evm.value + self.evm.gas * self.evm.max_fee_per_gas)

    def price(self, base_fee: int) -> int:
        """Return the wei per gas that are paid in a block of this base fee."""
        return int(
            min(self.evm.max_fee_per_gas, base_fee + self.evm.max_priority_fee_per_gas)
        )


@dataclass(frozen=True, slots=True)
class Message:
    """A call without a signature; None as recipient creates a contract."""

    sender: bytes
    to: bytes | None
    gas: int
    value: int = 0
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call did.

    Attributes:
        output: What it returned; the reason's data if it reverted.
        gas_used: Before refunds, with the intrinsic gas.
        error: None, "reverted" or another fault's name.
    """

    output: bytes
    gas_used: int
    error: str | None

    @property
    def is_reverted(self) -> bool:
        """Whether the contract refused, as opposed to failed."""
        return self.error == "reverted"


@dataclass(frozen=True, slots=True)
class Executed:
    """A transaction's outcome in a block. `logs` are (address, topics, data)."""

    transaction: Transaction
    status: int
    gas_used: int
    cumulative_gas: int
    price: int
    bloom: bytes
    created: bytes | None
    logs: tuple[tuple[bytes, tuple[bytes, ...], bytes], ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A finished block, not yet written."""

    header: Header
    executed: tuple[Executed, ...]
