"""A node's self-signed entry."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.netdoc.node_entry import SignedNode, endpoint_text, parse_endpoint
from psp.testing.directory import LOOPBACK, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

NODES = SignedNetwork.build(SeededEntropy(2), nodes=3).nodes
NODE = NODES[0]


def test_entry_survives_the_round_trip():
    assert SignedNode.decode(NODE.signed.encode(), LOOPBACK) == NODE.signed


def test_entry_with_every_field_survives_the_round_trip():
    record = replace(
        NODE.record,
        endpoints=(Endpoint("192.0.2.1", 1), Endpoint("2001:db8::1", 65535)),
        previous_onion_key=bytes(range(32)),
        families=(bytes(16), b"f" * 16),
        version=9,
    )
    signed = SignedNode.sign(LOOPBACK, record, NODE.identity)

    assert SignedNode.decode(signed.encode(), LOOPBACK) == signed


def test_entry_of_another_network_is_refused():
    with pytest.raises(DecodeError, match="not signed"):
        SignedNode.decode(NODE.signed.encode(), Network(1, bytes(20)))


def test_entry_signed_by_somebody_else_is_refused():
    forged = SignedNode(NODE.record, NODES[1].signed.signature)

    with pytest.raises(DecodeError, match="not signed"):
        SignedNode.decode(forged.encode(), LOOPBACK)


def test_signing_another_nodes_record_is_a_bug():
    with pytest.raises(LocalProtocolError):
        SignedNode.sign(LOOPBACK, NODE.record, NODES[1].identity)


def test_an_endpoint_twice_in_one_entry_is_refused():
    record = replace(NODE.record, endpoints=NODE.record.endpoints * 2)
    signed = SignedNode.sign(LOOPBACK, record, NODE.identity)

    with pytest.raises(DecodeError, match="twice"):
        SignedNode.decode(signed.encode(), LOOPBACK)


def test_families_out_of_order_are_refused():
    record = replace(NODE.record, families=(b"b" * 16, b"a" * 16))
    signed = SignedNode.sign(LOOPBACK, record, NODE.identity)

    with pytest.raises(DecodeError, match="families"):
        SignedNode.decode(signed.encode(), LOOPBACK)


def test_a_huge_entry_is_refused_before_it_is_read():
    with pytest.raises(DecodeError, match="5000 bytes"):
        SignedNode.decode(b" " * 5000, LOOPBACK)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_entry_or_decode_error(data):
    with pytest.raises(DecodeError):
        SignedNode.decode(data, LOOPBACK)


@given(
    st.ip_addresses().map(str).filter(lambda host: "%" not in host),
    st.integers(1, 65535),
)
def test_endpoint_text_survives_the_round_trip(host, port):
    endpoint = Endpoint(host, port)

    assert parse_endpoint(endpoint_text(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:0443",
        "192.0.2.1:+443",
        "192.0.2.1:٤٤٣",
        "192.0.2.01:443",
        "localhost:443",
        "2001:db8::1:443",
        "[2001:DB8::1]:443",
        "[2001:db8:0::1]:443",
        "[fe80::1%eth0]:443",
        "[192.0.2.1]:443",
        " 192.0.2.1:443",
    ],
)
def test_endpoint_in_any_other_spelling_is_refused(text):
    with pytest.raises(DecodeError):
        parse_endpoint(text)
