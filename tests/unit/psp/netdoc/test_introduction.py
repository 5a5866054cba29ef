"""Introductions: sealed to one contact key at one presence point, for a minute."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.primitives import x25519_generate, x25519_public
from psp.errors import DecodeError, HandshakeError, LocalProtocolError
from psp.ids import Cookie, NodeId
from psp.netdoc.introduction import (
    PLAINTEXT_SIZE,
    SEALED_SIZE,
    Introduction,
    open_introduction,
    seal_introduction,
)
from psp.netdoc.ticket import NO_TICKET
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from psp.wire.presence import IntroduceRequest

NETWORK = Network(31_337, bytes(20))
POINT = NodeId(b"p" * 32)
PRIVATE = x25519_generate(SeededEntropy(1))
INTRODUCTION = Introduction(
    UnixTime(1_000),
    NodeId(b"r" * 32),
    Endpoint("192.0.2.7", 443),
    Cookie(b"c" * 20),
    NO_TICKET,
    b"n" * 1_232,
)


def sealed():
    return seal_introduction(
        INTRODUCTION, x25519_public(PRIVATE), network=NETWORK, presence_point=POINT
    )


def opened(data, private=PRIVATE, network=NETWORK, presence_point=POINT):
    return open_introduction(
        data, private, network=network, presence_point=presence_point
    )


def test_callee_reads_what_the_caller_sealed():
    data = sealed()

    assert len(data) == SEALED_SIZE == 1_504
    assert opened(data) == INTRODUCTION
    assert len(IntroduceRequest(bytes(16), data).encode()) == 1_520


def test_layout_is_the_written_one():
    plain = INTRODUCTION.encode()

    assert len(plain) == PLAINTEXT_SIZE == 1_456
    assert plain[:8] == (1_000).to_bytes(8)
    assert plain[8:40] == b"r" * 32
    assert plain[40:64] == INTRODUCTION.endpoint.encode()
    assert plain[64:84] == b"c" * 20
    assert plain[84:148] == NO_TICKET
    assert plain[148:224] == bytes(76)  # no work
    assert plain[224:] == b"n" * 1_232


def test_nobody_else_nowhere_else_opens_it():
    data = sealed()

    for settings in (
        {"private": x25519_generate(SeededEntropy(2))},
        {"network": Network(1, bytes(20))},
        {"presence_point": b"q" * 32},
    ):
        with pytest.raises(DecodeError):
            opened(data, **settings)


@pytest.mark.parametrize("offset", [0, 31, 32, 700, 1_503])
def test_changed_bytes_do_not_open(offset):
    data = bytearray(sealed())
    data[offset] ^= 1

    with pytest.raises(DecodeError):
        opened(bytes(data))


@given(st.binary(max_size=1_600) | st.binary(min_size=1_504, max_size=1_504))
def test_any_sealed_bytes_are_a_decode_error(data):
    with pytest.raises(DecodeError):
        opened(data)


@given(st.binary(max_size=100) | st.binary(min_size=1_456, max_size=1_456))
def test_any_plaintext_is_an_introduction_or_a_decode_error(data):
    try:
        introduction = Introduction.decode(data)
    except DecodeError:
        return
    assert introduction.encode() == data


def test_reserved_bytes_must_be_zero():
    plain = INTRODUCTION.encode()

    with pytest.raises(DecodeError, match="reserved"):
        Introduction.decode(plain[:200] + b"\x01" + plain[201:])


def test_work_travels_behind_the_ticket():
    worked = replace(INTRODUCTION, effort=9, work_nonce=b"w" * 16)

    plain = worked.encode()

    assert plain[148:165] == b"\x09" + b"w" * 16
    assert Introduction.decode(plain) == worked


def test_a_nonce_without_effort_and_an_effort_beyond_all_are_refused():
    plain = INTRODUCTION.encode()

    for work in (b"\x00" + b"w" * 16, b"\x19" + b"w" * 16):
        with pytest.raises(DecodeError, match="effort"):
            Introduction.decode(plain[:148] + work + plain[165:])


def test_what_work_is_done_on_cannot_be_known_before_the_call():
    base = INTRODUCTION.work_challenge(b"k" * 32)

    others = [
        INTRODUCTION.work_challenge(b"l" * 32),
        replace(INTRODUCTION, cookie=Cookie(b"d" * 20)).work_challenge(b"k" * 32),
        replace(INTRODUCTION, expiry=UnixTime(1_001)).work_challenge(b"k" * 32),
    ]

    assert len({base, *others}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"rendezvous": bytes(31)},
        {"cookie": bytes(19)},
        {"ticket": b""},
        {"noise_message": bytes(1_231)},
        {"effort": 25},
        {"effort": 1, "work_nonce": bytes(15)},
    ],
)
def test_fields_of_other_lengths_are_not_encoded(change):
    with pytest.raises(LocalProtocolError):
        replace(INTRODUCTION, **change).encode()


@pytest.mark.parametrize(
    ("now", "is_in_time"),
    [(819, False), (820, True), (940, True), (1_120, True), (1_121, False)],
)
def test_introduction_lives_a_minute_and_the_skew(now, is_in_time):
    assert INTRODUCTION.is_in_time(now) is is_in_time


def test_sealing_to_a_bad_key_is_an_error():
    with pytest.raises(HandshakeError):
        seal_introduction(
            INTRODUCTION, bytes(32), network=NETWORK, presence_point=POINT
        )


def test_cookie_ticket_and_handshake_do_not_show_in_a_repr():
    assert "cccc" not in repr(INTRODUCTION)
    assert "nnnn" not in repr(INTRODUCTION)
