"""Storage roots, against those of another implementation."""

import rlp
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from psp.crypto.keccak import keccak256
from psp.directory.chain.proof import EMPTY_ROOT
from psp.directory.chain.trie import StorageTrie, storage_root

storages = st.dictionaries(
    st.integers(0, 300), st.integers(0, 2**256 - 1) | st.integers(0, 200), max_size=60
)


CLOSE = (40_364, 105_566, 247_476, 515_151)
"""The hashes of the first two agree in 8 hex digits, those of the others in 10: with
small words their leaves take less than 32 bytes."""


def reference_root(words):
    trie = HexaryTrie({})
    for slot, value in words.items():
        if value:
            trie[keccak256(slot.to_bytes(32))] = rlp.encode(value)
    return trie.root_hash


def test_nothing_has_the_root_of_nothing():
    assert storage_root([]) == storage_root([(5, 0)]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex().startswith("56e81f171bcc55a6ff8345e692c0f86e")


@given(storages)
def test_roots_are_those_of_the_reference(words):
    assert storage_root(words.items()) == reference_root(words)


def test_a_large_storage_has_the_root_of_the_reference():
    words = {n * n: (n << 200) + 1 for n in range(5_000)}

    assert storage_root(words.items()) == reference_root(words)


@given(storages, storages, storages)
def test_updates_give_the_root_of_the_sum(first, second, third):
    trie = StorageTrie(first.items())
    roots = [trie.root()]
    for change in (second, third, dict.fromkeys(first | second | third, 0)):
        trie.update(change.items())
        roots.append(trie.root())

    assert roots == [
        reference_root(first),
        reference_root(first | second),
        reference_root(first | second | third),
        EMPTY_ROOT,
    ]


@given(
    st.sets(st.sampled_from([*CLOSE, 1, 2, 3]), min_size=1),
    st.integers(1, 255) | st.integers(1, 2**256 - 1),
)
def test_leaves_that_lie_inside_branches(slots, value):
    words = dict.fromkeys(slots, value)

    assert storage_root(words.items()) == reference_root(words)
