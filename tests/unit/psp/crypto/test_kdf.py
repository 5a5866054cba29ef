"""Labels and derivations (psp/crypto/kdf.py)."""

from psp.crypto.kdf import (
    Direction,
    Label,
    cookie,
    cookie_key,
    layer_keys,
    link_keys,
    mac1_key,
    ratchet_chain,
    ratchet_key,
)
from psp.crypto.primitives import sha256
from psp.testing.entropy import SeededEntropy

HASH = SeededEntropy().token(32)
SPLIT = (b"a" * 32, b"b" * 32)


def test_no_label_serves_two_purposes():
    values = [label.value for name, label in Label.__members__.items()]

    assert len(values) == len(set(values))


def test_mac1_and_cookie_keys_are_the_hash_of_the_spec():
    assert mac1_key(b"k" * 32) == sha256(b"psp-mac1", b"k" * 32)
    assert cookie_key(b"k" * 32) == sha256(b"psp-cookie", b"k" * 32)


def test_cookie_depends_on_secret_and_source():
    values = {cookie(key, source) for key in (b"1", b"2") for source in (b"a", b"b")}

    assert len(values) == 4


def test_starts_have_31_bits():
    keys = layer_keys(
        bytes(32),
        b"\xff\xff\xff\xff",
        label=Label.ONION,
        direction=Direction.BACKWARD,
        handshake_hash=HASH,
    )

    assert keys.start == (1 << 31) - 1
    assert keys.aad == b"psp-onion-v1\x01" + HASH


def test_ratchet_key_tells_nothing_of_the_chain():
    chain = SeededEntropy().token(32)

    assert len({chain, ratchet_key(chain), ratchet_chain(chain)}) == 3


def test_both_ends_of_a_link_derive_the_same_keys():
    ours = link_keys(SPLIT, is_initiator=True, handshake_hash=HASH)
    theirs = link_keys(SPLIT[::-1], is_initiator=False, handshake_hash=HASH)

    assert ours.sending == theirs.receiving
    assert ours.receiving == theirs.sending
    assert ours.resume_token == theirs.resume_token
    assert len(ours.resume_token) == 16


def test_link_keys_depend_on_everything_said():
    variants = [
        link_keys(SPLIT, is_initiator=True, handshake_hash=HASH),
        link_keys(SPLIT, is_initiator=True, handshake_hash=bytes(32)),
        link_keys(SPLIT, is_initiator=True, handshake_hash=HASH, kem_secret=b"1" * 32),
        link_keys(SPLIT, is_initiator=True, handshake_hash=HASH, kem_secret=b"2" * 32),
        link_keys(SPLIT[::-1], is_initiator=True, handshake_hash=HASH),
    ]

    assert len({keys.sending for keys in variants}) == 5
    assert len({keys.receiving for keys in variants}) == 5
    assert len({keys.resume_token for keys in variants}) == 5


def test_reprs_show_no_secret():
    link = link_keys(SPLIT, is_initiator=True, handshake_hash=HASH)
    layer = layer_keys(
        bytes(32),
        bytes(4),
        label=Label.SESSION,
        direction=Direction.FORWARD,
        handshake_hash=HASH,
    )

    assert repr(link) == "LinkKeys([scrubbed])"
    assert repr(layer) == "LayerKeys([scrubbed])"
