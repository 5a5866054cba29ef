"""Transactions that were accepted and wait for a block.

A sender's transactions go in the order of their nonces; among senders the one that pays
more per gas goes first, then the one that came first. One with a nonce beyond the next
waits for those between. A waiting transaction is replaced by one with the same nonce
whose two fees are both a tenth higher (geth's rule).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from discovery.devchain.blocks import Transaction
from discovery.devchain.errors import refuse

MAX_WAITING = 4_096
"""In all; further ones are refused."""

MAX_AHEAD = 64
"""How far a nonce may lie beyond the account's (geth: 64 queued per account)."""

MIN_RAISE_PERCENT = 10
"""geth's --txpool.pricebump."""

NonceOf = Callable[[bytes], int]
"""The nonce of an account after the newest block."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One of them, and its place in the order of arrival."""

    transaction: Transaction
    arrival: int


class Mempool:
    """The waiting transactions, at most `MAX_WAITING`."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[bytes, int], Waiting] = {}
        self._hashes: dict[bytes, tuple[bytes, int]] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(sorted(self._waiting.values(), key=lambda entry: entry.arrival))

    def get(self, tx_hash: bytes) -> Transaction | None:
        """Return a waiting transaction."""
        place = self._hashes.get(tx_hash)
        return None if place is None else self._waiting[place].transaction

    def add(self, transaction: Transaction, nonce: int) -> tuple[int, bytes | None]:
        """Take in a transaction; return its arrival and the hash of one it replaces.

        Args:
            transaction: The transaction, affordable.
            nonce: The sender's, after the newest block.

        Raises:
            RpcError: If it has been here, comes too late, or does not pay enough.
        """
        self._check_nonce(transaction.nonce, nonce)
        place = (transaction.sender, transaction.nonce)
        old = self._waiting.get(place)
        if old is not None:
            self._check_replacement(old.transaction, transaction)
            del self._hashes[old.transaction.hash]
        elif len(self._waiting) >= MAX_WAITING:
            refuse(f"txpool is full: {MAX_WAITING} transactions wait")
        self._arrivals += 1
        self._waiting[place] = Waiting(transaction, self._arrivals)
        self._hashes[transaction.hash] = place
        return self._arrivals, None if old is None else old.transaction.hash

    def remove(self, transaction: Transaction) -> None:
        """Forget a transaction."""
        place = self._hashes.pop(transaction.hash, None)
        if place is not None:
            del self._waiting[place]

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()
        self._hashes.clear()

    def next_nonce(self, sender: bytes, nonce: int) -> int:
        """Return the nonce after the sender's unbroken row of waiting ones."""
        while (sender, nonce) in self._waiting:
            nonce += 1
        return nonce

    def stale(self, nonce_of: NonceOf) -> list[Transaction]:
        """Return those whose nonce has been used by others."""
        return [
            entry.transaction
            for (sender, nonce), entry in self._waiting.items()
            if nonce < nonce_of(sender)
        ]

    def best(
        self, nonces: dict[bytes, int], nonce_of: NonceOf, base_fee: int
    ) -> Transaction | None:
        """Return the transaction that should go next into a block.

        Args:
            nonces: By sender, the nonce that is next in this block; a sender without
                an entry has the one of `nonce_of`. A negative one excludes the sender.
            nonce_of: See there.
            base_fee: Of the block; who offers less waits on.
        """
        candidates = [
            entry
            for (sender, nonce), entry in self._waiting.items()
            if nonce == nonces.setdefault(sender, nonce_of(sender))
            and entry.transaction.evm.max_fee_per_gas >= base_fee
        ]
        if not candidates:
            return None
        best = max(
            candidates,
            key=lambda entry: (entry.transaction.price(base_fee), -entry.arrival),
        )
        return best.transaction

    def _check_nonce(self, offered: int, nonce: int) -> None:
        if offered < nonce:
            refuse(f"nonce too low: next nonce {nonce}, tx nonce {offered}")
        if offered > nonce + MAX_AHEAD:
            refuse(f"nonce too high: next nonce {nonce}, tx nonce {offered}")

    def _check_replacement(self, old: Transaction, new: Transaction) -> None:
        if old.hash == new.hash:
            refuse("already known")
        pairs = (
            (old.evm.max_fee_per_gas, new.evm.max_fee_per_gas),
            (old.evm.max_priority_fee_per_gas, new.evm.max_priority_fee_per_gas),
        )
        if any(100 * b < (100 + MIN_RAISE_PERCENT) * a for a, b in pairs):
            refuse("replacement transaction underpriced")
