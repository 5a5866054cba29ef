"""Words and proofs are those another trie library finds."""

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from discovery.devchain.state_trie import (
    EMPTY_CODE_HASH,
    EMPTY_ROOT,
    Account,
    StateReader,
)
from psp.crypto.keccak import keccak256

OWNER = b"\x11" * 20


def state_with(words, accounts=1):
    """A state of accounts, the first with these words; its nodes and its root."""
    nodes = {}
    storage = HexaryTrie(nodes)
    for slot, word in words.items():
        storage[keccak256(slot.to_bytes(32, "big"))] = rlp.encode(word)
    state = HexaryTrie(nodes)
    for i in range(accounts):
        root = storage.root_hash if i == 0 else EMPTY_ROOT
        address = bytes([0x11 + i]) * 20
        state[keccak256(address)] = rlp.encode([7, 10**20, root, EMPTY_CODE_HASH])
    return nodes, state.root_hash, storage.root_hash


words = st.dictionaries(st.integers(0, 2**256 - 1), st.integers(1, 2**256 - 1))


@given(words, st.integers(0, 2**256 - 1), st.integers(1, 20))
def test_words_and_proofs_are_the_other_librarys(stored, absent, accounts):
    nodes, state_root, storage_root = state_with(stored, accounts)
    slots = [*stored, absent]

    proof = StateReader(nodes).prove(state_root, OWNER, slots)

    assert proof.account == Account(7, 10**20, storage_root, EMPTY_CODE_HASH)
    assert proof.nodes == path(nodes, state_root, keccak256(OWNER))
    for slot, (word, steps) in zip(slots, proof.words, strict=True):
        assert word == stored.get(slot, 0)
        assert steps == path(nodes, storage_root, keccak256(slot.to_bytes(32, "big")))


def path(nodes, root, key):
    """What the other library says; it lists nodes inside others, which EIP-1186 does not."""
    if root == EMPTY_ROOT:
        return ()
    steps = [rlp.encode(node) for node in HexaryTrie(nodes, root).get_proof(key)]
    return tuple(step for i, step in enumerate(steps) if i == 0 or len(step) >= 32)


@given(words)
def test_reader_finds_each_word(stored):
    nodes, state_root, storage_root = state_with(stored)
    reader = StateReader(nodes)

    for _ in range(2):  # the second time remembered
        assert {slot: reader.word(storage_root, slot) for slot in stored} == stored
    assert reader.account(state_root, OWNER).storage_root == storage_root


def test_unknown_account_is_all_zero():
    nodes, state_root, _ = state_with({1: 2})
    reader = StateReader(nodes)

    assert reader.account(state_root, b"\x99" * 20) == Account()
    assert reader.code(Account()) == b""
    assert reader.prove(EMPTY_ROOT, OWNER, [5]).words == ((0, ()),)


def test_code_is_found_by_its_hash():
    code = b"\x60\x00"
    reader = StateReader({keccak256(code): code})

    assert reader.code(Account(code_hash=keccak256(code))) == code


def test_missing_node_is_not_taken_for_an_empty_one():
    nodes, state_root, _ = state_with({1: 2})
    del nodes[state_root]

    with pytest.raises(KeyError):
        StateReader(nodes).account(state_root, OWNER)
