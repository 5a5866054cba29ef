"""Any bytes give an object or DecodeError."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError
from psp.netdoc.strict_json import decode_json


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    number: int = 0
    text: str = ""


@given(st.binary(max_size=200))
def test_any_bytes_give_an_object_or_decode_error(data):
    with contextlib.suppress(DecodeError):
        assert isinstance(decode_json(data, Shape), Shape)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b'{"text": "\xff"}',
        b'{"other": 1}',
        b'{"number": 1e999}',
        b'{"number": 1',
        b"[" * 100_000,
        b'{"text": "\\ud800"}',
    ],
)
def test_what_is_not_the_shape_is_refused(data):
    with pytest.raises(DecodeError):
        decode_json(data, Shape)
