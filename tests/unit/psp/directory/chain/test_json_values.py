"""Hex values of JSON-RPC."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.directory.chain.json_values import bytes_up_to, fixed_bytes, quantity
from psp.errors import DecodeError

anything = st.one_of(
    st.none(),
    st.integers(),
    st.text(),
    st.binary(),
    st.from_regex(r"0x[0-9a-fA-F _+-]{0,20}"),
    st.lists(st.text()),
)


@pytest.mark.parametrize(
    ("text", "number"), [("0x0", 0), ("0x1", 1), ("0xAb", 171), ("0xff", 255)]
)
def test_quantities(text, number):
    assert quantity(text, 8) == number


@pytest.mark.parametrize(
    "value",
    ["0x", "0x00", "0x01", "ff", "0xg", "0x1_0", "0x 1", "0x+1", "0X1", "0x100", 5, b"", None],
)  # fmt: skip
def test_other_quantities_are_refused(value):
    with pytest.raises(DecodeError):
        quantity(value, 8)


def test_limits_need_not_be_whole_digits():
    assert quantity("0x1f", 5) == 31
    with pytest.raises(DecodeError, match="5 bits"):
        quantity("0x20", 5)


def test_data():
    assert bytes_up_to("0x", 2) == b""
    assert bytes_up_to("0x00fF", 2) == b"\x00\xff"
    assert fixed_bytes("0x00fF", 2) == b"\x00\xff"


@pytest.mark.parametrize(
    "value", ["", "00", "0x0", "0x00 0", "0x000000", "0x0g", "0x é0", 0, None, ["0x00"]]
)
def test_other_data_are_refused(value):
    with pytest.raises(DecodeError):
        fixed_bytes(value, 2)


@given(anything)
def test_anything_is_a_value_or_a_decode_error(value):
    for read in (quantity, bytes_up_to, fixed_bytes):
        try:
            read(value, 8)
        except DecodeError:
            continue
