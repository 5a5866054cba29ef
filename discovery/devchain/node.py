"""The node: a chain, a pool, a clock, and the rules by which blocks are made.

Told the wall clock, it has no thread, timer or socket; one caller at a time. With
`automine` every accepted transaction is in a block when `submit` returns; else blocks
are made by `mine`, which the service calls every `block_time` seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass

from discovery.devchain.accounts import dev_account
from discovery.devchain.blocks import Header, Transaction
from discovery.devchain.chain import Chain
from discovery.devchain.clock import ChainClock
from discovery.devchain.config import DevChainConfig, RpcLimits
from discovery.devchain.errors import RpcError, refuse, refuse_params
from discovery.devchain.evm import (
    BlockBuilder,
    BrokenTransactionError,
    InvalidTransactionError,
)
from discovery.devchain.mempool import Mempool
from discovery.devchain.store import ChainStore

MAX_SNAPSHOTS = 256
"""The oldest is forgotten for a new one."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `revert` goes back to."""

    number: int
    block_hash: bytes
    branch: int
    offset: int
    pool: tuple[Transaction, ...]


class DevNode:
    """A development chain without I/O.

    Attributes:
        config: Its settings.
        limits: What one request may ask for.
        chain: Its blocks.
        pool: What waits for a block.
        clock: Its time.
        accounts: Those the node signs for, by address.
        automine: Whether a transaction makes a block at once.
    """

    def __init__(
        self,
        config: DevChainConfig,
        now: Callable[[], float],
        limits: RpcLimits | None = None,
    ) -> None:
        """Open the file of `config`, or start a chain in it; `now` is the wall clock."""
        self.config = config
        self.limits = limits or RpcLimits()
        self.accounts = {
            account.address: account for account in map(dev_account, config.accounts)
        }
        started = int(now())
        genesis_time = started
        if config.genesis_time is not None:
            genesis_time = int(config.genesis_time)
        self._store = ChainStore(config.path)
        self.chain = Chain(
            self._store,
            chain_id=config.chain_id,
            balances=dict.fromkeys(self.accounts, config.balance),
            genesis_time=genesis_time,
            gas_limit=config.gas_limit,
        )
        stored = self._store.meta("offset")
        offset = genesis_time - started if stored is None else int(stored)
        self.clock = ChainClock(now, offset)
        self._save_clock()
        self.pool = Mempool()
        self.automine = config.block_time <= 0
        self._snapshots: dict[int, Snapshot] = {}
        self._snapshot_count = 0
        for raw in self._store.pooled():
            self._restore(self.chain.evm.decode_transaction(raw))

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    # ---- transactions

    def submit(self, transaction: Transaction) -> None:
        """Accept a transaction: into a block with `automine`, else into the pool.

        Raises:
            RpcError: If it is refused; then it leaves no trace.
        """
        if self._store.transaction_by_hash(transaction.hash) is not None:
            refuse("already known")
        self._check(transaction)
        nonce = self.nonce(transaction.sender)
        arrival, replaced = self.pool.add(transaction, nonce)
        if self.automine and transaction.nonce == nonce:
            self.mine()
            if self._store.transaction_by_hash(transaction.hash) is not None:
                return
            if self.pool.get(transaction.hash) is None:
                refuse("the transaction could not be put into a block")
        with self._store.transaction():
            self._store.put_pooled(transaction.hash, arrival, transaction.raw)
            if replaced is not None:
                self._store.drop_pooled([replaced])

    def nonce(self, sender: bytes) -> int:
        """Return an account's nonce after the newest block."""
        return self.chain.account(self.chain.head, sender).nonce

    def pending_nonce(self, sender: bytes) -> int:
        """Return the nonce a new transaction of this account should have."""
        return self.pool.next_nonce(sender, self.nonce(sender))

    def _check(self, transaction: Transaction) -> None:
        evm = transaction.evm
        floor = max(evm.intrinsic_gas, _data_floor(evm.data))
        if evm.gas < floor:
            refuse(f"intrinsic gas too low: gas {evm.gas}, minimum needed {floor}")
        if evm.gas > self.chain.head.gas_limit:
            refuse("exceeds block gas limit")
        balance = self.chain.account(self.chain.head, transaction.sender).balance
        if balance < transaction.max_cost:
            refuse(
                "insufficient funds for gas * price + value: "
                f"balance {balance}, tx cost {transaction.max_cost}"
            )
        base_fee = self.pending_header().base_fee_per_gas
        if self.automine and evm.max_fee_per_gas < base_fee:
            refuse(
                "max fee per gas less than block base fee: "
                f"maxFeePerGas {evm.max_fee_per_gas}, baseFee {base_fee}"
            )

    def _restore(self, transaction: Transaction) -> None:
        try:
            arrival, _ = self.pool.add(transaction, self.nonce(transaction.sender))
        except RpcError:  # its nonce was used by another, say
            self._store.drop_pooled([transaction.hash])
        else:
            self._store.put_pooled(transaction.hash, arrival, transaction.raw)

    # ---- blocks

    def pending_header(self) -> Header:
        """Return the header the next block would have now, still empty."""
        timestamp = self.clock.stamp(self.chain.head.timestamp)
        return self.chain.pending_header(timestamp)

    def mine(self) -> Header:
        """Make a block of what waits, even if that is nothing."""
        header = self.pending_header()
        builder, misfits = self._filled(header)
        self.clock.block_made(header.timestamp)
        self.chain.append(builder.seal(), self._clock_meta())
        self._forget([*misfits, *self.pool.stale(self.nonce)])
        return self.chain.head

    def _filled(self, header: Header) -> tuple[BlockBuilder, list[Transaction]]:
        while True:
            builder = self.chain.builder(header)
            try:
                return builder, self._fill(builder, header)
            except BrokenTransactionError as error:  # without it, then
                self.chain.discard()
                self._forget([error.transaction])

    def _fill(self, builder: BlockBuilder, header: Header) -> list[Transaction]:
        """Put in what fits; return those that never will."""
        nonces: dict[bytes, int] = {}
        misfits: list[Transaction] = []
        while True:
            best = self.pool.best(nonces, self.nonce, header.base_fee_per_gas)
            if best is None:
                return misfits
            if best.evm.gas > builder.gas_left:
                nonces[best.sender] = -1  # this sender waits for the next block
                continue
            try:
                builder.apply(best)
            except InvalidTransactionError:
                misfits.append(best)
                nonces[best.sender] = -1
            else:
                nonces[best.sender] = best.nonce + 1

    def _forget(self, transactions: list[Transaction]) -> None:
        for transaction in transactions:
            self.pool.remove(transaction)
        self._store.drop_pooled(transaction.hash for transaction in transactions)

    def fund(self, address: bytes, balance: int) -> None:
        """Set an account's balance, in a block of its own."""
        header = self.pending_header()
        sealed = self.chain.fund(address, balance, header)
        self.clock.block_made(header.timestamp)
        self.chain.append(sealed, self._clock_meta())

    # ---- going back

    def reorganise(self, depth: int, *, replay: bool) -> None:
        """Replace the newest `depth` blocks by as many others, of the same times.

        Args:
            depth: At most the number of blocks after block 0.
            replay: Whether the dropped transactions are in the first of the new ones;
                else they are gone.
        """
        number = self.chain.head.block_number - depth
        if depth < 1 or number < 0:
            refuse_params(f"cannot replace {depth} of {number + depth} blocks")
        headers = [self.chain.header(number + i + 1) for i in range(depth)]
        dropped = self.chain.rewind(number)
        if replay:
            for transaction in dropped:
                self._restore(transaction)
        offset = self.clock.offset
        for header in headers:
            if header is not None:
                self.clock.next_timestamp = header.timestamp
            self.mine()
        self.clock.offset = offset
        self._save_clock()

    def snapshot(self) -> int:
        """Remember this state; return a number for `revert`."""
        self._snapshot_count += 1
        if len(self._snapshots) >= MAX_SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]
        self._snapshots[self._snapshot_count] = Snapshot(
            self.chain.head.block_number,
            self.chain.head.hash,
            self.chain.branch,
            self.clock.offset,
            tuple(entry.transaction for entry in self.pool),
        )
        return self._snapshot_count

    def revert(self, number: int) -> bool:
        """Go back to a snapshot, which is used up with all later ones."""
        snapshot = self._snapshots.get(number)
        if snapshot is None:
            return False
        block = self.chain.header(snapshot.number)
        if block is None or block.hash != snapshot.block_hash:
            return False  # a reorganisation went below it
        for later in [key for key in self._snapshots if key >= number]:
            del self._snapshots[later]
        self.chain.rewind(snapshot.number, branch=snapshot.branch)
        self.clock.offset = snapshot.offset
        self.clock.next_timestamp = None
        self._save_clock()
        self._store.drop_pooled(entry.transaction.hash for entry in self.pool)
        self.pool.clear()
        for transaction in snapshot.pool:
            self._restore(transaction)
        return True

    def advance_clock(self, seconds: int) -> int:
        """Move the chain's clock forward; return how far it is from the wall clock."""
        offset = self.clock.advance(seconds, self.chain.head.timestamp)
        self._save_clock()
        return offset

    def _clock_meta(self) -> dict[str, str]:
        return {"offset": str(self.clock.offset)}

    def _save_clock(self) -> None:
        self._store.put_meta(self._clock_meta())


def _data_floor(data: bytes) -> int:
    """Return the least gas a transaction with this data costs (EIP-7623)."""
    zeros = data.count(0)
    return 21_000 + 10 * (zeros + 4 * (len(data) - zeros))
