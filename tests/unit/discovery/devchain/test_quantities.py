"""Hex from clients is read leniently where clients differ, and strictly elsewhere."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.devchain.errors import INVALID_PARAMS, RpcError
from discovery.devchain.quantities import (
    MAX_UINT256,
    data,
    read_address,
    read_data,
    read_hash,
    read_quantity,
    word,
)


@given(st.integers(0, MAX_UINT256))
def test_quantity_comes_back(value):
    assert read_quantity(hex(value)) == value
    assert read_quantity(word(value)) == value
    assert read_quantity(value) == value


@given(st.binary(max_size=100))
def test_data_come_back(octets):
    assert read_data(data(octets)) == octets
    assert read_data(data(octets).upper().replace("X", "x")) == octets


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0x",
        "12",
        "0xg",
        "0x1_0",
        "0x 1",
        "0x-1",
        "-0x1",
        "0x\u0661",
        "0x" + "1" * 65,
        -1,
        2**256,
        1.0,
        True,
        None,
        [],
        {},
    ],
)
def test_what_is_no_quantity_is_refused(value):
    with pytest.raises(RpcError) as refused:
        read_quantity(value)

    assert refused.value.code == INVALID_PARAMS


@pytest.mark.parametrize("value", ["", "00", "0x0", "0xzz", "0x 00", "0x00 ", 5, None])
def test_what_are_no_data_are_refused(value):
    with pytest.raises(RpcError) as refused:
        read_data(value)

    assert refused.value.code == INVALID_PARAMS


def test_address_and_hash_have_one_length():
    assert read_address("0x" + "Ab" * 20) == b"\xab" * 20
    assert read_hash("0x" + "cd" * 32) == b"\xcd" * 32
    with pytest.raises(RpcError, match="19 bytes"):
        read_address("0x" + "ab" * 19)
    with pytest.raises(RpcError, match="33 bytes"):
        read_hash("0x" + "ab" * 33)


@given(st.one_of(st.text(), st.integers(), st.none(), st.floats(), st.booleans()))
def test_anything_is_read_or_refused(value):
    for read in (read_quantity, read_data, read_address):
        with suppress(RpcError):
            read(value)
