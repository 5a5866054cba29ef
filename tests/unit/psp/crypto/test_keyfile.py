"""Key files (psp/crypto/keyfile.py)."""

import hashlib
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keyfile import (
    MAX_COST,
    Argon2Cost,
    decode,
    encode,
    needs_passphrase,
)
from psp.errors import DecodeError, LocalProtocolError, PassphraseError
from psp.testing.entropy import SeededEntropy

CHEAP = Argon2Cost(memory_kib=32, iterations=1, lanes=1)
SECRET = bytes(range(32))


def encode_secret(passphrase=None, *, secret=SECRET, cost=CHEAP):
    return encode(secret, entropy=SeededEntropy(), passphrase=passphrase, cost=cost)


def with_checksum(data):
    return data + hashlib.sha256(data).digest()[:8]


def with_header(
    *, protection=1, length=32, cost=CHEAP, version=1, body=bytes(48), salt=bytes(28)
):
    """Write a file by the layout alone; its checksum is right."""
    numbers = (cost.memory_kib, cost.iterations, cost.lanes)
    header = struct.pack(">BBHIII", version, protection, length, *numbers)
    return with_checksum(b"PSPKEY\r\n" + header + salt + body)


@given(secret=st.binary(min_size=1, max_size=16_384))
def test_plain_file_gives_its_secret_back(secret):
    data = encode_secret(secret=secret)

    assert decode(data) == secret
    assert decode(data, passphrase="not asked for") == secret
    assert not needs_passphrase(data)


@given(
    secret=st.binary(min_size=1, max_size=100),
    passphrase=st.text(st.characters(codec=None), min_size=1),
)
def test_passphrase_gives_the_secret_back(secret, passphrase):
    data = encode_secret(passphrase, secret=secret)

    assert decode(data, passphrase=passphrase) == secret
    assert secret not in data[52:] or len(secret) < 8  # behind the header
    assert needs_passphrase(data)


def test_default_cost_is_64_mib_and_three_passes():
    data = encode(SECRET, entropy=SeededEntropy(), passphrase="correct horse")

    assert struct.unpack_from(">III", data, 12) == (65536, 3, 4)
    assert decode(data, passphrase="correct horse") == SECRET


@pytest.mark.parametrize("passphrase", ["wrong", "Correct", "", None])
def test_wrong_or_missing_passphrase_has_an_error_of_its_own(passphrase):
    data = encode_secret("correct")

    with pytest.raises(PassphraseError):
        decode(data, passphrase=passphrase)


def test_empty_passphrase_protects_nothing_and_is_refused():
    with pytest.raises(PassphraseError, match="empty"):
        encode_secret("")


@pytest.mark.parametrize("passphrase", [None, "correct"])
def test_damage_anywhere_is_told_from_a_wrong_passphrase(passphrase):
    data = encode_secret(passphrase)

    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x01
        with pytest.raises(DecodeError):
            decode(bytes(damaged), passphrase=passphrase)
    for size in range(len(data)):
        with pytest.raises(DecodeError):
            decode(data[:size], passphrase=passphrase)


@given(st.binary(max_size=150))
def test_any_bytes_raise_decode_error(data):
    with pytest.raises(DecodeError):
        decode(data)
    assert not needs_passphrase(data)


@given(
    body=st.binary(max_size=60),
    protection=st.integers(0, 3),
    length=st.integers(0, 60),
    numbers=st.lists(
        st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1)), min_size=3, max_size=3
    ),
)
def test_any_fields_under_a_right_checksum_decode_or_raise(
    body, protection, length, numbers
):
    data = with_header(
        protection=protection, length=length, cost=Argon2Cost(*numbers), body=body
    )

    with suppress(DecodeError, PassphraseError):
        decode(data, passphrase=None)


@pytest.mark.parametrize(
    "cost",
    [
        Argon2Cost(memory_kib=MAX_COST.memory_kib + 1),
        Argon2Cost(memory_kib=100 * 1024 * 1024),
        Argon2Cost(iterations=MAX_COST.iterations + 1),
        Argon2Cost(lanes=MAX_COST.lanes + 1),
        Argon2Cost(lanes=0),
        Argon2Cost(iterations=0),
        Argon2Cost(memory_kib=31, lanes=4),
    ],
)
def test_hostile_file_cannot_ask_for_any_cost(cost):
    with pytest.raises(DecodeError, match="out of bounds"):
        decode(with_header(cost=cost), passphrase="x")
    with pytest.raises(LocalProtocolError, match="out of bounds"):
        encode_secret("x", cost=cost)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_header(version=2), "version 2"),
        (with_header(protection=2), "protection 2"),
        (with_header(length=0, body=bytes(16)), "0 bytes is out"),
        (with_header(length=16_385, body=bytes(4113)), "16385 bytes is out"),
        (with_header(body=bytes(47)), "need 48 bytes of secret, found 47"),
        (with_header(protection=0, body=bytes(32)), "plain"),
        (b"#" + with_header()[1:], "not a key file"),
    ],
)
def test_files_that_break_the_layout_are_refused_by_name(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode(data, passphrase="x")


def test_changed_header_under_a_right_checksum_does_not_open():
    data = bytearray(encode_secret("correct", cost=Argon2Cost(64, 1, 1))[:-8])
    data[41] ^= 1  # the nonce

    with pytest.raises(PassphraseError):
        decode(with_checksum(bytes(data)), passphrase="correct")


@pytest.mark.parametrize("size", [0, 16_385])
def test_secret_of_another_size_is_refused(size):
    with pytest.raises(LocalProtocolError):
        encode_secret(secret=bytes(size))
