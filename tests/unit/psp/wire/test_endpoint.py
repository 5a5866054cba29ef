"""Endpoints (psp/wire/endpoint.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.endpoint import ENDPOINT_SIZE, Endpoint, by_worker

endpoints = st.builds(Endpoint, st.ip_addresses().map(str), st.integers(1, 65535))


@given(endpoints)
def test_decode_undoes_encode(endpoint):
    assert Endpoint.decode(endpoint.encode()) == endpoint


@given(st.binary(max_size=ENDPOINT_SIZE + 1))
def test_any_bytes_decode_or_raise_decode_error(data):
    with suppress(DecodeError):
        assert Endpoint.decode(data).encode() == data


@given(st.binary(min_size=18, max_size=18), st.sampled_from([0, 4, 6, 9]))
def test_what_decodes_is_the_one_encoding(body, family):
    data = bytes([family]) + body + bytes(5)

    with suppress(DecodeError):
        assert Endpoint.decode(data).encode() == data


@pytest.mark.parametrize("host", ["example.org", "", "1.2.3", "localhost"])
def test_a_name_is_never_an_endpoint(host):
    with pytest.raises(LocalProtocolError):
        Endpoint(host, 1).encode()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(LocalProtocolError):
        Endpoint("::1", port).encode()


def test_the_address_is_what_sockets_take():
    assert Endpoint("::1", 9).address == ("::1", 9)


def test_a_worker_is_all_endpoints_of_one_port_and_order_is_kept():
    first, second, both = (
        Endpoint("192.0.2.1", 443),
        Endpoint("192.0.2.1", 444),
        Endpoint("2001:db8::1", 443),
    )

    assert by_worker((first, second, both)) == ((first, both), (second,))
    assert by_worker((second, first)) == ((second,), (first,))
    assert by_worker(()) == ()
