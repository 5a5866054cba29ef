"""The descriptors a node holds and serves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.config import ServerConfig
from discovery.descriptor_store import DescriptorStore, Offer
from psp.directory.digests import element_digest
from psp.directory.listing import encode_listing, split_listing
from psp.netdoc.descriptor import is_proof
from psp.testing.directory import (
    LOOPBACK,
    START,
    SignedNetwork,
    make_node,
    second_signature,
)
from psp.testing.entropy import SeededEntropy
from psp.wire.directory_page import CURRENT

RIG = SignedNetwork.build(SeededEntropy(30), nodes=6)
IDS = [node.node_id for node in RIG.nodes]
FIRST = RIG.nodes[0]


def wire(node=FIRST, **fields):
    return RIG.descriptor(node, **fields).encode()


def store(members=IDS):
    held = DescriptorStore(ServerConfig(), LOOPBACK)
    held.retain(members)
    return held


def test_the_newest_of_each_node_is_held():
    held = store()

    offers = [held.offer(wire(sequence=n), START) for n in (3, 3, 5, 4)]

    assert offers == [Offer.STORED, Offer.HELD, Offer.STORED, Offer.OLDER]
    assert held.descriptor(FIRST.node_id).sequence == 5
    assert len(held) == 1


def test_nothing_of_strangers_is_held():
    stranger = make_node(LOOPBACK, SeededEntropy(31), bytes(20), FIRST.record.endpoints)

    assert store().offer(wire(stranger), START) is Offer.STRANGER


@pytest.mark.parametrize("size", [0, 1, 32])
def test_too_short_is_malformed(size):
    assert store().offer(wire()[:size], START) is Offer.MALFORMED


@given(st.integers(0, len(wire()) * 8 - 1))
def test_one_flipped_bit_is_never_stored(bit):
    changed = bytearray(wire())
    changed[bit // 8] ^= 1 << bit % 8

    assert store().offer(bytes(changed), START) in {Offer.MALFORMED, Offer.STRANGER}


@given(st.binary(max_size=250))
def test_any_bytes_are_judged(data):
    assert store().offer(data, START) in {Offer.MALFORMED, Offer.STRANGER}


@pytest.mark.parametrize("issued", [START - 11_000, START + 200])
def test_what_is_not_current_is_refused(issued):
    assert store().offer(wire(issued=issued), START) is Offer.EXPIRED


def test_expired_ones_go_and_do_not_come_back_older():
    held = store()
    held.offer(wire(sequence=9), START)

    held.expire(START + 11_000)
    again = held.offer(wire(sequence=8, issued=START + 11_000), START + 11_000)

    assert len(held) == 0
    assert again is Offer.OLDER


def test_two_of_one_sequence_are_kept_as_proof_and_the_first_is_served():
    held = store()
    held.offer(wire(load=1), START)

    offer = held.offer(wire(load=2), START)

    assert offer is Offer.CONTRADICTS
    assert is_proof(held.proofs[FIRST.node_id], LOOPBACK)
    assert held.descriptor(FIRST.node_id).load == 1


def test_another_signature_under_the_same_content_accuses_nobody():
    held = store()
    held.offer(wire(), START)
    first = RIG.descriptor(FIRST)
    text = b"psp-descriptor-v1" + LOOPBACK.encode() + first.content()
    other = first.content() + second_signature(FIRST.identity, text)

    assert held.offer(other, START) is Offer.HELD
    assert held.proofs == {}


def test_those_who_leave_the_registry_are_dropped():
    held = store()
    for node in RIG.nodes:
        held.offer(wire(node), START)
    held.offer(wire(load=2), START)

    held.retain(IDS[1:])

    assert len(held) == 5
    assert held.descriptor(FIRST.node_id) is None
    assert held.proofs == {}


def test_a_snapshot_lists_all_by_node_id():
    held = store()
    for node in RIG.nodes:
        held.offer(wire(node), START)

    listing = split_listing(held.snapshot(CURRENT, 0.0).data, 100)

    ids = [element[1:33] for element in listing]
    assert ids == sorted(IDS)


def test_there_is_no_snapshot_before_the_first_descriptor():
    assert store().snapshot(CURRENT, 0.0) is None


def test_a_snapshot_stands_for_half_a_minute_and_then_follows():
    held = store()
    held.offer(wire(RIG.nodes[0]), START)
    first = held.snapshot(CURRENT, 0.0)
    held.offer(wire(RIG.nodes[1]), START)

    during = held.snapshot(CURRENT, 29.0)
    after = held.snapshot(CURRENT, 30.0)

    assert during is first
    assert after.name != first.name
    assert held.snapshot(first.name, 31.0) is first
    assert held.snapshot(b"unknown!", 31.0) is after


def test_only_the_last_four_snapshots_are_kept():
    held = store()
    names = []
    for i, node in enumerate(RIG.nodes):
        held.offer(wire(node), START)
        names.append(held.snapshot(CURRENT, 30.0 * i).name)

    found = [held.snapshot(name, 200.0).name == name for name in names]

    assert found == [False, False, True, True, True, True]


def find(held, *wires, max_bytes=1091):
    return held.find([element_digest(element) for element in wires], max_bytes)


def test_digests_are_served_in_the_order_of_the_descriptors():
    held = store()
    for node in RIG.nodes[:4]:
        held.offer(wire(node), START)

    elements = split_listing(held.snapshot(CURRENT, 0.0).data, 10)
    digests = held.digests(CURRENT, 0.0).data

    assert digests == b"".join(element_digest(element) for element in elements)


def test_both_snapshots_stay_under_their_names_while_descriptors_change():
    held = store()
    held.offer(wire(sequence=1), START)
    listing, digests = held.snapshot(CURRENT, 0.0), held.digests(CURRENT, 0.0)
    for n in range(2, 5):
        held.offer(wire(sequence=n), START)
        held.snapshot(CURRENT, 30.0 * n)

    assert held.snapshot(listing.name, 999.0) is listing
    assert held.digests(digests.name, 999.0) is digests
    held.offer(wire(sequence=9), START)
    held.snapshot(CURRENT, 300.0)
    assert held.digests(digests.name, 999.0) is not digests


def test_descriptors_are_found_by_digest_in_the_order_asked():
    held = store()
    elements = [wire(node) for node in RIG.nodes[:4]]
    for element in elements:
        held.offer(element, START)

    assert find(held, *elements[::-1]) == elements[::-1]
    assert find(held, wire(RIG.nodes[5]), elements[2]) == [elements[2]]
    assert find(held) == []


def test_no_more_are_given_than_fit():
    held = store()
    elements = [wire(node) for node in RIG.nodes[:4]]
    for element in elements:
        held.offer(element, START)
    size = len(encode_listing(elements[:2]))

    assert find(held, *elements, max_bytes=size) == elements[:2]
    assert find(held, *elements, max_bytes=size - 1) == elements[:1]


def test_replaced_ones_are_found_until_there_are_too_many():
    held = DescriptorStore(ServerConfig(replaced_kept=2), LOOPBACK)
    held.retain(IDS)
    versions = [wire(sequence=n) for n in range(1, 5)]
    for element in versions:
        held.offer(element, START)

    assert find(held, *versions) == versions[1:]


def test_what_expired_or_left_is_not_found():
    held = store()
    elements = [wire(node) for node in RIG.nodes[:2]]
    for element in elements:
        held.offer(element, START)

    held.retain(IDS[1:])
    left = find(held, *elements)
    held.expire(START + 11_000)

    assert left == elements[1:]
    assert find(held, *elements) == []


def test_a_node_that_left_and_came_back_with_an_old_one_is_found_and_can_go_again():
    held = DescriptorStore(ServerConfig(replaced_kept=1), LOOPBACK)
    held.retain(IDS)
    old, new, other = wire(sequence=1), wire(sequence=2), wire(RIG.nodes[1])
    for element in (old, new, other):
        held.offer(element, START)
    held.retain(IDS[1:])
    held.retain(IDS)

    held.offer(old, START)
    held.offer(wire(RIG.nodes[1], sequence=2), START)
    found = find(held, old)
    held.retain(IDS[1:])

    assert found == [old]
    assert find(held, old) == []
