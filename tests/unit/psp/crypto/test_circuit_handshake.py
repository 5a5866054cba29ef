"""The circuit handshake, honest and attacked (psp/crypto/circuit_handshake.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.bandwidth import MAX_KBIT_PER_S, NO_BANDWIDTH, Bandwidth
from psp.crypto.circuit_handshake import (
    CLIENT_HANDSHAKE_SIZE,
    RELAY_HANDSHAKE_SIZE,
    ClientHandshake,
    RelayHandshake,
)
from psp.crypto.kdf import Direction, Label, layer_keys
from psp.crypto.layer import OpeningLayer, SealingLayer
from psp.crypto.primitives import (
    aes_gcm,
    hkdf,
    hmac_sha256,
    kem_encapsulate,
    kem_generate,
    sha256,
    x25519,
    x25519_generate,
    x25519_public,
)
from psp.errors import HandshakeError, LocalProtocolError
from psp.testing.entropy import SeededEntropy

NODE_ID = SeededEntropy("node").token(32)
CURRENT = x25519_generate(SeededEntropy("current"))
PREVIOUS = x25519_generate(SeededEntropy("previous"))
PROTOCOL = b"psp-circuit-v1-x25519-mlkem768-sha256-aes256gcm"
LOW_ORDER = b"\1" + bytes(31)


def begin(*, hop=2, onion_private=CURRENT, seed="client", bandwidth=NO_BANDWIDTH):
    return ClientHandshake(
        NODE_ID, x25519_public(onion_private), hop, SeededEntropy(seed), bandwidth
    )


def read(message, *, onion_privates=(CURRENT, PREVIOUS), node_id=NODE_ID):
    return RelayHandshake(message, node_id=node_id, onion_privates=onion_privates)


def respond(message, *, granted=0, **reading):
    return read(message, **reading).answer(granted, SeededEntropy("relay"))


def forge(
    *, hop=1, version=1, rates=bytes(4), reserved=bytes(10), public=None, ek=None
):
    """Write a client handshake by the letter of the spec, without our client code."""
    x = x25519_generate(SeededEntropy("forger"))
    b = x25519_public(CURRENT)
    ek = ek or kem_generate(SeededEntropy("forger")).public
    fields = NODE_ID + b + (public or x25519_public(x)) + ek
    keys = hkdf(
        x25519(x, b) if public is None else bytes(32),
        salt=sha256(PROTOCOL + fields),
        info=b"psp-circuit-client",
        length=64,
    )
    extensions = bytes([hop, version]) + rates + reserved
    body = fields + aes_gcm(keys[:32]).encrypt(bytes(12), extensions, None)
    return body + hmac_sha256(keys[32:], body)


@pytest.mark.parametrize("hop", [1, 2, 3, 4])
def test_client_and_relay_agree(hop):
    client = begin(hop=hop)

    reply = respond(client.message)

    assert len(client.message) == CLIENT_HANDSHAKE_SIZE
    assert len(reply.reply) == RELAY_HANDSHAKE_SIZE
    assert client.finish(reply.reply) == reply.keys
    assert client.granted == 0
    assert read(client.message).hop == hop
    assert read(client.message).bandwidth == NO_BANDWIDTH


@pytest.mark.parametrize(
    ("least", "wanted", "granted"),
    [
        (480, 3000, 480),
        (480, 3000, 3000),
        (0, 8, 0),
        (MAX_KBIT_PER_S, MAX_KBIT_PER_S, MAX_KBIT_PER_S),
    ],
)
def test_what_is_granted_comes_back_within_what_was_asked_for(least, wanted, granted):
    client = begin(bandwidth=Bandwidth(least, wanted))

    client.finish(respond(client.message, granted=granted).reply)

    assert read(client.message).bandwidth == Bandwidth(least, wanted)
    assert client.granted == granted


def test_rates_are_rounded_up_to_units():
    client = begin(bandwidth=Bandwidth(1, 9))

    assert read(client.message).bandwidth == Bandwidth(8, 16)


@pytest.mark.parametrize("granted", [472, 3008])
def test_a_relay_that_grants_less_or_more_than_asked_for_is_refused(granted):
    client = begin(bandwidth=Bandwidth(480, 3000))
    reply = respond(client.message, granted=granted).reply

    with pytest.raises(HandshakeError, match="asked for 60 … 375"):
        client.finish(reply)


def test_a_grant_that_nobody_asked_for_is_refused():
    client = begin()

    with pytest.raises(HandshakeError, match="asked for 0 … 0"):
        client.finish(respond(client.message, granted=8).reply)


def test_layers_of_both_directions_work_and_are_strangers():
    client = begin()
    reply = respond(client.message)
    keys = client.finish(reply.reply)

    forward = SealingLayer(keys.forward).seal(b"out")
    backward = SealingLayer(reply.keys.backward).seal(b"back")

    assert OpeningLayer(reply.keys.forward).open(forward) == b"out"
    assert OpeningLayer(keys.backward).open(backward) == b"back"
    assert OpeningLayer(keys.backward).open(forward) is None
    assert keys.forward.aad == b"psp-onion-v1\0" + keys.handshake_hash
    assert keys.backward.aad == b"psp-onion-v1\1" + keys.handshake_hash


def test_previous_onion_key_is_accepted():
    client = begin(onion_private=PREVIOUS)

    assert client.finish(respond(client.message).reply)


def test_unknown_onion_key_is_refused():
    client = begin(onion_private=PREVIOUS)

    with pytest.raises(HandshakeError, match="onion key"):
        respond(client.message, onion_privates=(CURRENT,))


def test_handshake_for_another_node_is_refused():
    with pytest.raises(HandshakeError, match="another node"):
        respond(begin().message, node_id=bytes(32))


def test_relay_follows_the_spec_to_the_letter():
    # An independent client: secret, transcript and keys as SPEC.md section 4 writes them.
    message = forge(hop=3, rates=b"\0\x3c\1\x77")
    x = x25519_generate(SeededEntropy("forger"))
    kem = kem_generate(SeededEntropy("forger"))

    ours = respond(message, granted=800)

    assert read(message).bandwidth == Bandwidth(480, 3000)
    fields, sealed, mac = ours.reply[:1120], ours.reply[1120:1152], ours.reply[1152:]
    kem_secret = kem.decapsulate(fields[32:])
    secret = x25519(x, x25519_public(CURRENT)) + x25519(x, fields[:32]) + kem_secret
    extension_key = hkdf(
        secret,
        salt=sha256(PROTOCOL + message + fields),
        info=b"psp-circuit-relay-extensions",
        length=32,
    )
    transcript = sha256(PROTOCOL + message + fields + sealed)
    derived = hkdf(secret, salt=transcript, info=b"psp-circuit-keys", length=136)
    extensions = aes_gcm(extension_key).decrypt(bytes(12), sealed, None)
    assert extensions == b"\0\x64" + bytes(14)
    assert hmac_sha256(derived[104:], transcript) == mac
    assert ours.keys.forward.chain_key == derived[:32]
    assert ours.keys.backward.chain_key == derived[32:64]
    assert ours.keys.forward.start == int.from_bytes(derived[64:68]) >> 1
    assert ours.keys.backward.start == int.from_bytes(derived[68:72]) >> 1
    assert ours.keys.handshake_hash == derived[72:104]


def test_client_message_changed_anywhere_is_refused():
    message = begin().message

    for position in range(len(message)):
        changed = bytearray(message)
        changed[position] ^= 0x40
        with pytest.raises(HandshakeError):
            respond(bytes(changed))


def test_reply_changed_anywhere_is_refused_and_the_true_one_still_taken():
    client = begin()
    reply = respond(client.message)

    for position in range(len(reply.reply)):
        changed = bytearray(reply.reply)
        changed[position] ^= 0x40
        with pytest.raises(HandshakeError):
            client.finish(bytes(changed))

    assert client.finish(reply.reply) == reply.keys


@given(st.binary(max_size=1400))
def test_any_bytes_are_refused(data):
    with pytest.raises(HandshakeError):
        respond(data)
    with pytest.raises(HandshakeError):
        begin().finish(data)


def test_reply_to_another_client_is_refused():
    other = respond(begin(seed="other").message).reply

    with pytest.raises(HandshakeError, match="mac"):
        begin().finish(other)


def test_relay_without_the_onion_key_cannot_answer():
    # A machine in the middle that swaps the onion key for its own is not believed.
    client = begin()
    impostor = x25519_generate(SeededEntropy("impostor"))
    client_to_impostor = begin(onion_private=impostor)

    reply = respond(client_to_impostor.message, onion_privates=(impostor,)).reply

    with pytest.raises(HandshakeError):
        client.finish(reply)


def test_implicit_rejection_is_caught_by_the_mac():
    # A ciphertext for nobody decapsulates to something: the mac must tell (R-CIR-2).
    client = begin()
    reply = bytearray(respond(client.message).reply)
    stranger, _ = kem_encapsulate(kem_generate(SeededEntropy("stranger")).public)
    reply[32:1120] = stranger

    with pytest.raises(HandshakeError, match="mac"):
        client.finish(bytes(reply))


def test_low_order_keys_are_refused_on_both_sides():
    client = begin()
    reply = respond(client.message).reply

    with pytest.raises(HandshakeError, match="low order"):
        respond(forge(public=LOW_ORDER))
    with pytest.raises(HandshakeError, match="low order"):
        client.finish(LOW_ORDER + reply[32:])
    with pytest.raises(HandshakeError, match="low order"):
        ClientHandshake(NODE_ID, LOW_ORDER, 1, SeededEntropy())


def test_encapsulation_key_that_is_not_canonical_is_refused():
    with pytest.raises(HandshakeError, match="canonical"):
        respond(forge(ek=b"\xff" * 1184))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hop": 0}, "hop 0"),
        ({"hop": 5}, "hop 5"),
        ({"version": 2}, "version 2"),
        ({"rates": b"\0\2\0\1"}, "at least 2, but at most 1"),
        ({"reserved": b"\1" + bytes(9)}, "reserved"),
        ({"reserved": bytes(9) + b"\1"}, "reserved"),
    ],
)
def test_extensions_out_of_range_are_refused(change, reason):
    with pytest.raises(HandshakeError, match=reason):
        respond(forge(**change))


def test_client_extensions_that_do_not_open_are_refused():
    # The mac is right, so this is a client that breaks the rules, not a forger.
    x = x25519_generate(SeededEntropy("forger"))
    b = x25519_public(CURRENT)
    fields = NODE_ID + b + x25519_public(x) + kem_generate(SeededEntropy()).public
    keys = hkdf(
        x25519(x, b),
        salt=sha256(PROTOCOL + fields),
        info=b"psp-circuit-client",
        length=64,
    )
    body = fields + bytes(32)

    with pytest.raises(HandshakeError, match="do not open"):
        respond(body + hmac_sha256(keys[32:], body))


def test_reserved_relay_extensions_that_are_not_zero_are_refused():
    # A relay that knows all keys but breaks the rule of zeros.
    client = begin()
    y = x25519_generate(SeededEntropy("relay"))
    x_public = client.message[64:96]
    ct, kem_secret = kem_encapsulate(client.message[96:1280])
    fields = x25519_public(y) + ct
    secret = x25519(CURRENT, x_public) + x25519(y, x_public) + kem_secret
    extension_key = hkdf(
        secret,
        salt=sha256(PROTOCOL + client.message + fields),
        info=b"psp-circuit-relay-extensions",
        length=32,
    )
    sealed = aes_gcm(extension_key).encrypt(bytes(12), bytes(15) + b"\1", None)
    transcript = sha256(PROTOCOL + client.message + fields + sealed)
    derived = hkdf(secret, salt=transcript, info=b"psp-circuit-keys", length=136)
    mac = hmac_sha256(derived[104:], transcript)

    with pytest.raises(HandshakeError, match="reserved relay"):
        client.finish(fields + sealed + mac)


@pytest.mark.parametrize("hop", [0, 5])
def test_client_may_not_ask_for_an_impossible_hop(hop):
    with pytest.raises(LocalProtocolError):
        begin(hop=hop)


def test_client_needs_a_whole_node_id():
    with pytest.raises(LocalProtocolError, match="not 31"):
        ClientHandshake(bytes(31), x25519_public(CURRENT), 1, SeededEntropy())


def test_each_handshake_has_keys_and_bytes_of_its_own():
    first, second = begin(seed=1), begin(seed=2)
    a, b = respond(first.message).keys, respond(second.message).keys
    again = respond(first.message).keys

    secrets = [
        keys.chain_key
        for each in (a, b, again)
        for keys in (each.forward, each.backward)
    ]
    assert len(set(secrets)) == 6
    assert len({a.handshake_hash, b.handshake_hash, again.handshake_hash}) == 3
    shared = 64  # node id and onion key
    assert first.message[shared : shared + 32] != second.message[shared : shared + 32]


def test_no_two_layers_of_a_circuit_start_at_the_same_counter():
    # R-TAG-1: colluding hops must not find equal counters; 10,000 circuits of 3 hops,
    # keys derived as the handshake derives them from secrets that are all different.
    circuits = 10_000
    entropy = SeededEntropy("starts")
    equal = 0
    for _ in range(circuits):
        starts = [
            layer_keys(
                bytes(32),
                entropy.token(4),
                label=Label.ONION,
                direction=direction,
                handshake_hash=bytes(32),
            ).start
            for _ in range(3)
            for direction in Direction
        ]
        equal += len(set(starts)) != len(starts)

    # 15 pairs x 2**-31 x 10,000 circuits: 7e-5 expected.
    assert equal == 0


def test_reprs_show_no_secret():
    client = begin()
    reply = respond(client.message)

    assert repr(client) == "ClientHandshake([scrubbed])"
    assert repr(read(client.message)) == "RelayHandshake(hop=2, [scrubbed])"
    assert repr(reply) == "Answer([scrubbed])"
    assert repr(reply.keys) == "HopKeys([scrubbed])"
