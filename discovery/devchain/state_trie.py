"""Reading the state: accounts, storage, and Merkle proofs of both (EIP-1186).

::

    state root -> account  keccak(address) : rlp(nonce, balance, storage root, code hash)
    storage root -> word   keccak(slot)    : rlp(word without leading zeros)

A word that is zero is not in the trie; its proof shows the place where it would be.
What a root says never changes, so everything read is remembered under its root: most
calls see storage that the block before did not touch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from psp.crypto.keccak import keccak256
from psp.wire import rlp

EMPTY_ROOT = keccak256(rlp.encode(b""))
EMPTY_CODE_HASH = keccak256(b"")

MAX_CACHED = 65_536
"""Words, and as many accounts, that are remembered: about 15 MB. When full, all are
forgotten."""

BRANCH_ITEMS = 17
IS_LEAF = 2
IS_ODD = 1
"""Bits in the first nibble of a leaf's or extension's path (yellow paper, appendix C)."""

Node = tuple[rlp.Item, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What the state says about an address; all zero for one it does not know."""

    nonce: int = 0
    balance: int = 0
    storage_root: bytes = EMPTY_ROOT
    code_hash: bytes = EMPTY_CODE_HASH


@dataclass(frozen=True, slots=True)
class AccountProof:
    """An account, some of its words, and the trie nodes that prove them.

    Attributes:
        account: The account.
        nodes: From the state root to it, encoded.
        words: Value and trie nodes for each slot, in the order asked.
    """

    account: Account
    nodes: tuple[bytes, ...]
    words: tuple[tuple[int, tuple[bytes, ...]], ...]


class StateReader:
    """Reads any state whose trie nodes are there."""

    def __init__(self, nodes: Mapping[bytes, bytes]) -> None:
        """Start; `nodes` has trie nodes and contracts' code by their hash."""
        self._nodes = nodes
        self._accounts: dict[tuple[bytes, bytes], Account] = {}
        self._words: dict[tuple[bytes, int], int] = {}

    def account(self, state_root: bytes, address: bytes) -> Account:
        """Return an account."""
        key = (state_root, address)
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= MAX_CACHED:
                self._accounts.clear()
            account = _account(self._walk(state_root, keccak256(address))[0])
            self._accounts[key] = account
        return account

    def word(self, storage_root: bytes, slot: int) -> int:
        """Return a word of the storage with this root."""
        key = (storage_root, slot)
        word = self._words.get(key)
        if word is None:
            if len(self._words) >= MAX_CACHED:
                self._words.clear()
            word = _word(self._walk(storage_root, _slot_key(slot))[0])
            self._words[key] = word
        return word

    def code(self, account: Account) -> bytes:
        """Return an account's code."""
        if account.code_hash == EMPTY_CODE_HASH:
            return b""
        return self._nodes[account.code_hash]

    def prove(
        self, state_root: bytes, address: bytes, slots: Sequence[int]
    ) -> AccountProof:
        """Prove an account and words of its storage."""
        value, nodes = self._walk(state_root, keccak256(address))
        account = _account(value)
        words = []
        for slot in slots:
            word, path = self._walk(account.storage_root, _slot_key(slot))
            words.append((_word(word), path))
        return AccountProof(account, nodes, tuple(words))

    def _walk(self, root: bytes, key: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        """Return the value at a key, empty if there is none, and the nodes passed."""
        if root == EMPTY_ROOT:
            return b"", ()
        nibbles = key.hex()
        passed: list[bytes] = []
        pointer: rlp.Item = root
        while pointer:
            node = self._node(pointer, passed)
            if len(node) == BRANCH_ITEMS:
                pointer = node[int(nibbles[0], 16)]
                nibbles = nibbles[1:]
                continue
            path, is_leaf = _path(cast(bytes, node[0]))
            if not nibbles.startswith(path):
                break
            nibbles = nibbles[len(path) :]
            if is_leaf:
                return cast(bytes, node[1]), tuple(passed)
            pointer = node[1]
        return b"", tuple(passed)

    def _node(self, pointer: rlp.Item, passed: list[bytes]) -> Node:
        if isinstance(pointer, tuple):
            return pointer  # shorter than a hash, so it lies inside its parent
        encoded = self._nodes[pointer]
        passed.append(encoded)
        return _decoded(encoded)


@lru_cache(8_192)
def _decoded(encoded: bytes) -> Node:
    return cast(Node, rlp.decode(encoded))


@lru_cache(8_192)
def _path(packed: bytes) -> tuple[str, bool]:
    """Return the nibbles of a leaf's or extension's path, and whether it is a leaf's."""
    digits = packed.hex()
    kind = int(digits[0], 16)
    return digits[1 if kind & IS_ODD else 2 :], bool(kind & IS_LEAF)


def _slot_key(slot: int) -> bytes:
    return keccak256(slot.to_bytes(32, "big"))


def _word(encoded: bytes) -> int:
    return int.from_bytes(cast(bytes, rlp.decode(encoded)), "big") if encoded else 0


def _account(encoded: bytes) -> Account:
    if not encoded:
        return Account()
    nonce, balance, storage_root, code_hash = cast(Node, rlp.decode(encoded))
    return Account(
        int.from_bytes(cast(bytes, nonce), "big"),
        int.from_bytes(cast(bytes, balance), "big"),
        cast(bytes, storage_root),
        cast(bytes, code_hash),
    )
