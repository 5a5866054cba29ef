"""The chain's file keeps a block whole or not at all."""

from sqlite3 import IntegrityError

import pytest

from discovery.devchain.store import (
    BlockRow,
    ChainStore,
    LogFilter,
    LogRow,
    TransactionRow,
)
from psp.errors import ConfigError

A, B = b"\xaa" * 20, b"\xbb" * 20
T, U = b"\x01" * 32, b"\x02" * 32


def transaction(block, position):
    return TransactionRow(
        block=block,
        position=position,
        hash=bytes([block, position]) * 16,
        raw=b"raw",
        sender=A,
        status=1,
        gas_used=21_000,
        cumulative_gas=21_000 * (position + 1),
        price=2**70,
        bloom=bytes(256),
        created=None,
    )


def log(block, position, address=A, topics=(T,)):
    return LogRow(block, position, 0, b"h" * 32, address, topics, b"data")


def block(number, transactions=(), logs=()):
    return BlockRow(number, bytes([number]) * 32, b"header", transactions, logs)


@pytest.fixture
def store():
    store = ChainStore(None)
    yield store
    store.close()


def test_block_comes_back_with_what_it_holds(store):
    rows = [transaction(1, 0), transaction(1, 1)]

    store.put_block(block(1, rows, [log(1, 0)]))

    assert store.head() == 1
    assert store.header(1) == b"header"
    assert store.number_of(b"\x01" * 32) == 1
    assert store.block_hash(1) == b"\x01" * 32
    assert store.transactions(1) == rows
    assert store.transaction_by_hash(rows[1].hash) == rows[1]
    assert store.logs_of(1, 0) == [log(1, 0)]


def test_what_is_not_there_is_none(store):
    assert store.head() is None
    assert store.header(7) is None
    assert store.block_hash(7) is None
    assert store.number_of(b"?" * 32) is None
    assert store.transaction_by_hash(b"?" * 32) is None
    assert store.node(b"?" * 32) is None
    assert store.meta("unheard") is None


def test_failed_transaction_leaves_nothing(store):
    with pytest.raises(IntegrityError), store.transaction():  # noqa: PT012 - a block
        store.put_nodes([(b"k" * 32, b"v")])
        store.put_meta({"clock": "5"})
        store.put_block(block(1, [transaction(1, 0), transaction(1, 0)]))

    assert store.head() is None
    assert store.node(b"k" * 32) is None
    assert store.meta("clock") is None
    store.put_block(block(1))


def test_dropped_blocks_take_their_transactions_and_logs_along(store):
    for number in (1, 2, 3):
        store.put_block(block(number, [transaction(number, 0)], [log(number, 0)]))

    store.drop_blocks_above(1)

    assert store.head() == 1
    assert store.transactions(2) == []
    assert store.logs(LogFilter(0, 9), 10) == [log(1, 0)]
    store.put_block(block(2, [transaction(2, 0)]))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LogFilter(0, 9), [0, 1, 2, 3]),
        (LogFilter(1, 1), [0, 1]),
        (LogFilter(0, 9, [A]), [0, 1, 2]),
        (LogFilter(0, 9, [A, B]), [0, 1, 2, 3]),
        (LogFilter(0, 9, [A], [[U]]), [1]),
        (LogFilter(0, 9, [], [[], [U]]), [2]),
        (LogFilter(0, 9, [], [[T, U]]), [0, 1, 2]),
        (LogFilter(5, 2), []),
    ],
)
def test_filter_finds_what_it_says(store, wanted, found):
    rows = [
        log(1, 0, A, (T,)),
        log(1, 1, A, (U,)),
        log(2, 0, A, (T, U)),
        log(2, 1, B, ()),
    ]
    store.put_block(block(1, [], rows[:2]))
    store.put_block(block(2, [], rows[2:]))

    assert store.logs(wanted, 10) == [rows[i] for i in found]


def test_logs_are_limited(store):
    store.put_block(block(1, [], [log(1, i) for i in range(5)]))

    assert len(store.logs(LogFilter(0, 9), 3)) == 3


def test_mined_transaction_leaves_the_pool(store):
    row = transaction(1, 0)
    store.put_pooled(row.hash, 2, b"first")
    store.put_pooled(b"o" * 32, 1, b"other")

    store.put_block(block(1, [row]))

    assert store.pooled() == [b"other"]


def test_file_is_as_it_was_after_closing(tmp_path):
    path = tmp_path / "chain.db"
    store = ChainStore(path)
    store.put_block(block(1, [transaction(1, 0)]))
    store.close()

    again = ChainStore(path)

    assert again.transactions(1) == [transaction(1, 0)]
    again.close()


def test_file_of_another_version_is_refused(tmp_path):
    path = tmp_path / "chain.db"
    store = ChainStore(path)
    store.put_meta({"schema": "99"})
    store.close()

    with pytest.raises(ConfigError, match="version 99"):
        ChainStore(path)


def test_file_that_is_something_else_is_refused(tmp_path):
    path = tmp_path / "chain.db"
    path.write_bytes(b"no database" * 100)

    with pytest.raises(ConfigError, match="not a chain file"):
        ChainStore(path)
