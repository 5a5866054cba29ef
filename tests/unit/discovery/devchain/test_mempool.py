"""Who waits, in which order they go, and who may replace whom."""

from dataclasses import dataclass

import pytest

from discovery.devchain.blocks import Transaction
from discovery.devchain.errors import RpcError
from discovery.devchain.mempool import MAX_AHEAD, MAX_WAITING, Mempool

A, B = b"\xaa" * 20, b"\xbb" * 20
BASE_FEE = 10


@dataclass
class Fields:
    nonce: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int


def transaction(sender=A, nonce=0, fee=100, tip=10, mark=b""):
    name = sender[:1] + bytes([nonce % 256, nonce // 256, fee % 256, tip]) + mark
    fields = Fields(nonce, fee, tip)
    return Transaction(fields, b"raw", name.ljust(32), sender, 2)


def order(pool, nonces=None):
    """Take everything that may go, as a block would."""
    row, seen = [], dict(nonces or {})
    while True:
        best = pool.best(seen, lambda sender: 0, BASE_FEE)
        if best is None:
            return row
        row.append(best)
        seen[best.sender] = best.nonce + 1


@pytest.fixture
def pool():
    return Mempool()


def test_sender_goes_in_the_order_of_nonces(pool):
    second, first = transaction(nonce=1, tip=90), transaction(nonce=0, tip=1)
    pool.add(second, 0)
    pool.add(first, 0)

    assert order(pool) == [first, second]


def test_who_pays_more_goes_first_then_who_came_first(pool):
    poor = transaction(A, tip=1)
    rich = transaction(B, tip=50)
    same = transaction(b"\xcc" * 20, tip=1)
    for one in (poor, rich, same):
        pool.add(one, 0)

    assert order(pool) == [rich, poor, same]


def test_gap_in_nonces_waits_until_it_is_filled(pool):
    pool.add(transaction(nonce=1), 0)
    assert order(pool) == []
    assert pool.next_nonce(A, 0) == 0

    pool.add(transaction(nonce=0), 0)

    assert [one.nonce for one in order(pool)] == [0, 1]
    assert pool.next_nonce(A, 0) == 2


def test_offer_below_the_base_fee_waits(pool):
    pool.add(transaction(fee=BASE_FEE - 1), 0)

    assert order(pool) == []


def test_replacement_must_raise_both_fees_by_a_tenth(pool):
    old = transaction(fee=100, tip=10)
    pool.add(old, 0)

    for fee, tip in ((109, 11), (110, 10), (100, 10)):
        with pytest.raises(RpcError, match="underpriced"):
            pool.add(transaction(fee=fee, tip=tip, mark=b"new"), 0)
    arrival, replaced = pool.add(transaction(fee=110, tip=11), 0)

    assert replaced == old.hash
    assert arrival == 2
    assert len(pool) == 1
    assert pool.get(old.hash) is None


def test_same_transaction_again_is_known(pool):
    pool.add(transaction(), 0)

    with pytest.raises(RpcError, match="already known"):
        pool.add(transaction(), 0)


def test_nonce_must_be_neither_used_nor_far_ahead(pool):
    with pytest.raises(RpcError, match="too low: next nonce 5, tx nonce 4"):
        pool.add(transaction(nonce=4), 5)
    with pytest.raises(RpcError, match="too high"):
        pool.add(transaction(nonce=6 + MAX_AHEAD), 5)

    pool.add(transaction(nonce=5 + MAX_AHEAD), 5)


def test_full_pool_refuses_all_but_replacements(pool):
    for i in range(MAX_WAITING):
        pool.add(transaction(i.to_bytes(20, "big"), mark=i.to_bytes(2, "big")), 0)

    with pytest.raises(RpcError, match="full"):
        pool.add(transaction(A), 0)
    pool.add(transaction(bytes(20), fee=200, tip=20), 0)


def test_removed_and_stale_ones_are_told_apart(pool):
    first, second = transaction(nonce=0), transaction(nonce=1)
    pool.add(first, 0)
    pool.add(second, 0)

    assert pool.stale(lambda sender: 1) == [first]
    pool.remove(first)
    pool.remove(first)

    assert [entry.transaction for entry in pool] == [second]
    pool.clear()
    assert len(pool) == 0
