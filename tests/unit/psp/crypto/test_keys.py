"""Ed25519 identities (psp/crypto/keys.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey, link_public, verify
from psp.crypto.primitives import x25519_public
from psp.errors import DecodeError, LocalProtocolError
from psp.testing.entropy import SeededEntropy

KEY = SigningKey.generate(SeededEntropy())


@pytest.mark.parametrize(
    ("seed", "public", "message", "signature"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            (
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            (
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
    ],
)
def test_keys_and_signatures_are_those_of_rfc_8032(seed, public, message, signature):
    key = SigningKey.from_seed(bytes.fromhex(seed))

    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify(key.public, bytes.fromhex(message), bytes.fromhex(signature))


def test_seed_makes_the_same_key_again():
    assert SigningKey.from_seed(KEY.seed).public == KEY.public


def test_seed_of_another_size_is_refused():
    with pytest.raises(LocalProtocolError, match="not 31"):
        SigningKey.from_seed(bytes(31))


def test_changed_signatures_messages_and_keys_do_not_verify():
    signature = KEY.sign(b"message")

    assert not verify(KEY.public, b"massage", signature)
    assert not verify(SigningKey.from_seed(bytes(32)).public, b"message", signature)
    for position in range(64):
        changed = bytearray(signature)
        changed[position] ^= 1
        assert not verify(KEY.public, b"message", bytes(changed))


def test_bytes_do_not_move_between_signature_and_message():
    signature = KEY.sign(b"message")

    assert verify(KEY.public, b"message", signature)
    assert not verify(KEY.public, b"essage", signature + b"m")
    assert not verify(KEY.public, signature[-1:] + b"message", signature[:-1])


@given(st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=70))
def test_verify_never_raises(public, message, signature):
    assert not verify(public, message, signature)


def test_small_order_key_signs_nothing():
    assert not verify(b"\1" + bytes(31), b"", b"\1" + bytes(63))


def test_link_keys_are_the_same_identity_in_another_form():
    assert x25519_public(KEY.link_private) == link_public(KEY.public)


@given(st.binary(max_size=34))
def test_any_bytes_are_a_link_key_or_raise_decode_error(node_id):
    with suppress(DecodeError):
        assert len(link_public(node_id)) == 32


@pytest.mark.parametrize("node_id", [bytes(32), b"\1" + bytes(31), b"\xff" * 32])
def test_small_order_and_impossible_identities_have_no_link_key(node_id):
    with pytest.raises(DecodeError):
        link_public(node_id)


def test_repr_shows_no_secret():
    assert repr(KEY) == "SigningKey([scrubbed])"
