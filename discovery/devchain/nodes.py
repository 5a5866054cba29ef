"""Trie nodes and contracts' code by their hash, between execution and the file.

What a block adds stays in memory until the block is written with it, or dropped. What
is in the file is never changed or deleted, so old states stay readable.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

MAX_CACHED = 40_000
"""Nodes of the file kept in memory: about 20 MB. When full, all are dropped."""


class StateNodes(Mapping[bytes, bytes]):
    """The nodes; a database to py-evm, which writes through `atomic_batch`."""

    def __init__(self, load: Callable[[bytes], bytes | None]) -> None:
        """Start; `load` looks into the file."""
        self._load = load
        self._cached: dict[bytes, bytes] = {}
        self._new: dict[bytes, bytes] = {}

    def take_new(self) -> dict[bytes, bytes]:
        """Return what was added since the last time; the caller writes it."""
        new, self._new = self._new, {}
        self._cached.update(new)
        return new

    def drop_new(self) -> None:
        """Forget what was added since: its block is not wanted."""
        self._new.clear()

    def __getitem__(self, key: bytes) -> bytes:
        found = self._cached.get(key) or self._new.get(key)
        if found is not None:
            return found
        loaded = self._load(key)
        if loaded is None:
            raise KeyError(key)
        if len(self._cached) >= MAX_CACHED:
            self._cached.clear()
        self._cached[key] = loaded
        return loaded

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._new[key] = value

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError("the file's nodes are not listed")

    def __len__(self) -> int:
        raise NotImplementedError("the file's nodes are not counted")

    @contextmanager
    def atomic_batch(self) -> Iterator[Self]:
        """Take writes: `take_new` makes them lasting, `drop_new` does not."""
        yield self
