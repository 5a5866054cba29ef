"""The bytes of version 1 do not change by accident (tests/vectors/psp-crypto.json).

A test here that fails means that two releases no longer understand each other.
"""

import json
from pathlib import Path

from psp.crypto.circuit_handshake import ClientHandshake
from psp.crypto.kdf import LayerKeys, link_keys
from psp.crypto.keys import SigningKey
from psp.crypto.layer import OpeningLayer, SealingLayer
from psp.crypto.primitives import x25519_public
from psp.crypto.session import SessionInitiator
from psp.ids import Cookie, UserId
from psp.netdoc.presence_keys import UserSigner
from psp.testing.entropy import SeededEntropy

PATH = Path(__file__).parents[3] / "vectors" / "psp-crypto.json"
VECTORS = json.loads(PATH.read_text())


class ListedEntropy(SeededEntropy):
    """Hands out the listed tokens, in their order."""

    def __init__(self, tokens):
        super().__init__()
        self._tokens = [bytes.fromhex(token) for token in tokens]

    def token(self, size):
        token = self._tokens.pop(0)
        assert len(token) == size
        return token


def raw(part, name):
    return bytes.fromhex(VECTORS[part][name])


def keys_of(listed):
    return LayerKeys(
        bytes.fromhex(listed["chain_key"]),
        listed["start"],
        bytes.fromhex(listed["aad"]),
    )


def test_circuit_handshake_is_pinned():
    vector = VECTORS["circuit"]

    client = ClientHandshake(
        raw("circuit", "node_id"),
        x25519_public(raw("circuit", "onion_private")),
        vector["hop"],
        ListedEntropy(vector["client_tokens"]),
    )
    keys = client.finish(raw("circuit", "reply"))

    assert client.message.hex() == vector["message"]
    assert keys.handshake_hash.hex() == vector["handshake_hash"]
    assert keys.forward == keys_of(vector["forward"])
    assert keys.backward == keys_of(vector["backward"])


def test_session_handshake_is_pinned():
    vector = VECTORS["session"]

    initiator = SessionInitiator(
        network=raw("session", "network"),
        cookie=Cookie(raw("session", "cookie")),
        callee=UserId(raw("session", "callee")),
        contact_key=x25519_public(raw("session", "contact_private")),
        caller=UserSigner.by_identity(
            SigningKey.from_seed(raw("session", "caller_seed"))
        ),
        entropy=ListedEntropy(vector["initiator_tokens"]),
    )
    initiator.read_2(raw("session", "message_2"))

    assert initiator.message_1.hex() == vector["message_1"]
    assert initiator.write_3().hex() == vector["message_3"]
    assert initiator.keys.handshake_hash.hex() == vector["handshake_hash"]
    assert initiator.keys.sending == keys_of(vector["sending"])
    assert initiator.keys.receiving == keys_of(vector["receiving"])


def test_layers_are_pinned_over_epochs():
    vector = VECTORS["layer"]
    sealing, opening = SealingLayer(keys_of(vector)), OpeningLayer(keys_of(vector))

    for listed in vector["bodies"]:
        plaintext = bytes.fromhex(listed["plaintext"])
        sealing.advance_to(listed["counter"])
        assert sealing.seal(plaintext).hex() == listed["body"]
        assert opening.open(bytes.fromhex(listed["body"])) == plaintext


def test_link_keys_are_pinned():
    vector = VECTORS["link"]
    split = (raw("link", "initiator_key"), raw("link", "responder_key"))

    for name, kem_secret in (("first", b""), ("hybrid", raw("link", "kem_secret"))):
        keys = link_keys(
            split,
            is_initiator=True,
            handshake_hash=raw("link", "handshake_hash"),
            kem_secret=kem_secret,
        )
        derived = [keys.sending, keys.receiving, keys.resume_token]
        assert [value.hex() for value in derived] == vector[name]
