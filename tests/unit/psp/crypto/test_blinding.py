"""Blinded keys: two ways to one key, standard signatures, nothing to link them by."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from psp.crypto.blinding import (
    PUBLIC_SECRET,
    BlindSecret,
    Credential,
    blind_public,
    open_record,
    seal_record,
)
from psp.crypto.keys import SigningKey, verify
from psp.errors import DecodeError
from psp.testing.entropy import SeededEntropy

seeds = st.binary(min_size=32, max_size=32)
periods = st.integers(0, 2**32 - 1)

SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]
"""Points of order 1, 2, 4 and 8 on edwards25519."""


def secret_of(identity, secret, period):
    return BlindSecret.derive(
        identity, Credential.derive(identity.public, secret), period
    )


@given(seeds, seeds, periods, st.binary(max_size=100))
def test_owner_and_reader_reach_the_same_key_and_openssl_accepts_it(
    seed, secret, period, message
):
    identity = SigningKey.from_seed(seed)
    credential = Credential.derive(identity.public, secret)

    blinded = BlindSecret.derive(identity, credential, period)
    signature = blinded.sign(message)

    assert blind_public(credential, period) == blinded.public
    assert verify(blinded.public, message, signature)
    assert not verify(blinded.public, message + b"x", signature)
    assert not verify(identity.public, message, signature)
    Ed25519PublicKey.from_public_bytes(blinded.public).verify(signature, message)


def test_known_answer_keeps_records_findable_across_versions():
    identity = SigningKey.from_seed(bytes(range(32)))

    blinded = secret_of(identity, bytes(range(32, 64)), 20_000)

    assert blinded.public.hex() == (
        "04b70bba2cb1193c4f4cf894dc2592ca28985d64a23073bbf4ffb9634607e25c"
    )
    assert blinded.sign(b"psp").hex() == (
        "c9cdc408906939a3c33ad56b300876acf3e94f20fa2a8d090f75a4c7a1513049"
        "fe1519392f43dc0c64090a1f2fe39f869fd4cfa5bb5be69edf7d5d8038b00105"
    )


def test_no_two_days_and_no_two_secrets_share_a_key():
    identity = SigningKey.generate(SeededEntropy(1))
    entropy = SeededEntropy(2)

    by_day = {secret_of(identity, bytes(32), day).public for day in range(100)}
    by_secret = {secret_of(identity, entropy.token(32), 5).public for _ in range(100)}

    assert len(by_day | by_secret | {identity.public}) == 201


def test_signatures_by_one_key_never_share_a_nonce():
    identity = SigningKey.generate(SeededEntropy(1))

    first, second = secret_of(identity, bytes(32), 1), secret_of(identity, bytes(32), 2)

    points = {key.sign(m)[:32] for key in (first, second) for m in (b"a", b"b")}
    assert len(points) == 4
    assert first.sign(b"a") == first.sign(b"a")


@pytest.mark.parametrize("key", SMALL_ORDER, ids=lambda key: key.hex()[:8])
def test_small_order_identity_has_no_blinded_key(key):
    with pytest.raises(DecodeError):
        blind_public(Credential.derive(key), 1)


@given(st.binary(max_size=40))
def test_any_bytes_for_an_identity_give_a_key_or_a_decode_error(identity):
    try:
        blinded = blind_public(Credential.derive(identity), 1)
    except DecodeError:
        return
    assert len(blinded) == 32


def test_torsion_added_to_an_identity_is_refused():
    identity = SigningKey.generate(SeededEntropy(3)).public
    shifted = bindings.crypto_core_ed25519_add(identity, SMALL_ORDER[3])

    with pytest.raises(DecodeError):
        blind_public(Credential.derive(shifted), 1)


def test_sealed_inner_part_opens_only_under_its_credential_head_and_nonce():
    credential = Credential.derive(bytes(32), b"s" * 32)
    other = Credential.derive(bytes(32), b"t" * 32)
    head, nonce, inner = b"head", bytes(24), b"i" * 192

    sealed = seal_record(credential, head, nonce, inner)

    assert len(sealed) == 208
    assert open_record(credential, head, nonce, sealed) == inner
    assert open_record(other, head, nonce, sealed) is None
    assert open_record(credential, b"other", nonce, sealed) is None
    assert open_record(credential, head, b"n" * 24, sealed) is None
    assert open_record(credential, head, nonce, sealed[:-1] + b"\0") is None
    assert open_record(credential, head, nonce, b"") is None


def test_secrets_do_not_show_in_a_repr():
    identity = SigningKey.from_seed(b"s" * 32)
    credential = Credential.derive(identity.public, b"t" * 32)
    blinded = BlindSecret.derive(identity, credential, 1)

    text = repr(credential) + repr(blinded)

    assert repr(credential.value) not in text
    assert repr(blinded.scalar) not in text
    assert repr(blinded.prefix) not in text


def test_public_secret_is_all_zeros():
    identity = SigningKey.from_seed(bytes(32)).public

    assert Credential.derive(identity) == Credential.derive(identity, PUBLIC_SECRET)
    assert bytes(32) == PUBLIC_SECRET
