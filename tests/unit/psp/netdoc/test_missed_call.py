"""Missed-call notices: for one mailbox, by whom they say, read by its owner alone."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey
from psp.crypto.primitives import hpke_seal, x25519_generate, x25519_public
from psp.errors import DecodeError, HandshakeError, LocalProtocolError
from psp.ids import NodeId, UserId
from psp.netdoc.missed_call import (
    PLAINTEXT_SIZE,
    Mailbox,
    open_notice,
    seal_notice,
)
from psp.netdoc.presence_keys import PresenceKey, UserSigner
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime
from psp.wire.mailboxes import NOTICE_SIZE
from psp.wire.network import Network

NOW = 1_700_000_000
PRIVATE = x25519_generate(SeededEntropy(1))
MAILBOX = Mailbox(
    Network(31_337, bytes(20)),
    NodeId(b"p" * 32),
    x25519_public(PRIVATE),
    b"t" * 16,
)
BOB = SigningKey.generate(SeededEntropy("bob"))


def signer_of(key=BOB):
    return UserSigner.by_identity(key)


def sealed(text="call me", *, mailbox=MAILBOX, signer=None, time=NOW):
    signer = signer or signer_of()
    return seal_notice(
        mailbox,
        text=text,
        time=UnixTime(time),
        caller=signer.user_id,
        sign=lambda data: (signer.grant, signer.sign(data)),
    )


def opened(data, private=PRIVATE, unix_now=NOW, **change):
    where = {
        "network": MAILBOX.network,
        "presence_point": MAILBOX.presence_point,
        "tag": MAILBOX.tag,
        **change,
    }
    return open_notice(data, private, unix_now=unix_now, **where)


@pytest.mark.parametrize("text", ["", "call me", "ü" * 64])
def test_the_owner_reads_who_called_and_what_they_said(text):
    data = sealed(text)
    notice = opened(data)

    assert len(data) == NOTICE_SIZE == 416
    assert (notice.caller, notice.text, notice.time) == (BOB.public, text, NOW)


def test_a_notice_may_be_anonymous():
    data = seal_notice(MAILBOX, text="", time=UnixTime(NOW), caller=None, sign=None)

    assert opened(data).caller is None


def test_a_host_without_the_identity_key_signs_under_a_grant():
    key = PresenceKey.make(BOB, MAILBOX.network, UnixTime(NOW - 60), SeededEntropy(3))
    signer = UserSigner.by_presence_key(UserId(BOB.public), key)

    assert opened(sealed(signer=signer)).caller == BOB.public


def test_a_grant_that_was_not_in_force_does_not_count():
    old = PresenceKey.make(
        BOB, MAILBOX.network, UnixTime(NOW - 200_000), SeededEntropy(3)
    )
    signer = UserSigner.by_presence_key(UserId(BOB.public), old)

    with pytest.raises(DecodeError, match="signature"):
        opened(sealed(signer=signer))


def test_nobody_else_nowhere_else_opens_it():
    data = sealed()

    for change in (
        {"private": x25519_generate(SeededEntropy(2))},
        {"network": Network(1, bytes(20))},
        {"presence_point": NodeId(b"q" * 32)},
        {"tag": b"u" * 16},
    ):
        with pytest.raises(DecodeError):
            opened(data, **change)


def test_a_notice_in_another_name_is_refused():
    mallory = SigningKey.generate(SeededEntropy("mallory"))
    forged = replace(signer_of(mallory), user_id=UserId(BOB.public))

    with pytest.raises(DecodeError, match="signature"):
        opened(sealed(signer=forged))


def test_a_signature_for_another_mailbox_cannot_be_used_again():
    """A presence point that reads its own mailbox cannot pass Bob's notice on."""
    theirs = x25519_generate(SeededEntropy(9))
    other = replace(MAILBOX, contact_key=x25519_public(theirs), tag=b"u" * 16)
    signature = BOB.sign(other.signed_text(NOW, b"hello"))

    data = seal_notice(
        MAILBOX,
        text="hello",
        time=UnixTime(NOW),
        caller=UserId(BOB.public),
        sign=lambda _: (bytes(112), signature),
    )

    with pytest.raises(DecodeError, match="signature"):
        opened(data)


@pytest.mark.parametrize("off", [-86_400 - 121, 121])
def test_a_notice_of_another_day_is_refused(off):
    with pytest.raises(DecodeError, match="day"):
        opened(sealed(time=NOW + off))


@pytest.mark.parametrize("text", ["x" * 129, "ü" * 65, "two\nlines", "\x1b[31m"])
def test_a_text_that_does_not_fit_is_not_sealed(text):
    with pytest.raises(LocalProtocolError):
        sealed(text)


def test_a_key_of_low_order_is_not_sealed_to():
    with pytest.raises(HandshakeError):
        sealed(mailbox=replace(MAILBOX, contact_key=bytes(32)))


def inside(plain):
    return hpke_seal(MAILBOX.contact_key, MAILBOX.info(), plain)


def anonymous(*, version=1, time=NOW, length=0, text=b"", behind=b""):
    head = bytes([version]) + time.to_bytes(8) + bytes(32 + 112 + 64)
    return (head + bytes([length]) + text.ljust(128, b"\0") + behind).ljust(
        PLAINTEXT_SIZE, b"\0"
    )


@pytest.mark.parametrize(
    "plain",
    [
        anonymous(version=2),
        anonymous(length=129, text=b"x" * 128, behind=b"x"),
        anonymous(length=2, text=b"abc"),
        anonymous(behind=b"\1"),
        anonymous(length=2, text=b"\xff\xfe"),
        anonymous(length=4, text=b"\x1b[3m"),
        anonymous()[:-1],
        anonymous() + b"\0",
        b"",
    ],
    ids=[
        "version",
        "long",
        "behind the text",
        "padding",
        "utf-8",
        "escape",
        "short",
        "oversized",
        "empty",
    ],
)
def test_what_is_not_a_notice_is_refused_though_it_opens(plain):
    with pytest.raises(DecodeError):
        opened(inside(plain))


def test_the_plain_form_is_the_written_one():
    assert opened(inside(anonymous(length=2, text=b"hi"))).text == "hi"


@settings(deadline=None)
@given(st.binary(min_size=PLAINTEXT_SIZE, max_size=PLAINTEXT_SIZE))
def test_any_plaintext_is_a_notice_or_a_decode_error(plain):
    with pytest.raises(DecodeError):
        opened(inside(plain))


@given(st.binary(max_size=500))
def test_any_bytes_are_a_decode_error(data):
    with pytest.raises(DecodeError):
        opened(data)
