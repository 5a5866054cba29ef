"""Changes sealed under the key of one handle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.kdf import Label
from psp.crypto.primitives import aes_gcm
from psp.errors import DecodeError
from psp.netdoc.watch_handle import open_change, seal_change
from psp.wire.watch import SEALED_CHANGE_SIZE, Change

KEY, COOKIE = b"k" * 32, b"c" * 20


def sealed_plain(plain: bytes) -> bytes:
    return aes_gcm(KEY).encrypt(bytes(12), plain, Label.WATCH_CHANGE + COOKIE)


@pytest.mark.parametrize("change", Change)
def test_a_change_reaches_whoever_left_the_handle(change):
    sealed = seal_change(KEY, COOKIE, change, 2**63)

    assert len(sealed) == SEALED_CHANGE_SIZE
    assert open_change(KEY, COOKIE, sealed) == (change, 2**63)


def test_the_sealed_bytes_are_these():
    sealed = seal_change(KEY, COOKIE, Change.GONE, 7)

    assert sealed == sealed_plain(b"\1" + (7).to_bytes(8) + bytes(7))


def test_a_message_does_not_fit_another_handle():
    sealed = seal_change(KEY, COOKIE, Change.GONE, 1)

    with pytest.raises(DecodeError):
        open_change(KEY, b"d" * 20, sealed)
    with pytest.raises(DecodeError):
        open_change(b"l" * 32, COOKIE, sealed)


@pytest.mark.parametrize("plain", [bytes(16), b"\x08" + bytes(15), b"\1" + b"\1" * 15])
def test_what_is_no_change_is_refused_though_it_opens(plain):
    with pytest.raises(DecodeError):
        open_change(KEY, COOKIE, sealed_plain(plain))


@given(data=st.binary(max_size=40) | st.binary(min_size=32, max_size=32))
def test_any_bytes_are_a_decode_error(data):
    with pytest.raises(DecodeError):
        open_change(KEY, COOKIE, data)
