"""What a relay says about itself."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.netdoc.descriptor import (
    MAX_DESCRIPTOR_BYTES,
    Descriptor,
    Equivocation,
    Role,
    equivocation,
    is_proof,
)
from psp.testing.directory import LOOPBACK, START, SignedNetwork, second_signature
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

RIG = SignedNetwork.build(SeededEntropy(4), nodes=3)
NODE, OTHER = RIG.nodes[:2]
DESCRIPTOR = RIG.descriptor(NODE, roles=Role.PRESENCE | Role.LANDING, load=7)
WIRE = DESCRIPTOR.encode()


def resigned(**changes):
    return replace(DESCRIPTOR, **changes).signed(LOOPBACK, NODE.identity)


@given(
    sequence=st.integers(0, 2**64 - 1),
    issued=st.integers(0, 2**40 - 1),
    life=st.integers(1, 10_800),
    versions=st.tuples(st.integers(1, 9), st.integers(9, 255)),
    roles=st.integers(0, 31).map(Role),
    load=st.integers(0, 255),
    families=st.sets(st.binary(min_size=16, max_size=16), max_size=4),
)
def test_descriptor_survives_the_round_trip(**fields):
    fields["families"] = tuple(sorted(fields["families"]))
    descriptor = resigned(**fields)

    wire = descriptor.encode()

    assert Descriptor.decode(wire, LOOPBACK) == descriptor
    assert len(wire) == descriptor.size <= MAX_DESCRIPTOR_BYTES == 185


@given(st.integers(0, len(WIRE) * 8 - 1))
def test_one_flipped_bit_anywhere_is_refused(bit):
    changed = bytearray(WIRE)
    changed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(DecodeError):
        Descriptor.decode(bytes(changed), LOOPBACK)


@given(st.binary(max_size=300))
def test_any_bytes_give_decode_error(data):
    with pytest.raises(DecodeError):
        Descriptor.decode(data, LOOPBACK)


@pytest.mark.parametrize("size", [0, 1, 55, len(WIRE) - 1])
def test_a_descriptor_cut_short_is_refused(size):
    with pytest.raises(DecodeError):
        Descriptor.decode(WIRE[:size], LOOPBACK)


def test_bytes_after_the_end_are_refused():
    with pytest.raises(DecodeError, match="after the end"):
        Descriptor.decode(WIRE + b"\0", LOOPBACK)


def test_another_network_does_not_verify():
    with pytest.raises(DecodeError, match="signature"):
        Descriptor.decode(WIRE, Network(1, bytes(20)))


@pytest.mark.parametrize(
    "changes",
    [
        {"life": 10_801},
        {"life": 0},
        {"issued": 1 << 40},
        {"versions": (2, 1)},
        {"versions": (0, 1)},
        {"versions": (1, 256)},
        {"load": 256},
        {"sequence": -1},
        {"families": (b"short",)},
        {"families": (b"b" * 16, b"a" * 16)},
        {"families": tuple(bytes([i]) * 16 for i in range(5))},
        {"node_id": b"short"},
    ],
)
def test_fields_out_of_range_are_not_signed(changes):
    with pytest.raises(LocalProtocolError):
        replace(DESCRIPTOR, **changes).content()


def test_life_beyond_three_hours_is_refused_even_if_signed():
    body = WIRE[:49] + (10_801).to_bytes(2) + WIRE[51:-64]
    text = b"psp-descriptor-v1" + LOOPBACK.encode() + body

    with pytest.raises(DecodeError, match="10801"):
        Descriptor.decode(body + NODE.identity.sign(text), LOOPBACK)


def test_unknown_roles_are_refused():
    body = WIRE[:53] + b"\x80" + WIRE[54:-64]

    with pytest.raises(DecodeError, match="roles"):
        Descriptor.decode(body + bytes(64), LOOPBACK)


def test_signing_for_another_node_is_a_bug():
    with pytest.raises(LocalProtocolError):
        DESCRIPTOR.signed(LOOPBACK, OTHER.identity)


@pytest.mark.parametrize(
    ("offset", "current"),
    [(-121, False), (-120, True), (0, True), (10_919, True), (10_920, False)],
)
def test_it_counts_from_issue_to_expiry_with_two_minutes_for_clocks(offset, current):
    assert DESCRIPTOR.is_current(START + offset) is current


def test_two_descriptors_of_one_sequence_prove_misbehaviour():
    proof = equivocation(DESCRIPTOR, resigned(load=200))

    assert proof is not None
    assert proof.node_id == NODE.node_id
    assert is_proof(proof, LOOPBACK)


def test_successive_or_foreign_descriptors_prove_nothing():
    assert equivocation(DESCRIPTOR, DESCRIPTOR) is None
    assert equivocation(DESCRIPTOR, resigned(sequence=2, load=9)) is None
    assert equivocation(DESCRIPTOR, RIG.descriptor(OTHER)) is None


def test_another_signature_under_the_same_content_proves_nothing():
    text = b"psp-descriptor-v1" + LOOPBACK.encode() + DESCRIPTOR.content()
    other = replace(DESCRIPTOR, signature=second_signature(NODE.identity, text))

    assert Descriptor.decode(other.encode(), LOOPBACK) == other != DESCRIPTOR
    assert equivocation(DESCRIPTOR, other) is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_made_up_evidence_accuses_nobody(first, second):
    assert not is_proof(Equivocation(NODE.node_id, first, second), LOOPBACK)


def test_evidence_against_somebody_else_accuses_nobody():
    proof = equivocation(DESCRIPTOR, resigned(load=200))

    assert proof is not None
    assert not is_proof(replace(proof, node_id=OTHER.node_id), LOOPBACK)
