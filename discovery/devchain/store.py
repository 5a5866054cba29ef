"""The chain's file: SQLite, one transaction per block.

A block, its transactions, logs, new trie nodes and the chain's clock are written
together or not at all, so a process may be killed at any moment. WAL with
``synchronous=normal`` keeps every commit through the death of the process (not through
that of the machine, where the last blocks may be missing; the file stays sound).

Nothing here knows what a block means: headers, transactions and receipts are rows.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from psp.errors import ConfigError

SCHEMA_VERSION = 1

_SCHEMA = """
create table if not exists meta(name text primary key, value text) without rowid;
create table if not exists nodes(hash blob primary key, data blob) without rowid;
create table if not exists blocks(
    number integer primary key, hash blob unique not null, header blob not null);
create table if not exists transactions(
    block integer, position integer, hash blob unique not null, raw blob not null,
    sender blob not null, status integer, gas_used integer, cumulative_gas integer,
    price text, bloom blob, created blob,
    primary key(block, position)) without rowid;
create table if not exists logs(
    block integer, position integer, tx_position integer, tx_hash blob, address blob,
    topic0 blob, topic1 blob, topic2 blob, topic3 blob, data blob,
    primary key(block, position)) without rowid;
create index if not exists logs_by_address on logs(address, topic0, block);
create table if not exists pool(
    hash blob primary key, arrival integer, raw blob) without rowid;
"""


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """A transaction in a block, with what its receipt says."""

    block: int
    position: int
    hash: bytes
    raw: bytes
    sender: bytes
    status: int
    gas_used: int
    cumulative_gas: int
    price: int
    bloom: bytes
    created: bytes | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """One event."""

    block: int
    position: int
    tx_position: int
    tx_hash: bytes
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A block and everything that came with it."""

    number: int
    hash: bytes
    header: bytes
    transactions: Sequence[TransactionRow]
    logs: Sequence[LogRow]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which events are wanted.

    Attributes:
        first: The first block.
        last: The last block.
        addresses: Any of these emitters; empty for all.
        topics: By position; an empty tuple there for any topic.
    """

    first: int
    last: int
    addresses: Sequence[bytes] = ()
    topics: Sequence[Sequence[bytes]] = ()


class ChainStore:
    """The open file. One thread at a time may use it."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the file; None for one in memory.

        Raises:
            ConfigError: If it cannot be opened, is no chain, or of another version.
        """
        name = ":memory:" if path is None else str(path)
        try:
            self._db = sqlite3.connect(
                name, isolation_level=None, check_same_thread=False
            )
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=normal")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{name} is not a chain file: {error}") from error
        version = self.meta("schema")
        if version is None:
            self.put_meta({"schema": str(SCHEMA_VERSION)})
        elif version != str(SCHEMA_VERSION):
            raise ConfigError(
                f"{name} is a chain file of version {version}, not {SCHEMA_VERSION}: "
                "delete it"
            )

    def close(self) -> None:
        """Close the file; the last one out merges the write-ahead log into it."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Make everything written inside one commit, or nothing if it raises."""
        self._db.execute("begin immediate")
        try:
            yield self
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    # ---- settings and trie nodes

    def meta(self, name: str) -> str | None:
        """Return a setting, or None."""
        row = self._db.execute(
            "select value from meta where name=?", (name,)
        ).fetchone()
        return None if row is None else str(row[0])

    def put_meta(self, values: dict[str, str]) -> None:
        """Write settings."""
        self._db.executemany("insert or replace into meta values(?,?)", values.items())

    def node(self, key: bytes) -> bytes | None:
        """Return a trie node or a contract's code by its hash, or None."""
        row = self._db.execute("select data from nodes where hash=?", (key,)).fetchone()
        return None if row is None else row[0]

    def put_nodes(self, nodes: Iterable[tuple[bytes, bytes]]) -> None:
        """Add trie nodes; one that is there already is the same."""
        self._db.executemany("insert or ignore into nodes values(?,?)", nodes)

    # ---- blocks

    def head(self) -> int | None:
        """Return the highest block number; None in a new file."""
        number: int | None = self._db.execute(
            "select max(number) from blocks"
        ).fetchone()[0]
        return number

    def header(self, number: int) -> bytes | None:
        """Return a block's header, encoded; None if there is no such block."""
        row = self._db.execute(
            "select header from blocks where number=?", (number,)
        ).fetchone()
        return None if row is None else row[0]

    def block_hash(self, number: int) -> bytes | None:
        """Return a block's hash."""
        row = self._db.execute(
            "select hash from blocks where number=?", (number,)
        ).fetchone()
        return None if row is None else row[0]

    def number_of(self, block_hash: bytes) -> int | None:
        """Return the number of a block of this chain; None for an unknown one."""
        row = self._db.execute(
            "select number from blocks where hash=?", (block_hash,)
        ).fetchone()
        return None if row is None else int(row[0])

    def put_block(self, block: BlockRow) -> None:
        """Append a block; its transactions leave the pool."""
        self._db.execute(
            "insert into blocks values(?,?,?)", (block.number, block.hash, block.header)
        )
        self._db.executemany(
            "insert into transactions values(?,?,?,?,?,?,?,?,?,?,?)",
            (
                (
                    row.block,
                    row.position,
                    row.hash,
                    row.raw,
                    row.sender,
                    row.status,
                    row.gas_used,
                    row.cumulative_gas,
                    str(row.price),
                    row.bloom,
                    row.created,
                )
                for row in block.transactions
            ),
        )
        self._db.executemany(
            "insert into logs values(?,?,?,?,?,?,?,?,?,?)", map(_log_values, block.logs)
        )
        self.drop_pooled(row.hash for row in block.transactions)

    def drop_blocks_above(self, number: int) -> None:
        """Forget the blocks after this one. Their trie nodes stay: they do no harm."""
        for table in ("logs", "transactions"):
            self._db.execute(f"delete from {table} where block>?", (number,))  # noqa: S608 - constant names
        self._db.execute("delete from blocks where number>?", (number,))

    # ---- transactions

    def transaction_by_hash(self, tx_hash: bytes) -> TransactionRow | None:
        """Return a transaction that is in a block."""
        row = self._db.execute(
            "select * from transactions where hash=?", (tx_hash,)
        ).fetchone()
        return None if row is None else _transaction_row(row)

    def transactions(self, block: int) -> list[TransactionRow]:
        """Return a block's transactions in order."""
        rows = self._db.execute(
            "select * from transactions where block=? order by position", (block,)
        )
        return [_transaction_row(row) for row in rows]

    # ---- the pool

    def pooled(self) -> list[bytes]:
        """Return the raw transactions that wait, in the order they came."""
        rows = self._db.execute("select raw from pool order by arrival")
        return [row[0] for row in rows]

    def put_pooled(self, tx_hash: bytes, arrival: int, raw: bytes) -> None:
        """Keep a transaction that was accepted but is not in a block."""
        self._db.execute(
            "insert or replace into pool values(?,?,?)", (tx_hash, arrival, raw)
        )

    def drop_pooled(self, hashes: Iterable[bytes]) -> None:
        """Forget waiting transactions."""
        self._db.executemany(
            "delete from pool where hash=?", ((tx_hash,) for tx_hash in hashes)
        )

    # ---- logs

    def logs_of(self, block: int, tx_position: int) -> list[LogRow]:
        """Return the events of one transaction."""
        rows = self._db.execute(
            "select * from logs where block=? and tx_position=? order by position",
            (block, tx_position),
        )
        return [_log_row(row) for row in rows]

    def logs(self, wanted: LogFilter, limit: int) -> list[LogRow]:
        """Return at most `limit` events in chain order."""
        query = ["select * from logs where block between ? and ?"]
        values: list[object] = [wanted.first, wanted.last]
        choices = [("address", wanted.addresses)]
        choices += [(f"topic{i}", topic) for i, topic in enumerate(wanted.topics)]
        for column, choice in choices:
            if choice:
                query.append(f"and {column} in ({','.join('?' * len(choice))})")
                values += choice
        query.append("order by block, position limit ?")
        rows = self._db.execute(" ".join(query), (*values, limit))
        return [_log_row(row) for row in rows]


def _log_values(row: LogRow) -> tuple[object, ...]:
    topics = (*row.topics, None, None, None, None)[:4]
    return (
        row.block,
        row.position,
        row.tx_position,
        row.tx_hash,
        row.address,
        *topics,
        row.data,
    )


def _log_row(row: Sequence[object]) -> LogRow:
    block, position, tx_position, tx_hash, address, *topics, data = row
    return LogRow(
        block,  # type: ignore[arg-type]  # SQLite returns what was written
        position,  # type: ignore[arg-type]
        tx_position,  # type: ignore[arg-type]
        tx_hash,  # type: ignore[arg-type]
        address,  # type: ignore[arg-type]
        tuple(topic for topic in topics if topic is not None),  # type: ignore[misc]
        data,  # type: ignore[arg-type]
    )


def _transaction_row(row: Sequence[object]) -> TransactionRow:
    values = list(row)
    values[8] = int(str(values[8]))
    return TransactionRow(*values)  # type: ignore[arg-type]  # as above
