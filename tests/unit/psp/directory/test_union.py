"""Merging what several discovery nodes serve, some of them hostile."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.directory.union import SPARE_ELEMENTS, DescriptorUnion
from psp.netdoc.descriptor import is_proof
from psp.testing.directory import (
    LOOPBACK,
    START,
    SignedNetwork,
    make_node,
    second_signature,
)
from psp.testing.entropy import SeededEntropy

RIG = SignedNetwork.build(SeededEntropy(20), nodes=10)
IDS = [node.node_id for node in RIG.nodes]
GOOD = [RIG.descriptor(node, sequence=5) for node in RIG.nodes]
WIRE = [descriptor.encode() for descriptor in GOOD]
A, B, C = (bytes([i]) * 32 for i in (1, 2, 3))


def union(**options):
    return DescriptorUnion(LOOPBACK, IDS, **options)


def test_three_halves_make_a_whole():
    merged = union()

    merged.add(A, WIRE[:5], START)
    merged.add(B, WIRE[4:], START)
    merged.add(C, WIRE[::2], START)

    assert merged.descriptors == dict(zip(IDS, GOOD, strict=True))
    assert merged.unseen == frozenset()


def test_one_honest_source_among_liars_is_enough():
    merged = union()

    merged.add(A, [], START)
    merged.add(B, [b"junk"] * 50, START)
    merged.add(C, WIRE, START)

    assert len(merged.descriptors) == 10
    assert merged.withheld(A) == merged.withheld(B) == set(IDS)
    assert merged.withheld(C) == frozenset()
    assert [merged.reports[key].is_bad for key in (A, B, C)] == [False, True, False]


def test_what_nobody_serves_is_unseen_and_withheld_by_nobody():
    merged = union()

    merged.add(A, WIRE[1:], START)
    merged.add(B, WIRE[1:], START)

    assert merged.unseen == {IDS[0]}
    assert merged.withheld(A) == frozenset()
    assert merged.withheld(C) == frozenset()


def test_the_newest_of_each_relay_wins_whoever_serves_it():
    merged = union()
    newer = RIG.descriptor(RIG.nodes[0], sequence=6)

    merged.add(A, [newer.encode()], START)
    report = merged.add(B, [WIRE[0]], START)

    assert merged.descriptors[IDS[0]] == newer
    assert report.older == 1
    assert not report.is_bad


def test_nothing_falls_below_a_sequence_seen_before_a_restart():
    merged = union(highest={IDS[0]: 6})

    report = merged.add(A, [WIRE[0]], START)

    assert IDS[0] not in merged.descriptors
    assert report.older == 1


def test_junk_under_a_good_relays_name_costs_the_sender_only():
    merged = union()
    forged = bytearray(WIRE[0])
    forged[60] ^= 1

    report = merged.add(A, [bytes(forged)], START)
    merged.add(B, WIRE, START)

    assert report.malformed == 1
    assert merged.descriptors[IDS[0]] == GOOD[0]
    assert merged.proofs == []


def test_a_stranger_is_counted_and_not_verified():
    stranger = make_node(
        LOOPBACK, SeededEntropy(21), bytes(20), RIG.nodes[0].record.endpoints
    )
    merged = union()

    report = merged.add(A, [RIG.descriptor(stranger).encode()], START)

    assert report.strangers == 1
    assert not report.is_bad
    assert merged.descriptors == {}


def test_expired_descriptors_do_not_count_as_served():
    merged = union()

    report = merged.add(A, WIRE, START + 11_000)

    assert (report.expired, report.served) == (10, set())
    assert merged.descriptors == {}


def test_the_same_relay_twice_from_one_source_is_held_against_it():
    merged = union()

    report = merged.add(A, [WIRE[0], WIRE[0]], START)

    assert report.doubled == 1
    assert report.is_bad


def test_more_than_the_cap_is_not_looked_at():
    merged = union()
    cap = len(IDS) + SPARE_ELEMENTS

    report = merged.add(A, [b"junk"] * (cap + 5) + WIRE, START)

    assert report.malformed == cap
    assert report.surplus == 15
    assert merged.descriptors == {}


def test_two_descriptors_of_one_sequence_are_proof_against_the_relay():
    merged = union()
    twin = RIG.descriptor(RIG.nodes[0], sequence=5, load=99)

    merged.add(A, [WIRE[0]], START)
    report = merged.add(B, [twin.encode()], START)
    merged.add(C, [twin.encode()], START)

    (proof,) = merged.proofs
    assert is_proof(proof, LOOPBACK)
    assert proof.node_id == IDS[0]
    assert not report.is_bad
    assert merged.descriptors[IDS[0]] == GOOD[0]


def test_another_signature_under_the_same_content_accuses_nobody():
    merged = union()
    merged.add(A, [WIRE[0]], START)

    text = b"psp-descriptor-v1" + LOOPBACK.encode() + GOOD[0].content()
    other = second_signature(RIG.nodes[0].identity, text)
    report = merged.add(B, [replace(GOOD[0], signature=other).encode()], START)

    assert merged.proofs == []
    assert report.served == {IDS[0]}
    assert not report.is_bad


def test_what_is_held_is_kept_and_pruned_by_age():
    merged = union(held=GOOD[:3])
    kept = len(merged.descriptors)

    merged.prune(START + 11_000)

    assert (kept, len(merged.descriptors)) == (3, 0)
    assert merged.highest == dict.fromkeys(IDS[:3], 5)


def test_those_who_left_the_registry_are_forgotten():
    merged = DescriptorUnion(LOOPBACK, IDS[1:], held=GOOD, highest={IDS[0]: 5})

    assert IDS[0] not in merged.descriptors
    assert IDS[0] not in merged.highest


@given(st.lists(st.binary(max_size=250) | st.sampled_from(WIRE), max_size=30))
def test_any_bytes_from_anybody_leave_only_valid_descriptors(elements):
    merged = union()

    merged.add(A, elements, START)

    assert set(merged.descriptors.values()) <= set(GOOD)


@pytest.mark.parametrize("portions", [1, 3, 10])
def test_portions_add_up(portions):
    merged = union()

    for start in range(portions):
        merged.add(A, WIRE[start::portions], START)

    assert merged.reports[A].fresh == 10
