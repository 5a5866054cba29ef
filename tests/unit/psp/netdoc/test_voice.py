"""Voices of discovery nodes (psp/netdoc/voice.py)."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey, verify
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.netdoc.voice import Question, Voice
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

NETWORK = Network(5, bytes(19) + b"\x07")
KEY = SigningKey.generate(SeededEntropy("node"))
NODE = NodeId(KEY.public)
QUESTION = Question(NETWORK, b"l" * 20, b"n" * 16)
SAYS = (7, 0, 2**64 - 1, 1)


def test_a_voice_has_the_documented_bytes():
    voice = Voice.of(KEY, QUESTION, 1_800_000_000.9, SAYS)

    says = (1_800_000_000).to_bytes(4) + b"".join(n.to_bytes(8) for n in SAYS)
    text = b"psp-voice-v1" + NETWORK.encode() + b"l" * 20 + b"n" * 16 + says
    assert voice.encode()[:-64] == KEY.public[:8] + says
    assert len(voice.encode()) == 108
    assert verify(KEY.public, text, voice.signature)
    assert Voice.decode(voice.encode()) == voice
    assert [voice.holds(slot) for slot in range(4)] == list(SAYS)


def test_a_voice_is_of_its_node_and_to_its_question_only():
    voice = Voice.of(KEY, QUESTION, 1_800_000_000, SAYS)
    other = NodeId(SigningKey.generate(SeededEntropy("other")).public)

    assert voice.is_of(NODE, QUESTION)
    assert not voice.is_of(other, QUESTION)
    assert not voice.is_of(NodeId(NODE[:8] + other[8:]), QUESTION)
    for change in (
        {"network": Network(6, bytes(20))},
        {"location": b"m" * 20},
        {"nonce": b"o" * 16},
    ):
        assert not voice.is_of(NODE, dataclasses.replace(QUESTION, **change))
    for change in (
        {"time": voice.time + 1},
        {"sequences": (8, *SAYS[1:])},
        {"sequences": (2**64, *SAYS[1:])},
        {"signature": bytes(64)},
        {"signature": b""},
    ):
        assert not dataclasses.replace(voice, **change).is_of(NODE, QUESTION)


@pytest.mark.parametrize("unix_now", [-5.0, 2.0**40])
def test_a_clock_beyond_all_bounds_still_makes_a_voice(unix_now):
    voice = Voice.of(KEY, QUESTION, unix_now, SAYS)

    assert voice.is_of(NODE, QUESTION)
    assert voice.time in {0, 2**32 - 1}


@pytest.mark.parametrize(
    "change", [{"location": b"l" * 19}, {"nonce": b"n" * 17}], ids=str
)
def test_a_question_of_another_length_is_not_signed(change):
    question = dataclasses.replace(QUESTION, **change)

    with pytest.raises(LocalProtocolError):
        Voice.of(KEY, question, 0, SAYS)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_voice_or_refused(data):
    try:
        voice = Voice.decode(data)
    except DecodeError:
        assert len(data) != 108
        return
    assert voice.encode() == data
    assert not voice.is_of(NODE, QUESTION)


@given(st.binary(min_size=108, max_size=108))
def test_any_108_bytes_are_a_voice_of_nobody(data):
    voice = Voice.decode(data)

    assert voice.encode() == data
    assert not voice.is_of(NODE, QUESTION)
