"""Building blocks against published answers (psp/crypto/primitives.py)."""

import json
from pathlib import Path

import pytest

from psp.crypto import primitives
from psp.crypto.primitives import (
    HPKE_OVERHEAD,
    KEM_CIPHERTEXT_SIZE,
    KEM_PUBLIC_SIZE,
    InvalidTag,
    X25519Key,
    aes_gcm,
    blake2b,
    blake2s_mac,
    equal,
    hkdf,
    hmac_sha256,
    hpke_open,
    hpke_seal,
    kem_encapsulate,
    kem_generate,
    sha256,
    siv_open,
    siv_seal,
    x25519,
    x25519_generate,
    x25519_public,
)
from psp.errors import HandshakeError, LocalProtocolError
from psp.testing.entropy import SeededEntropy

VECTORS = Path(__file__).parents[3] / "vectors"
KEM_VECTORS = json.loads((VECTORS / "ml-kem-768.json").read_text())["vectors"]
HPKE_VECTORS = json.loads((VECTORS / "hpke.json").read_text())["vectors"]

LOW_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


class FixedEntropy(SeededEntropy):
    def __init__(self, token):
        super().__init__()
        self._token = token

    def token(self, size):
        assert size == len(self._token)
        return self._token


def test_hkdf_gives_the_answer_of_rfc_5869():
    derived = hkdf(
        b"\x0b" * 22,
        salt=bytes(range(13)),
        info=bytes(range(0xF0, 0xFA)),
        length=42,
    )

    assert derived.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        "34007208d5b887185865"
    )


def test_hmac_gives_the_answer_of_rfc_4231():
    mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?")

    assert mac.hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_sha256_joins_its_parts():
    assert sha256(b"a", b"bc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_blake2b_tells_where_one_part_ends():
    assert blake2b(b"x", b"ab", b"c") != blake2b(b"x", b"a", b"bc")
    assert blake2b(b"x", b"ab") != blake2b(b"y", b"ab")
    assert len(blake2b(b"x", size=20)) == 20


def test_blake2s_mac_depends_on_key_and_data():
    macs = {blake2s_mac(k, d) for k in (b"k", b"l") for d in (b"d", b"e")}

    assert len(macs) == 4
    assert {len(mac) for mac in macs} == {16}


def test_equal_compares_bytes():
    assert equal(b"ab", b"ab")
    assert not equal(b"ab", b"ac")
    assert not equal(b"ab", b"a")


def test_aes_gcm_wants_256_key_bits():
    with pytest.raises(LocalProtocolError, match="not 16"):
        aes_gcm(bytes(16))


@pytest.mark.parametrize("size", [0, 3, 15, 16, 40])
def test_short_and_forged_ciphertexts_are_one_error(size):
    with pytest.raises(InvalidTag):
        aes_gcm(bytes(32)).decrypt(bytes(12), bytes(size), None)


def test_gcm_siv_gives_the_answer_of_rfc_8452():
    key = b"\1" + bytes(31)
    nonce = b"\3" + bytes(11)

    sealed = siv_seal(key, nonce, b"\1" + bytes(7), b"")

    assert sealed.hex() == "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"
    assert siv_open(key, nonce, sealed, b"") == b"\1" + bytes(7)


def test_gcm_siv_opens_nothing_else():
    sealed = siv_seal(bytes(32), bytes(12), b"secret", b"aad")

    for args in (
        (b"\1" * 32, bytes(12), sealed, b"aad"),
        (bytes(32), b"\1" * 12, sealed, b"aad"),
        (bytes(32), bytes(12), sealed[:-1], b"aad"),
        (bytes(32), bytes(12), b"", b"aad"),
        (bytes(32), bytes(12), sealed, b""),
    ):
        with pytest.raises(HandshakeError):
            siv_open(*args)


@pytest.mark.parametrize(
    ("scalar", "u", "product"),
    [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ],
)
def test_x25519_gives_the_answers_of_rfc_7748(scalar, u, product):
    assert x25519(bytes.fromhex(scalar), bytes.fromhex(u)).hex() == product


def test_x25519_public_is_a_multiple_of_the_base_point():
    private = x25519_generate(SeededEntropy())

    assert x25519_public(private) == x25519(private, b"\x09" + bytes(31))


def test_key_made_ready_does_what_the_functions_do():
    private = x25519_generate(SeededEntropy())
    key = X25519Key(private)

    assert key.public == x25519_public(private)
    assert key.exchange(key.public) == x25519(private, key.public)
    assert repr(key) == "X25519Key([scrubbed])"


@pytest.mark.parametrize("public", [*LOW_ORDER, b"", bytes(31), bytes(33)])
def test_low_order_and_misshapen_keys_end_the_handshake(public):
    private = x25519_generate(SeededEntropy())

    with pytest.raises(HandshakeError):
        x25519(private, public)
    with pytest.raises(HandshakeError):
        hpke_seal(public, b"", b"data")


@pytest.mark.parametrize("vector", KEM_VECTORS)
def test_ml_kem_gives_the_known_answers(vector):
    key = kem_generate(FixedEntropy(bytes.fromhex(vector["d"] + vector["z"])))

    assert key.public.hex() == vector["pk"]
    assert key.decapsulate(bytes.fromhex(vector["ct"])).hex() == vector["ss"]


@pytest.mark.parametrize("vector", KEM_VECTORS)
def test_ml_kem_rejects_implicitly_as_in_the_known_answers(vector):
    key = kem_generate(FixedEntropy(bytes.fromhex(vector["d"] + vector["z"])))

    assert key.decapsulate(bytes.fromhex(vector["ct_n"])).hex() == vector["ss_n"]


def test_both_ends_of_ml_kem_agree():
    key = kem_generate(SeededEntropy())

    ciphertext, secret = kem_encapsulate(key.public)

    assert len(key.public) == KEM_PUBLIC_SIZE
    assert len(ciphertext) == KEM_CIPHERTEXT_SIZE
    assert key.decapsulate(ciphertext) == secret
    assert "[scrubbed]" in repr(key)


def test_encapsulation_key_with_a_coefficient_at_q_is_refused():
    public = bytearray(kem_generate(SeededEntropy()).public)
    # The first coefficient is 12 bits: byte 0 and the low half of byte 1; q = 0xd01.
    public[0] = 0x01
    public[1] = (public[1] & 0xF0) | 0x0D

    with pytest.raises(HandshakeError):
        kem_encapsulate(bytes(public))


@pytest.mark.parametrize("size", [0, KEM_PUBLIC_SIZE - 1, KEM_PUBLIC_SIZE + 1])
def test_encapsulation_key_of_another_size_is_refused(size):
    with pytest.raises(HandshakeError):
        kem_encapsulate(bytes(size))


@pytest.mark.parametrize("size", [0, KEM_CIPHERTEXT_SIZE - 1, KEM_CIPHERTEXT_SIZE + 1])
def test_ciphertext_of_another_size_is_refused(size):
    with pytest.raises(HandshakeError):
        kem_generate(SeededEntropy()).decapsulate(bytes(size))


@pytest.mark.parametrize("vector", HPKE_VECTORS)
def test_hpke_opens_under_the_key_schedule_of_the_working_group(vector):
    raw = {name: bytes.fromhex(value) for name, value in vector.items()}
    sealed = raw["enc"] + aes_gcm(raw["key"]).encrypt(raw["base_nonce"], b"pt", None)

    assert hpke_open(raw["skRm"], raw["info"], sealed) == b"pt"
    assert x25519_public(raw["skRm"]) == raw["pkRm"]


def test_hpke_opens_only_what_was_sealed_to_this_key_and_info():
    private = x25519_generate(SeededEntropy())
    sealed = hpke_seal(x25519_public(private), b"info", b"data")

    assert hpke_open(private, b"info", sealed) == b"data"
    assert len(sealed) == len(b"data") + HPKE_OVERHEAD
    for args in (
        (private, b"other", sealed),
        (x25519_generate(SeededEntropy(1)), b"info", sealed),
        (private, b"info", bytes(32) + sealed[32:]),
        (private, b"info", b""),
    ):
        with pytest.raises(HandshakeError):
            hpke_open(*args)


def test_every_public_name_exists():
    assert all(hasattr(primitives, name) for name in primitives.__all__)
