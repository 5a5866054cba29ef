"""Merkle-Patricia proofs, made by another implementation."""

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from psp.crypto.keccak import keccak256
from psp.directory.chain.proof import (
    EMPTY_ROOT,
    MAX_NODE_BYTES,
    MAX_NODES,
    MAX_SLOTS,
    Account,
    NoAccountError,
    ProofError,
    account,
    decode_proof,
    read_proof,
    storage_word,
)
from psp.directory.chain.trie import storage_root
from psp.errors import DecodeError

ADDRESS = b"a" * 20
WORDS = {slot * slot: slot * 0x0101_0101 for slot in range(1, 200)} | {5_000: 1}


def hashed(items):
    trie = HexaryTrie({})
    for key, value in items.items():
        trie[keccak256(key)] = value
    return trie


STORAGE = hashed(
    {slot.to_bytes(32): rlp.encode(value) for slot, value in WORDS.items()}
)
CONTRACT = Account(1, 10**20, STORAGE.root_hash, keccak256(b"code"))
STATE = hashed(
    {
        bytes([n]) * 20: rlp.encode([n, n, EMPTY_ROOT, keccak256(b"")])
        for n in range(1, 90)
    }
    | {
        ADDRESS: rlp.encode(
            [1, 10**20, CONTRACT.storage_root, CONTRACT.code_hash],
        )
    }
)


def proof_of(trie, key):
    """Nodes as nodes of Ethereum list them: without those inside others."""
    raw = [rlp.encode(node) for node in trie.get_proof(keccak256(key))]
    return [node for i, node in enumerate(raw) if i == 0 or len(node) >= 32]


def slot_proof(slot, trie=STORAGE):
    return proof_of(trie, slot.to_bytes(32))


def as_json(slots, state=STATE, address=ADDRESS):
    def text(nodes):
        return ["0x" + node.hex() for node in nodes]

    return {
        "address": "0x" + address.hex(),
        "accountProof": text(proof_of(state, address)),
        "balance": "0x0",
        "storageProof": [
            {"key": "0x0", "value": "0x0", "proof": text(slot_proof(slot))}
            for slot in slots
        ],
    }


@pytest.mark.parametrize("slot", [*list(WORDS)[::9], 5_000, 0, 2, 3, 10**9])
def test_words_present_and_absent(slot):
    proof = slot_proof(slot)

    assert storage_word(STORAGE.root_hash, slot, proof) == WORDS.get(slot, 0)


def test_accounts_present_and_absent():
    root = STATE.root_hash

    contract = account(root, ADDRESS, proof_of(STATE, ADDRESS))
    person = account(root, bytes([7]) * 20, proof_of(STATE, bytes([7]) * 20))

    assert contract == CONTRACT
    assert contract.has_code
    assert not person.has_code
    assert account(root, b"b" * 20, proof_of(STATE, b"b" * 20)) is None


def test_an_empty_storage_holds_nothing():
    assert storage_word(EMPTY_ROOT, 5, []) == 0
    assert storage_word(EMPTY_ROOT, 5, [b"\x80"]) == 0


def test_a_stored_zero_is_a_zero():
    trie = hashed({(1).to_bytes(32): b"\x80", (2).to_bytes(32): b"\x05"})

    assert storage_word(trie.root_hash, 1, slot_proof(1, trie)) == 0


def test_a_single_leaf_is_a_trie():
    root = storage_root([(1, 7)])
    trie = hashed({(1).to_bytes(32): b"\x07"})

    assert storage_word(root, 1, slot_proof(1, trie)) == 7
    assert storage_word(root, 2, slot_proof(2, trie)) == 0


@pytest.mark.parametrize("slot", [247_476, 515_151, 1])
def test_nodes_inside_others_are_not_listed(slot):
    # The hashes of two slots agree in 10 digits: their leaves take less than 32 bytes.
    words = {247_476: 5, 515_151: 6, 1: 7}
    trie = hashed({key.to_bytes(32): rlp.encode(word) for key, word in words.items()})
    all_nodes = [
        rlp.encode(node) for node in trie.get_proof(keccak256(slot.to_bytes(32)))
    ]
    listed = slot_proof(slot, trie)

    assert storage_word(trie.root_hash, slot, listed) == words[slot]
    assert (len(all_nodes) > len(listed)) == (slot != 1)
    if slot != 1:
        with pytest.raises(ProofError, match="after its end"):
            storage_word(trie.root_hash, slot, all_nodes)


@given(st.sampled_from([*WORDS, 0, 2, 3]), st.data())
def test_changed_nodes_are_refused(slot, draw):
    proof = slot_proof(slot)
    number = draw.draw(st.integers(0, len(proof) - 1))
    node = bytearray(proof[number])
    node[draw.draw(st.integers(0, len(node) - 1))] ^= draw.draw(st.integers(1, 255))
    proof[number] = bytes(node)

    with pytest.raises(DecodeError):
        storage_word(STORAGE.root_hash, slot, proof)


@given(st.sampled_from([*WORDS, 0, 2, 3]), st.data())
def test_short_long_and_reordered_proofs_are_refused(slot, draw):
    proof = slot_proof(slot)
    gone = draw.draw(st.integers(0, len(proof) - 1))
    place = draw.draw(st.integers(0, len(proof)))
    extra = draw.draw(st.sampled_from([*proof, *slot_proof(0), b"", b"\x80"]))
    turned = draw.draw(st.permutations(proof).filter(lambda nodes: nodes != proof))
    short = proof[:gone] + proof[gone + 1 :]
    long = [*proof[:place], extra, *proof[place:]]

    for nodes in (short, long, turned):
        with pytest.raises(DecodeError):
            storage_word(STORAGE.root_hash, slot, nodes)


@given(st.sampled_from([*WORDS]), st.integers(0, 2**256 - 1))
def test_the_proof_of_a_slot_says_nothing_false_about_another(slot, other):
    try:
        value = storage_word(STORAGE.root_hash, other, slot_proof(slot))
    except DecodeError:
        return

    assert value == WORDS.get(other, 0)


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_bytes_are_refused(nodes):
    with pytest.raises(DecodeError):
        storage_word(STORAGE.root_hash, 1, nodes)


@pytest.mark.parametrize(
    "node",
    [
        rlp.encode(b"x" * 40),
        rlp.encode([]),
        rlp.encode([b"\x20" + bytes(32)]),
        rlp.encode([b"\x20", b"\x01"]),  # a leaf too high up
        rlp.encode([b"\x00", bytes(32)]),  # an extension over nothing
        rlp.encode([b"\x01" + bytes(32), bytes(32)]),
        rlp.encode([b"\x40" + bytes(32), b"\x01"]),  # no such kind
        rlp.encode([b"", b"\x01"]),
        rlp.encode([[], b"\x01"]),
        rlp.encode([b"\x20" + keccak256((1).to_bytes(32)), [b"\x01"]]),
        rlp.encode([b"\x20" + keccak256((1).to_bytes(32)), b"\x81\x01"]),
        rlp.encode([b"\x20" + keccak256((1).to_bytes(32)), rlp.encode(bytes(32))]),
        rlp.encode([b"\x20" + keccak256((1).to_bytes(32)), rlp.encode([])]),
        rlp.encode([bytes(31)] * 16 + [b""]),
    ],
)
def test_a_root_that_is_no_node_is_refused(node):
    with pytest.raises(DecodeError):
        storage_word(keccak256(node), 1, [node])


@pytest.mark.parametrize(
    "value",
    [
        b"",
        rlp.encode([1, 2, EMPTY_ROOT]),
        rlp.encode([1, 2, EMPTY_ROOT, b"short"]),
        rlp.encode([1, 2, [EMPTY_ROOT], keccak256(b"")]),
        rlp.encode([1 << 64, 2, EMPTY_ROOT, keccak256(b"")]),
        rlp.encode(b"x" * 40),
    ],
)
def test_what_is_no_account_is_refused(value):
    node = rlp.encode([b"\x20" + keccak256(ADDRESS), value])

    with pytest.raises(DecodeError):
        account(keccak256(node), ADDRESS, [node])


def test_an_answer_proves_all_slots_asked_for_in_order():
    slots = [1, 4, 9, 0, 5_000]

    proven = read_proof(
        as_json(slots), state_root=STATE.root_hash, address=ADDRESS, slots=slots
    )

    assert proven.account == CONTRACT
    assert proven.words == {slot: WORDS.get(slot, 0) for slot in slots}


@pytest.mark.parametrize("slots", [[4, 1], [1], [1, 4, 9], [1, 5], []])
def test_an_answer_to_another_question_is_refused(slots):
    with pytest.raises(DecodeError):
        read_proof(
            as_json([1, 4]), state_root=STATE.root_hash, address=ADDRESS, slots=slots
        )


@pytest.mark.parametrize("address", [b"b" * 20, bytes([7]) * 20])
def test_another_account_is_refused(address):
    with pytest.raises(DecodeError):
        read_proof(as_json([]), state_root=STATE.root_hash, address=address, slots=[])


def test_a_missing_contract_is_refused():
    value = as_json([], address=b"b" * 20)

    with pytest.raises(NoAccountError, match="no such account"):
        read_proof(value, state_root=STATE.root_hash, address=b"b" * 20, slots=[])


@pytest.mark.parametrize(
    "change",
    [
        {"accountProof": None},
        {"accountProof": "0x"},
        {"accountProof": ["0x80"] * (MAX_NODES + 1)},
        {"accountProof": ["0x" + "00" * (MAX_NODE_BYTES + 1)]},
        {"accountProof": [5]},
        {"storageProof": None},
        {"storageProof": ["0x"]},
        {"storageProof": [{}]},
        {"storageProof": [{"proof": [None]}]},
    ],
)
def test_malformed_answers_are_refused(change):
    with pytest.raises(DecodeError):
        decode_proof(as_json([1]) | change, 1)


def test_answers_have_a_limit():
    with pytest.raises(DecodeError):
        decode_proof({"accountProof": [], "storageProof": [{}] * 2_000}, MAX_SLOTS + 1)
    with pytest.raises(DecodeError):
        decode_proof([], 0)
