"""EXTEND data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.wire.endpoint import Endpoint
from psp.wire.extend import Extend

EXTEND = Extend(NodeId(b"n" * 32), Endpoint("192.0.2.7", 443), b"h" * 1344)


def test_extend_has_1432_bytes_in_the_order_of_the_specification():
    data = EXTEND.encode()

    assert len(data) == 1432
    assert data[:32] == EXTEND.node_id
    assert data[32:56] == EXTEND.endpoint.encode()
    assert data[56:1400] == EXTEND.client_handshake
    assert data[1400:] == bytes(32)


def test_extend_survives_encoding():
    assert Extend.decode(EXTEND.encode()) == EXTEND


@pytest.mark.parametrize("size", [0, 1431, 1433])
def test_other_sizes_are_refused(size):
    with pytest.raises(DecodeError, match=f"{size} bytes"):
        Extend.decode(bytes(size))


def test_padding_must_be_zero():
    with pytest.raises(DecodeError, match="padding"):
        Extend.decode(EXTEND.encode()[:-1] + b"\1")


def test_endpoint_must_be_one():
    data = EXTEND.encode()

    with pytest.raises(DecodeError, match="port 0"):
        Extend.decode(data[:49] + bytes(2) + data[51:])


@pytest.mark.parametrize(
    "extend",
    [
        Extend(NodeId(b"short"), EXTEND.endpoint, EXTEND.client_handshake),
        Extend(EXTEND.node_id, EXTEND.endpoint, b"short"),
    ],
)
def test_malformed_extends_are_not_sent(extend):
    with pytest.raises(LocalProtocolError):
        extend.encode()


@given(st.binary(min_size=24, max_size=24), st.binary(min_size=32, max_size=32))
def test_any_bytes_are_an_extend_or_a_decode_error(endpoint, padding):
    data = bytes(32) + endpoint + bytes(1344) + padding
    try:
        extend = Extend.decode(data)
    except DecodeError:
        return
    assert extend.encode() == data


@given(st.binary(max_size=2000))
def test_bytes_of_any_size_are_an_extend_or_a_decode_error(data):
    try:
        Extend.decode(data)
    except DecodeError:
        return
    assert len(data) == 1432
