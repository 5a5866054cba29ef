"""Reading the state: accounts, storage, and Merkle proofs of both (EIP-1186).

::

    state root -> account  keccak(address) : rlp(nonce, balance, storage root, code hash)
    storage root -> word   keccak(slot)    : rlp(word without leading zeros)

A word that is zero is not in the trie; its proof shows the place where it would be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import rlp
from eth_utils.crypto import keccak
from trie.constants import BLANK_NODE_HASH
from trie.hexary import HexaryTrie

EMPTY_CODE_HASH = keccak(b"")


@dataclass(frozen=True, slots=True)
class Account:
    """What the state says about an address; all zero for one it does not know."""

    nonce: int = 0
    balance: int = 0
    storage_root: bytes = BLANK_NODE_HASH
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


Nodes = Mapping[bytes, bytes]
"""Trie nodes by hash."""


def account_at(nodes: Nodes, state_root: bytes, address: bytes) -> Account:
    """Return an account."""
    return _account(HexaryTrie(nodes, state_root).get(keccak(address)))


def storage_at(nodes: Nodes, account: Account, slot: int) -> int:
    """Return a word of an account's storage."""
    trie = HexaryTrie(nodes, account.storage_root)
    return _word(trie.get(_slot_key(slot)))


def prove_account(
    nodes: Nodes, state_root: bytes, address: bytes, slots: Sequence[int]
) -> AccountProof:
    """Prove an account and words of its storage."""
    trie = HexaryTrie(nodes, state_root)
    key = keccak(address)
    account = _account(trie.get(key))
    storage = HexaryTrie(nodes, account.storage_root)
    return AccountProof(
        account, _path(trie, key), tuple(_prove_word(storage, slot) for slot in slots)
    )


def _prove_word(storage: HexaryTrie, slot: int) -> tuple[int, tuple[bytes, ...]]:
    key = _slot_key(slot)
    return _word(storage.get(key)), _path(storage, key)


def _path(trie: HexaryTrie, key: bytes) -> tuple[bytes, ...]:
    if trie.root_hash == BLANK_NODE_HASH:
        return ()
    nodes = trie.get_proof(key)  # type: ignore[no-untyped-call]  # as its package is
    return tuple(rlp.encode(node) for node in nodes)


def _slot_key(slot: int) -> bytes:
    return keccak(slot.to_bytes(32, "big"))


def _word(encoded: bytes) -> int:
    return int.from_bytes(rlp.decode(encoded), "big") if encoded else 0


def _account(encoded: bytes) -> Account:
    if not encoded:
        return Account()
    nonce, balance, storage_root, code_hash = rlp.decode(encoded)
    return Account(
        int.from_bytes(nonce, "big"),
        int.from_bytes(balance, "big"),
        storage_root,
        code_hash,
    )
