"""RLP, strictly."""

import pytest
import rlp as reference
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.rlp import (
    MAX_BYTES,
    MAX_DEPTH,
    decode,
    decode_int,
    encode,
    encode_int,
)

# ethereum/tests, RLPTests/rlptest.json.
VECTORS = [
    (b"", "80"),
    (b"\x00", "00"),
    (b"\x7f", "7f"),
    (b"\x80", "8180"),
    (b"dog", "83646f67"),
    (
        b"Lorem ipsum dolor sit amet, consectetur adipisicing eli",
        "b74c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465"
        "7475722061646970697369" + "63696e6720656c69",
    ),
    (
        b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
        "b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e73656374"
        "657475722061646970697369" + "63696e6720656c6974",
    ),
    ((), "c0"),
    ((b"dog", b"god", b"cat"), "cc83646f6783676f6483636174"),
    (((), ((),), ((), ((),))), "c7c0c1c0c3c0c1c0"),
    ((b"zw", (b"\x04",), b"\x01"), "c6827a77c10401"),
]

items = st.recursive(
    st.binary(max_size=80),
    lambda inner: st.lists(inner, max_size=6).map(tuple),
    max_leaves=12,
)


def depth(item):
    if isinstance(item, bytes):
        return 0
    return 1 + max(map(depth, item), default=0)


@pytest.mark.parametrize(("item", "encoded"), VECTORS)
def test_known_encodings(item, encoded):
    assert encode(item).hex() == encoded
    assert decode(bytes.fromhex(encoded)) == item


@given(items.filter(lambda item: depth(item) <= MAX_DEPTH))
def test_items_survive_encoding(item):
    assert decode(encode(item)) == item


@given(items)
def test_encodings_are_those_of_the_reference(item):
    assert encode(item) == reference.encode(item)


@given(st.binary(max_size=120))
def test_any_bytes_are_one_item_in_its_only_encoding_or_a_decode_error(data):
    try:
        item = decode(data)
    except DecodeError:
        return

    assert encode(item) == data


@given(items.map(encode), st.data())
def test_cut_and_lengthened_encodings_are_refused(data, draw):
    cut = draw.draw(st.integers(0, len(data) - 1))

    with pytest.raises(DecodeError):
        decode(data[:cut])
    with pytest.raises(DecodeError):
        decode(data + b"\0")


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "8100",  # a single byte behind a length
        "817f",
        "b800",  # lengths that fit in the first byte
        "b837" + "61" * 55,
        "f800",
        "b90038" + "61" * 56,  # a length with a leading zero
        "b8",  # a length that is cut off
        "bf",
        "bfffffffffffffffff",  # longer than any memory
        "ffffffffffffffffff",
        "c2c0",  # a list that ends before its items
        "c1c2c0",  # an item that ends after its list
        "c18261",
    ],
)
def test_other_spellings_are_refused(encoded):
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(encoded))


def test_nesting_has_a_limit():
    deepest = b"\xc0"
    for _ in range(MAX_DEPTH - 1):
        deepest = bytes([0xC0 + len(deepest)]) + deepest

    assert depth(decode(deepest)) == MAX_DEPTH
    with pytest.raises(DecodeError, match="nested"):
        decode(bytes([0xC0 + len(deepest)]) + deepest)


def test_size_has_a_limit():
    with pytest.raises(DecodeError, match="bytes"):
        decode(encode(bytes(MAX_BYTES)))


@given(st.integers(0, (1 << 256) - 1))
def test_integers_survive_encoding(value):
    assert decode_int(encode_int(value), 256) == value


@pytest.mark.parametrize("item", [b"\0", b"\0\1", bytes(9), b"\1" * 9, (), (b"\1",)])
def test_integers_have_one_spelling_and_a_limit(item):
    with pytest.raises(DecodeError):
        decode_int(item, 64)


def test_negative_integers_are_not_written():
    with pytest.raises(LocalProtocolError):
        encode_int(-1)
