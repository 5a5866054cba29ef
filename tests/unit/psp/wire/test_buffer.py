"""The bounded reader (psp/wire/buffer.py)."""

import pytest

from psp.errors import DecodeError
from psp.wire.buffer import Reader


def test_fields_come_in_order():
    reader = Reader(bytes.fromhex("01 0203 04050607 ff"))

    assert (reader.u8(), reader.u16(), reader.u32()) == (1, 0x0203, 0x04050607)
    assert reader.remaining == 1
    assert reader.take(1) == b"\xff"
    reader.finish()


def test_running_off_the_end_is_a_decode_error():
    with pytest.raises(DecodeError, match="need 2 bytes, 1 remain"):
        Reader(b"x").u16()


def test_bytes_left_over_are_a_decode_error():
    with pytest.raises(DecodeError, match="1 bytes after the end"):
        Reader(b"x").finish()
