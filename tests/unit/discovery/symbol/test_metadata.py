import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.symbol.metadata import (
    MAX_SEATS,
    MAX_TRUSTED,
    MAX_VALUE_BYTES,
    ElectedMetadata,
    NodeMetadata,
    RecordStatus,
    TrustedMetadata,
    UserMetadata,
)
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId, UserId
from psp.wire.endpoint import Endpoint

KINDS = [NodeMetadata, UserMetadata, TrustedMetadata, ElectedMetadata]
A, B = NodeId(bytes([1]) * 32), NodeId(bytes([2]) * 32)
ENDPOINT = Endpoint("192.0.2.1", 443)
NODE = NodeMetadata(RecordStatus.ACTIVE, 7, A, B, (ENDPOINT,), bytes(64))
USER = UserMetadata(RecordStatus.REVOKED, UserId(A), bytes(64))
TRUSTED = TrustedMetadata((A, B))
ELECTED = ElectedMetadata(5, (A, B))
VALUES = pytest.mark.parametrize("value", [NODE, USER, TRUSTED, ELECTED])


def test_the_bytes_are_those_of_the_documented_layout():
    endpoint = bytes([4, 192, 0, 2, 1]) + bytes(12) + b"\x01\xbb" + bytes(5)

    assert NODE.encode() == (
        b"PSPN\x01\x01\x00\x00\x00\x07" + A + B + bytes(64) + b"\x01" + endpoint
    )
    assert USER.encode() == b"PSPU\x01\x03" + A + bytes(64)
    assert TRUSTED.encode() == b"PSPT\x01\x02" + A + B
    assert ELECTED.encode() == b"PSPE\x01\x00\x00\x00\x05\x02" + A + B


@VALUES
def test_what_is_written_can_be_read(value):
    assert type(value).decode(value.encode()) == value


@VALUES
def test_a_byte_less_or_more_is_refused(value):
    data = value.encode()

    for other in (data[:-1], data + b"\0", data[1:], b"\0" + data):
        with pytest.raises(DecodeError):
            type(value).decode(other)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=1100), prefix=st.sampled_from("NUTE"))
def test_any_bytes_are_one_encoding_or_refused(kind, data, prefix):
    for candidate in (data, b"PSP" + prefix.encode() + b"\x01" + data):
        try:
            value = kind.decode(candidate)
        except DecodeError:
            continue
        assert value.encode() == candidate


@VALUES
def test_one_kind_is_not_read_as_another(value):
    for kind in set(KINDS) - {type(value)}:
        with pytest.raises(DecodeError, match="another kind"):
            kind.decode(value.encode())


@pytest.mark.parametrize(
    ("place", "byte", "text"),
    [
        (4, 2, "another kind or format"),
        (5, 0, "status 0"),
        (5, 4, "status 4"),
        (6, 1, "version 16777223"),
        (9, 0, "version 0"),
        (138, 0, "0 endpoints"),
        (138, 17, "17 endpoints"),
        (138, 2, "need 24 bytes"),
    ],
)
def test_a_node_outside_its_limits_is_refused(place, byte, text):
    data = bytearray(NODE.encode())
    data[place] = byte

    with pytest.raises(DecodeError, match=text):
        NodeMetadata.decode(bytes(data))


def test_an_endpoint_does_not_stand_twice():
    data = bytearray(NODE.encode())
    data[138] = 2

    with pytest.raises(DecodeError, match="twice"):
        NodeMetadata.decode(bytes(data) + ENDPOINT.encode())


@pytest.mark.parametrize("nodes", [(B, A), (A, A)])
def test_lists_rise(nodes):
    for value in (TrustedMetadata(nodes), ElectedMetadata(5, nodes)):
        with pytest.raises(DecodeError, match="rising"):
            type(value).decode(value.encode())


def identities(count):
    return tuple(number.to_bytes(32) for number in range(count))


def test_lists_are_bounded_and_fit_into_an_entry():
    full = ElectedMetadata(5, identities(MAX_SEATS))

    assert len(full.encode()) <= MAX_VALUE_BYTES
    assert ElectedMetadata.decode(full.encode()) == full
    with pytest.raises(LocalProtocolError, match="do not fit"):
        ElectedMetadata(5, identities(MAX_SEATS + 1)).encode()
    long = TrustedMetadata(identities(MAX_TRUSTED + 1)).encode()
    with pytest.raises(DecodeError, match="17 identities in a list of at most 16"):
        TrustedMetadata.decode(long)


def test_a_node_with_every_field_at_its_limit_fits_into_an_entry():
    endpoints = tuple(Endpoint("2001:db8::1", port) for port in range(1, 17))
    node = NodeMetadata(RecordStatus.ACTIVE, 2**24 - 1, A, B, endpoints, bytes(64))

    assert len(node.encode()) == 523
    assert NodeMetadata.decode(node.encode()) == node


def test_more_than_an_entry_holds_is_refused():
    with pytest.raises(DecodeError, match="1025 bytes"):
        NodeMetadata.decode(bytes(1025))
