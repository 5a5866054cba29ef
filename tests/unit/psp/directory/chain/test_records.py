"""The book of nodes."""

from collections.abc import MutableMapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey
from psp.directory.chain.records import (
    MAX_NODES,
    BookTrie,
    ListedNode,
    NodeStatus,
    NotCounted,
    book_root,
    join_listing,
    read_nodes,
    recall_nodes,
    split_listing,
    split_records,
)
from psp.directory.chain.trie import storage_root
from psp.errors import DecodeError
from psp.netdoc.node_record import NodeRecord, node_signing_input
from psp.testing.chain import (
    BOOK,
    OWNER,
    MemoryContracts,
    impure_signature,
    make_listing,
    node_words,
)
from psp.testing.directory import LOOPBACK
from psp.testing.entropy import SeededEntropy
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

ALICE, BOB = (SigningKey(bytes([n]) * 32) for n in (1, 2))
PLACES = (Endpoint("192.0.2.7", 443), Endpoint("2001:db8::7", 444))
OTHER = b"\x0b" * 20


def book(*records):
    return split_listing(b"".join(records))


def read(*records, previous=None):
    return read_nodes(LOOPBACK, book(*records), previous)


def test_a_record_is_read_word_by_word():
    (node,) = book(
        node_words(ALICE, onion_key=b"k" * 32, endpoints=PLACES, version=7, epoch=9)
    )

    assert (node.number, node.status, node.version) == (1, NodeStatus.ACTIVE, 7)
    assert (node.owner, node.registered, node.onion_epoch) == (OWNER, 9, 9)
    assert (node.identity, node.onion_key) == (ALICE.public, b"k" * 32)
    assert len(node.signature) == 64
    assert len(node.endpoint_words) == 1


def test_a_signed_record_counts():
    nodes = read(node_words(ALICE, onion_key=b"k" * 32, endpoints=PLACES, version=7))

    record = NodeRecord(ALICE.public, b"k" * 32, PLACES, OWNER, version=7)
    assert nodes.nodes == {ALICE.public: record}
    assert nodes.numbers == {1: ALICE.public}
    assert not nodes.refused
    assert not isinstance(nodes.nodes, MutableMapping)


def test_a_listing_survives_cutting():
    listed = make_listing(SeededEntropy(1), 5)

    assert split_listing(join_listing(listed)) == listed
    assert read_nodes(LOOPBACK, listed).listing == join_listing(listed)


def test_pages_and_chosen_records_keep_their_numbers():
    data = node_words(ALICE) + node_words(BOB, status=NodeStatus.RETIRED)

    assert [node.number for node in split_listing(data, first=241)] == [241, 242]
    assert [node.number for node in split_records(data, [9, 3])] == [9, 3]
    with pytest.raises(DecodeError, match="2 records instead of 1"):
        split_records(data, [9])


@given(st.binary(max_size=400))
def test_any_bytes_are_a_listing_or_a_decode_error(data):
    try:
        listed = split_listing(data)
    except DecodeError:
        return

    assert join_listing(listed) == data


@given(st.integers(1, 255), st.integers(0, 255))
def test_heads_that_the_contract_does_not_write_are_refused(status, rest):
    words = bytearray(node_words(ALICE))
    words[11] = status

    try:
        (node,) = split_listing(bytes(words) + bytes(32) * 3 * (rest % 2))
    except DecodeError:
        return

    assert len(node.endpoint_words) == node.raw[11] >> 4
    assert node.status in NodeStatus


def test_a_listing_has_a_limit():
    retired = node_words(ALICE, status=NodeStatus.RETIRED)

    assert len(split_listing(retired * MAX_NODES)) == MAX_NODES
    with pytest.raises(DecodeError, match="more than"):
        split_listing(retired * (MAX_NODES + 1))


@pytest.mark.parametrize("size", [1, 32, 64, 191])
def test_a_listing_does_not_end_within_a_record(size):
    with pytest.raises(DecodeError):
        split_listing(node_words(ALICE) + node_words(BOB)[:size])


@pytest.mark.parametrize("place", range(12, 192))
def test_no_byte_that_readers_rely_on_can_be_changed(place):
    # Before them stand status, words and counters, which are the contract's own.
    words = bytearray(node_words(ALICE))
    words[place] ^= 1

    nodes = read(bytes(words))

    assert not nodes.nodes
    assert set(nodes.refused) <= {NotCounted.SIGNATURE, NotCounted.ENDPOINTS}


def test_a_record_of_another_network_does_not_count():
    words = node_words(ALICE, network=Network(1, LOOPBACK.registry))

    assert read(words).refused == {NotCounted.SIGNATURE: 1}


def test_malformed_endpoints_do_not_count():
    words = node_words(ALICE)

    assert read(words[:-32] + b"\x05" * 32).refused == {NotCounted.ENDPOINTS: 1}
    assert read(words[:-32] + bytes(32)).refused == {NotCounted.ENDPOINTS: 1}


def test_retired_records_do_not_count():
    nodes = read(node_words(ALICE, status=NodeStatus.RETIRED), node_words(ALICE))

    assert nodes.numbers == {2: ALICE.public}
    assert nodes.refused == {NotCounted.RETIRED: 1}


def test_of_several_records_of_an_identity_the_first_counts():
    nodes = read(node_words(ALICE, version=3), node_words(ALICE, owner=OTHER))

    assert nodes.nodes[ALICE.public].version == 3
    assert nodes.refused == {NotCounted.DOUBLE: 1}


def test_a_copy_under_another_owner_takes_nothing_from_the_true_one():
    copy = bytearray(node_words(ALICE))
    copy[12:32] = OTHER

    nodes = read(bytes(copy), node_words(ALICE))

    assert nodes.numbers == {2: ALICE.public}
    assert nodes.refused == {NotCounted.SIGNATURE: 1}


@pytest.mark.parametrize("order", [1, -1])
def test_a_revoked_identity_is_dead_under_every_owner(order):
    records = [
        node_words(ALICE, status=NodeStatus.REVOKED),
        node_words(ALICE, owner=OTHER),
    ]

    nodes = read(*records[::order])

    assert not nodes.nodes
    assert nodes.refused == {NotCounted.REVOKED: 1, NotCounted.DEAD: 1}


def test_nobody_else_can_revoke_an_identity():
    forged = bytearray(node_words(ALICE, status=NodeStatus.REVOKED))
    forged[12:32] = OTHER

    nodes = read(bytes(forged), node_words(ALICE))

    assert set(nodes.nodes) == {ALICE.public}
    assert nodes.refused == {NotCounted.SIGNATURE: 1}


def test_a_key_that_can_sign_but_has_no_link_key_does_not_count():
    place = (Endpoint("192.0.2.1", 443),)

    def text(n, identity):
        record = NodeRecord(identity, n.to_bytes(32), place, OWNER)
        return node_signing_input(LOOPBACK, record)

    n, identity, signature = impure_signature(text)
    words = node_words(ALICE, endpoints=place)

    nodes = read(words[:32] + identity + n.to_bytes(32) + signature + words[160:])

    assert nodes.refused == {NotCounted.IDENTITY: 1}


def test_records_seen_before_are_not_verified_again(monkeypatch):
    records = [node_words(ALICE), node_words(BOB, status=NodeStatus.REVOKED)]
    forged = records[0][:12] + OTHER + records[0][32:]
    first = read(*records, forged)
    asked = []
    monkeypatch.setattr(
        "psp.directory.chain.counted.verify", lambda *args: asked.append(args) or True
    )

    again = read(*records, forged, previous=first)
    read(node_words(ALICE, version=2), *records, forged, previous=first)

    assert again == first
    assert (again.nodes, again.refused) == (first.nodes, first.refused)
    assert len(asked) == 1


def test_verdicts_of_another_network_do_not_count():
    first = read(node_words(ALICE))

    elsewhere = read_nodes(Network(1, bytes(20)), book(node_words(ALICE)), first)

    assert elsewhere.refused == {NotCounted.SIGNATURE: 1}


def test_verdicts_can_be_kept():
    records = [
        node_words(ALICE, status=NodeStatus.RETIRED),
        node_words(ALICE),
        node_words(ALICE, owner=OTHER),
        node_words(BOB)[:12] + OTHER + node_words(BOB)[32:],
        node_words(BOB, status=NodeStatus.REVOKED),
        node_words(BOB)[:-32] + bytes(32),
    ]
    nodes = read(*records)

    recalled = recall_nodes(LOOPBACK, nodes.listed, nodes.flags)

    assert recalled.nodes == nodes.nodes
    assert recalled.numbers == nodes.numbers
    assert recalled.refused == nodes.refused
    assert recalled.verdicts == nodes.verdicts


@pytest.mark.parametrize("flags", [b"", bytes(3), b"\xff\x00", bytes(2)])
def test_verdicts_that_cannot_be_are_refused(flags):
    listed = book(node_words(ALICE), node_words(ALICE, status=NodeStatus.RETIRED))

    with pytest.raises(DecodeError):
        recall_nodes(LOOPBACK, listed, flags)


def test_the_root_of_a_book_is_that_of_its_storage():
    contracts = MemoryContracts.with_nodes(SeededEntropy(2), 7)
    contracts.end_node(3, NodeStatus.RETIRED)
    contracts.end_node(5, NodeStatus.REVOKED)

    root = book_root(split_listing(b"".join(contracts.nodes)), LOOPBACK.registry)

    assert root == storage_root(contracts.storage(BOOK).items())


def test_a_missing_changed_or_added_record_shows_in_the_root():
    listed = make_listing(SeededEntropy(3), 6)
    root = book_root(listed, LOOPBACK.registry)
    other = ListedNode(2, node_words(ALICE))

    roots = {
        book_root(listed[:-1], LOOPBACK.registry),
        book_root((listed[0], other, *listed[2:]), LOOPBACK.registry),
        book_root((*listed, ListedNode(7, node_words(ALICE))), LOOPBACK.registry),
        book_root(listed, OTHER),
    }

    assert len(roots) == 4
    assert root not in roots


def test_a_kept_trie_follows_every_change():
    listed = make_listing(SeededEntropy(4), 30)
    retired = ListedNode(4, node_words(ALICE, status=NodeStatus.RETIRED))
    larger = ListedNode(9, node_words(ALICE, endpoints=PLACES))
    trie = BookTrie(LOOPBACK.registry)

    for books in (
        listed[:20],
        listed[:20],
        listed,
        (*listed[:3], retired, *listed[4:]),
        (*listed[:8], larger, *listed[9:]),
        listed[:7],
        (),
        listed,
    ):
        assert trie.root(books) == book_root(books, LOOPBACK.registry)
