"""The session handshake between caller and callee (psp/crypto/session.py)."""

from dataclasses import replace

import pytest

from psp.crypto.keys import SigningKey
from psp.crypto.layer import OpeningLayer, SealingLayer
from psp.crypto.noise import NoiseHandshake, Pattern
from psp.crypto.primitives import (
    hkdf,
    kem_generate,
    x25519_generate,
    x25519_public,
)
from psp.crypto.session import (
    MESSAGE_1_SIZE,
    MESSAGE_2_SIZE,
    MESSAGE_3_SIZE,
    SessionInitiator,
    SessionResponder,
    is_identity,
    prologue,
)
from psp.errors import HandshakeError, LocalProtocolError
from psp.ids import Cookie, UserId
from psp.netdoc.presence_keys import PresenceKey, UserSigner, is_signed_by_user
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime
from psp.wire.network import Network

GRANTING = Network(int.from_bytes(bytes(range(8))), bytes(range(8, 28)))
NETWORK = GRANTING.encode()
NOW = UnixTime(1_700_000_000)
COOKIE = Cookie(b"c" * 20)
CALLER = SigningKey.generate(SeededEntropy("caller"))
CALLEE = SigningKey.generate(SeededEntropy("callee"))
CALLEE_ID = UserId(CALLEE.public)
CONTACT = x25519_generate(SeededEntropy("contact"))


def make_initiator(
    *, caller=CALLER, network=NETWORK, cookie=COOKIE, callee=CALLEE, contact=CONTACT
):
    return SessionInitiator(
        network=network,
        cookie=cookie,
        callee=callee.public,
        contact_key=x25519_public(contact),
        caller=None if caller is None else UserSigner.by_identity(caller),
        entropy=SeededEntropy("initiator"),
    )


def make_responder(seed="responder", **options):
    return SessionResponder(
        network=NETWORK,
        cookie=COOKIE,
        callee=CALLEE_ID,
        contact_private=CONTACT,
        entropy=SeededEntropy(seed),
        **options,
    )


def raw_initiator(seed="raw"):
    """A caller that may break rules: Noise XK as the session uses it."""
    noise = NoiseHandshake.initiator(
        Pattern.XK,
        prologue=prologue(NETWORK, COOKIE, CALLEE_ID),
        remote_static=x25519_public(CONTACT),
        static=x25519_generate(SeededEntropy(f"{seed} static")),
        entropy=SeededEntropy(seed),
    )
    kem = kem_generate(SeededEntropy(f"{seed} kem"))
    return noise, kem


def through_message_2(noise, kem, responder):
    responder.read_1(noise.write_message(kem.public))
    noise.mix_key(kem.decapsulate(noise.read_message(responder.write_2())))


@pytest.mark.parametrize("caller", [CALLER, None], ids=["known", "anonymous"])
def test_caller_and_callee_agree(caller):
    initiator, responder = make_initiator(caller=caller), make_responder()

    responder.read_1(initiator.message_1)
    message_2 = responder.write_2()
    initiator.read_2(message_2)
    message_3 = initiator.write_3()
    who = responder.read_3(message_3)

    assert who == (caller.public if caller else None)
    assert len(initiator.message_1) == MESSAGE_1_SIZE == 1232
    assert len(message_2) == MESSAGE_2_SIZE == 1136
    assert len(message_3) == MESSAGE_3_SIZE == 272
    ours, theirs = initiator.keys, responder.keys
    assert ours.sending == theirs.receiving
    assert ours.receiving == theirs.sending
    assert ours.handshake_hash == theirs.handshake_hash
    block = SealingLayer(ours.sending).seal(b"hello")
    assert OpeningLayer(theirs.receiving).open(block) == b"hello"
    assert OpeningLayer(ours.receiving).open(block) is None


def test_keys_and_associated_data_are_those_of_the_spec():
    noise, kem = raw_initiator()
    responder = make_responder()
    through_message_2(noise, kem, responder)
    responder.read_3(noise.write_message(bytes(208)))

    keys = responder.keys

    sending, receiving = noise.split()
    for direction, key, layer in (
        (0, sending, keys.receiving),
        (1, receiving, keys.sending),
    ):
        derived = hkdf(
            key,
            salt=noise.handshake_hash,
            info=b"psp-session-traffic" + bytes([direction]),
            length=36,
        )
        assert layer.chain_key == derived[:32]
        assert layer.start == int.from_bytes(derived[32:]) >> 1
        assert layer.aad == (
            b"psp-session-v1" + bytes([direction]) + noise.handshake_hash
        )


def test_prologue_is_that_of_the_spec():
    made = prologue(NETWORK, COOKIE, CALLEE_ID)

    assert made == b"psp-session-v1\1" + NETWORK + COOKIE + CALLEE.public


def test_prologue_takes_fields_of_fixed_size_only():
    # Fields that could shift would let two calls have one prologue.
    for parts in ((NETWORK[:-1], COOKIE), (NETWORK, Cookie(COOKIE + b"x"))):
        with pytest.raises(LocalProtocolError):
            prologue(*parts, CALLEE_ID)


@pytest.mark.parametrize(
    "other",
    [
        {"network": bytes(28)},
        {"cookie": bytes(20)},
        {"callee": CALLER},
        {"contact": x25519_generate(SeededEntropy("other"))},
    ],
    ids=["network", "cookie", "callee", "contact key"],
)
def test_call_meant_for_something_else_is_refused(other):
    with pytest.raises(HandshakeError):
        make_responder().read_1(make_initiator(**other).message_1)


def test_contact_key_of_low_order_is_refused():
    with pytest.raises(HandshakeError):
        SessionInitiator(
            network=NETWORK,
            cookie=COOKIE,
            callee=CALLEE_ID,
            contact_key=bytes(32),
            caller=None,
            entropy=SeededEntropy(),
        )


def changed_anywhere(message):
    for position in range(0, len(message), 7):
        changed = bytearray(message)
        changed[position] ^= 0x10
        yield bytes(changed)
    yield message[:-1]
    yield message + b"\0"
    yield b""


def test_forged_messages_are_refused_and_the_true_ones_still_taken():
    initiator, responder = make_initiator(), make_responder()

    for forged in changed_anywhere(initiator.message_1):
        with pytest.raises(HandshakeError):
            responder.read_1(forged)
    responder.read_1(initiator.message_1)
    message_2 = responder.write_2()
    for forged in changed_anywhere(message_2):
        with pytest.raises(HandshakeError):
            initiator.read_2(forged)
    initiator.read_2(message_2)
    message_3 = initiator.write_3()
    for forged in changed_anywhere(message_3):
        with pytest.raises(HandshakeError):
            responder.read_3(forged)

    assert responder.read_3(message_3) == CALLER.public


def test_meeting_node_cannot_answer_in_the_callees_place():
    # It knows everything but the contact key (R-E2E-1).
    initiator = make_initiator()
    impostor = SessionResponder(
        network=NETWORK,
        cookie=COOKIE,
        callee=CALLEE_ID,
        contact_private=x25519_generate(SeededEntropy("impostor")),
        entropy=SeededEntropy("impostor"),
    )

    with pytest.raises(HandshakeError):
        impostor.read_1(initiator.message_1)
    with pytest.raises(HandshakeError):
        initiator.read_2(bytes(MESSAGE_2_SIZE))


def test_without_the_kem_secret_the_callee_does_not_understand_message_3():
    noise, kem = raw_initiator()
    responder = make_responder()
    responder.read_1(noise.write_message(kem.public))
    noise.read_message(responder.write_2())

    with pytest.raises(HandshakeError):
        responder.read_3(noise.write_message(bytes(208)))


def test_encapsulation_key_that_is_not_canonical_is_refused():
    noise, _ = raw_initiator()
    responder = make_responder()
    responder.read_1(noise.write_message(b"\xff" * 1184))

    with pytest.raises(HandshakeError, match="canonical"):
        responder.write_2()


def test_signature_of_another_session_is_refused():
    # The callee of one call passes the caller's proof on in a call of its own.
    noise, kem = raw_initiator("first")
    first = make_responder("first")
    through_message_2(noise, kem, first)
    text = b"psp-caller-v1" + noise.handshake_hash
    proof = CALLER.public + bytes(112) + CALLER.sign(text)
    other, other_kem = raw_initiator("second")
    second = make_responder("second")
    through_message_2(other, other_kem, second)

    with pytest.raises(HandshakeError, match="signature"):
        second.read_3(other.write_message(proof))
    assert first.read_3(noise.write_message(proof)) == CALLER.public


@pytest.mark.parametrize(
    "payload",
    [
        CALLER.public + bytes(176),
        bytes(144) + b"\1" * 64,
        CALLER.public + bytes(112) + b"\1" * 64,
        bytes(32) + b"\1" * 176,
    ],
    ids=["no signature", "no identity", "wrong signature", "only a grant"],
)
def test_half_a_proof_is_no_proof(payload):
    noise, kem = raw_initiator()
    responder = make_responder()
    through_message_2(noise, kem, responder)

    with pytest.raises(HandshakeError, match="signature"):
        responder.read_3(noise.write_message(payload))
    with pytest.raises(LocalProtocolError):
        _ = responder.keys


def granted(life=86_400, *, network=GRANTING, signer=CALLER):
    key = PresenceKey.make(signer, network, NOW, SeededEntropy("presence"), life=life)
    return UserSigner.by_presence_key(UserId(CALLER.public), key)


def call_on_a_grant(caller, is_caller):
    initiator = SessionInitiator(
        network=NETWORK,
        cookie=COOKIE,
        callee=CALLEE_ID,
        contact_key=x25519_public(CONTACT),
        caller=caller,
        entropy=SeededEntropy("initiator"),
    )
    responder = make_responder(is_caller=is_caller)
    responder.read_1(initiator.message_1)
    initiator.read_2(responder.write_2())
    return responder.read_3(initiator.write_3())


def judge(unix_now):
    def is_caller(caller, grant, text, signature):
        options = {"network": GRANTING, "unix_now": unix_now}
        return is_signed_by_user(caller, grant, text, signature, **options)

    return is_caller


def test_a_host_without_the_identity_key_calls_in_the_users_name():
    assert call_on_a_grant(granted(), judge(NOW)) == CALLER.public


@pytest.mark.parametrize(
    ("caller", "unix_now"),
    [
        (granted(), NOW - 121),
        (granted(), NOW + 86_521),
        (granted(life=86_401), NOW),
        (granted(network=Network(9, bytes(20))), NOW),
        (granted(signer=CALLEE), NOW),
        (replace(granted(), key=CALLEE), NOW),
    ],
    ids=["early", "late", "too long", "network", "not the user's", "another key"],
)
def test_a_grant_that_is_not_in_force_proves_nothing(caller, unix_now):
    with pytest.raises(HandshakeError, match="signature"):
        call_on_a_grant(caller, judge(unix_now))


def test_who_knows_no_grants_believes_identity_keys_only():
    with pytest.raises(HandshakeError, match="signature"):
        call_on_a_grant(granted(), is_identity)


@pytest.mark.parametrize("is_caller", [is_identity, judge(NOW)])
def test_the_identitys_own_signature_goes_with_no_grant(is_caller):
    caller = replace(granted(), key=CALLER)

    with pytest.raises(HandshakeError, match="signature"):
        call_on_a_grant(caller, is_caller)


@pytest.mark.parametrize("size", [0, 207, 209])
def test_message_3_of_another_size_is_refused(size):
    noise, kem = raw_initiator()
    responder = make_responder()
    through_message_2(noise, kem, responder)

    with pytest.raises(HandshakeError, match=f"{size} bytes"):
        responder.read_3(noise.write_message(bytes(size)))


def test_keys_exist_only_when_the_handshake_is_over():
    initiator, responder = make_initiator(), make_responder()
    responder.read_1(initiator.message_1)
    initiator.read_2(responder.write_2())

    with pytest.raises(LocalProtocolError):
        _ = initiator.keys
    with pytest.raises(LocalProtocolError):
        _ = responder.keys


def test_reprs_show_no_secret():
    initiator, responder = make_initiator(), make_responder()
    responder.read_1(initiator.message_1)
    initiator.read_2(responder.write_2())
    initiator.write_3()

    assert repr(initiator) == "SessionInitiator([scrubbed])"
    assert repr(responder) == "SessionResponder([scrubbed])"
    assert repr(initiator.keys) == "SessionKeys([scrubbed])"
