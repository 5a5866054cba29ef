"""Relay messages (psp/wire/relay_message.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.onion import inner_size
from psp.wire.relay_message import MAX_DATA, RelayCommand, RelayMessage

messages = st.builds(
    RelayMessage,
    st.sampled_from(RelayCommand),
    st.integers(0, 65535),
    st.binary(max_size=MAX_DATA),
)


@given(messages)
def test_decode_undoes_encode_and_padding(message):
    padded = message.encode().ljust(inner_size(1), b"\0")

    assert RelayMessage.decode(padded) == message


@given(st.binary(max_size=inner_size(1) + 1))
def test_any_bytes_decode_or_raise_decode_error(data):
    with suppress(DecodeError):
        RelayMessage.decode(data)


def test_bytes_after_the_end_are_refused():
    with pytest.raises(DecodeError, match="padding is not zero"):
        RelayMessage.decode(RelayMessage(RelayCommand.PING, 1, b"x").encode() + b"\1")


def test_a_length_past_the_end_is_refused():
    with pytest.raises(DecodeError, match="need 9 bytes, 0 remain"):
        RelayMessage.decode(bytes.fromhex("05 0000 0009"))


def test_an_unknown_command_is_refused():
    with pytest.raises(DecodeError, match="unknown relay command 255"):
        RelayMessage.decode(bytes.fromhex("ff 0000 0000"))


def test_too_much_data_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        RelayMessage(RelayCommand.PING, 1, bytes(MAX_DATA + 1)).encode()
