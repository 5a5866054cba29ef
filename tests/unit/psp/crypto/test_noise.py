"""Noise handshakes against published vectors and forgers (psp/crypto/noise.py)."""

import json
from pathlib import Path

import noise.state
import pytest

from psp.crypto.noise import NoiseHandshake, Pattern, check_library
from psp.crypto.primitives import aes_gcm, x25519_generate, x25519_public
from psp.errors import HandshakeError, LocalProtocolError
from psp.testing.entropy import SeededEntropy

PATH = Path(__file__).parents[3] / "vectors" / "noise.json"
VECTORS = json.loads(PATH.read_text())["vectors"]
MESSAGES = {Pattern.IK: 2, Pattern.NK: 2, Pattern.XK: 3}
STATIC = x25519_generate(SeededEntropy("responder"))
INITIATOR_STATIC = x25519_generate(SeededEntropy("initiator"))


class FixedEntropy(SeededEntropy):
    def __init__(self, token):
        super().__init__()
        self._token = token

    def token(self, size):
        return self._token


def vector_pair(vector):
    raw = {
        k: bytes.fromhex(v) for k, v in vector.items() if k.endswith(("ic", "al", "ue"))
    }
    _, pattern, suite = vector["protocol_name"].split("_", 2)
    initiator = NoiseHandshake.initiator(
        Pattern(pattern),
        prologue=raw["init_prologue"],
        remote_static=raw["init_remote_static"],
        static=raw.get("init_static"),
        entropy=FixedEntropy(raw["init_ephemeral"]),
        suite=suite,
    )
    responder = NoiseHandshake.responder(
        Pattern(pattern),
        prologue=raw["resp_prologue"],
        static=raw["resp_static"],
        entropy=FixedEntropy(raw["resp_ephemeral"]),
        suite=suite,
    )
    return initiator, responder


def make_pair(pattern, *, prologue=b"p", remote_static=None, seed="pair"):
    entropy = SeededEntropy(seed)
    initiator = NoiseHandshake.initiator(
        pattern,
        prologue=prologue,
        remote_static=remote_static or x25519_public(STATIC),
        static=None if pattern is Pattern.NK else INITIATOR_STATIC,
        entropy=entropy,
    )
    responder = NoiseHandshake.responder(
        pattern, prologue=b"p", static=STATIC, entropy=entropy
    )
    return initiator, responder


def run(initiator, responder, *, messages=9):
    """Pass payloads to and fro until finished; return who writes next and who reads."""
    writer, reader = initiator, responder
    for number in range(messages):
        if writer.is_finished:
            break
        payload = bytes([number])
        assert reader.read_message(writer.write_message(payload)) == payload
        writer, reader = reader, writer
    return writer, reader


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["protocol_name"])
def test_every_byte_is_that_of_the_published_vector(vector):
    writer, reader = initiator, responder = vector_pair(vector)

    for message in vector["messages"][
        : MESSAGES[vector["protocol_name"].split("_")[1]]
    ]:
        written = writer.write_message(bytes.fromhex(message["payload"]))
        assert written.hex() == message["ciphertext"]
        assert reader.read_message(written).hex() == message["payload"]
        writer, reader = reader, writer

    assert initiator.is_finished
    assert responder.is_finished
    assert initiator.handshake_hash.hex() == vector["handshake_hash"]
    assert responder.handshake_hash.hex() == vector["handshake_hash"]


@pytest.mark.parametrize(
    "vector",
    [v for v in VECTORS if v["protocol_name"].endswith("AESGCM_SHA256")],
    ids=lambda vector: vector["protocol_name"],
)
def test_exported_keys_open_the_transport_messages_of_the_vector(vector):
    writer, reader = run(*vector_pair(vector))
    count = MESSAGES[vector["protocol_name"].split("_")[1]]

    for number, message in enumerate(vector["messages"][count:]):
        sending, receiving = writer.split()[0], reader.split()[1]
        assert sending == receiving
        nonce = (number // 2).to_bytes(12)
        payload = bytes.fromhex(message["payload"])
        sealed = aes_gcm(sending).encrypt(nonce, payload, None)
        assert sealed.hex() == message["ciphertext"]
        writer, reader = reader, writer


@pytest.mark.parametrize("pattern", Pattern)
def test_both_ends_agree_and_know_each_other(pattern):
    initiator, responder = make_pair(pattern)

    run(initiator, responder)

    assert initiator.split() == responder.split()[::-1]
    assert initiator.handshake_hash == responder.handshake_hash
    assert initiator.local_ephemeral == responder.remote_ephemeral
    assert responder.local_ephemeral == initiator.remote_ephemeral
    assert initiator.remote_static == x25519_public(STATIC)
    assert responder.remote_static == (
        None if pattern is Pattern.NK else x25519_public(INITIATOR_STATIC)
    )


def test_nothing_is_known_of_the_peer_before_it_spoke():
    _, responder = make_pair(Pattern.IK)

    assert responder.remote_static is None
    assert responder.remote_ephemeral is None


@pytest.mark.parametrize("pattern", Pattern)
def test_message_changed_anywhere_is_refused_and_changes_nothing(pattern):
    # At each message of the handshake: every byte is flipped in turn, then every
    # truncation is tried, and the true message must still be taken after all that.
    writer, reader = make_pair(pattern)
    while not writer.is_finished:
        message = writer.write_message(b"payload")
        state = (reader.handshake_hash, reader.remote_static, reader.remote_ephemeral)
        forgeries = [message[:size] for size in range(len(message))]
        for position in range(len(message)):
            forged = bytearray(message)
            forged[position] ^= 0x04
            forgeries.append(bytes(forged))

        for forged in forgeries:
            with pytest.raises(HandshakeError):
                reader.read_message(forged)

        assert state == (
            reader.handshake_hash,
            reader.remote_static,
            reader.remote_ephemeral,
        )
        assert reader.read_message(message) == b"payload"
        writer, reader = reader, writer
    assert writer.split() == reader.split()[::-1]


@pytest.mark.parametrize("pattern", Pattern)
@pytest.mark.parametrize("size", [0, 31, 32, 200, 65536])
def test_garbage_is_refused(pattern, size):
    _, responder = make_pair(pattern)

    with pytest.raises(HandshakeError):
        responder.read_message(bytes(size))


@pytest.mark.parametrize("pattern", Pattern)
def test_other_prologue_is_refused(pattern):
    initiator, responder = make_pair(pattern, prologue=b"q")

    with pytest.raises(HandshakeError):
        responder.read_message(initiator.write_message())


@pytest.mark.parametrize("pattern", Pattern)
def test_other_responder_cannot_read(pattern):
    initiator, responder = make_pair(pattern, remote_static=b"\x09" + bytes(31))

    with pytest.raises(HandshakeError):
        responder.read_message(initiator.write_message())


@pytest.mark.parametrize("pattern", Pattern)
def test_low_order_static_key_of_the_peer_is_refused(pattern):
    initiator, _ = make_pair(pattern, remote_static=b"\1" + bytes(31))
    before = initiator.handshake_hash

    for _ in range(2):
        with pytest.raises(HandshakeError):
            initiator.write_message()
    assert initiator.handshake_hash == before


def test_static_key_of_another_size_is_refused():
    with pytest.raises(HandshakeError, match="not 31"):
        make_pair(Pattern.NK, remote_static=bytes(31))


def test_ephemeral_key_comes_from_the_entropy():
    first, _ = make_pair(Pattern.NK, seed="same")
    second, _ = make_pair(Pattern.NK, seed="same")
    third, _ = make_pair(Pattern.NK, seed="other")

    assert first.write_message() == second.write_message()
    assert first.local_ephemeral != third.local_ephemeral


def test_secret_mixed_by_both_keeps_them_agreed_and_changes_the_keys():
    keys = []
    for secret in (None, b"1" * 32, b"2" * 32):
        initiator, responder = make_pair(Pattern.XK)
        run(initiator, responder, messages=2)
        if secret:
            initiator.mix_key(secret)
            responder.mix_key(secret)
        responder.read_message(initiator.write_message())
        assert initiator.split() == responder.split()[::-1]
        keys.append(initiator.split())

    assert len(set(keys)) == 3


@pytest.mark.parametrize("who", [0, 1])
def test_secret_mixed_by_one_alone_breaks_the_handshake(who):
    pair = make_pair(Pattern.XK)
    run(*pair, messages=2)

    pair[who].mix_key(b"1" * 32)

    with pytest.raises(HandshakeError):
        pair[1].read_message(pair[0].write_message())


def test_acting_out_of_turn_is_a_local_error():
    initiator, responder = make_pair(Pattern.NK)

    with pytest.raises(LocalProtocolError):
        responder.write_message()
    with pytest.raises(LocalProtocolError):
        initiator.read_message(bytes(48))
    with pytest.raises(LocalProtocolError):
        initiator.split()
    run(initiator, responder)
    with pytest.raises(LocalProtocolError):
        initiator.write_message()
    with pytest.raises(LocalProtocolError):
        responder.read_message(b"")
    with pytest.raises(LocalProtocolError):
        initiator.mix_key(bytes(32))


def test_library_without_a_needed_part_is_refused(monkeypatch):
    monkeypatch.delattr(noise.state.SymmetricState, "mix_key")

    with pytest.raises(ImportError, match=r"SymmetricState\.mix_key"):
        check_library()


def test_repr_shows_no_secret():
    assert repr(make_pair(Pattern.NK)[0]) == "NoiseHandshake([scrubbed])"
