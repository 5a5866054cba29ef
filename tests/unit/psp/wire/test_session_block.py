"""Session blocks (psp/wire/session_block.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.onion import BLOCK_SIZE
from psp.wire.session_block import (
    LEG_MESSAGE_SIZE,
    PIPE_MTU,
    PLAIN_SIZE,
    Ack,
    BlockType,
    LegAction,
    LegMessage,
    Piece,
    Probe,
    handshake_blocks,
    pack_echo,
    pack_plain,
    unpack_echo,
    unpack_handshake,
    unpack_plain,
)

u32 = st.integers(0, 2**32 - 1)
heard = st.dictionaries(st.integers(0, 255), st.integers(0, 65535), max_size=4)
DECODERS = [
    unpack_plain,
    Piece.decode,
    Ack.decode,
    Probe.decode,
    unpack_echo,
    LegMessage.decode,
]


@given(st.sampled_from(BlockType), st.binary(max_size=PIPE_MTU))
def test_a_plain_block_is_always_full_and_keeps_its_content(kind, content):
    plain = pack_plain(kind, content)

    assert len(plain) == PLAIN_SIZE
    assert unpack_plain(plain) == (kind, content)


@given(u32, st.booleans(), st.binary(max_size=100))
def test_a_piece_survives(sequence, is_last, data):
    piece = Piece(sequence, is_last, data)

    assert Piece.decode(piece.encode()) == piece


@given(u32, st.integers(0, 2**64 - 1))
def test_an_ack_survives(expected, bitmap):
    assert Ack.decode(Ack(expected, bitmap).encode()) == Ack(expected, bitmap)


@given(st.integers(0, 255), u32, heard)
def test_a_probe_and_its_echo_survive(leg, number, silent):
    assert Probe.decode(Probe(leg, number, silent).encode()) == Probe(
        leg, number, silent
    )
    assert unpack_echo(pack_echo(leg, number)) == (leg, number)


@given(st.sampled_from(LegAction), st.integers(0, 255))
def test_a_leg_message_survives(action, leg):
    message = LegMessage(action, leg, b"n" * 32, b"e" * 24, b"c" * 20)

    assert len(message.encode()) == LEG_MESSAGE_SIZE
    assert LegMessage.decode(message.encode()) == message


@pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__qualname__)
@given(data=st.binary(max_size=PLAIN_SIZE + 1))
def test_any_bytes_decode_or_raise_decode_error(decode, data):
    with suppress(DecodeError):
        decode(data)


@given(st.binary(min_size=LEG_MESSAGE_SIZE, max_size=LEG_MESSAGE_SIZE))
def test_any_leg_message_decodes_or_raises_decode_error(data):
    with suppress(DecodeError):
        assert LegMessage.decode(data).encode() == data


@given(st.binary(min_size=PLAIN_SIZE, max_size=PLAIN_SIZE))
def test_any_plain_block_decodes_or_raises_decode_error(data):
    with suppress(DecodeError):
        unpack_plain(data)


def test_a_datagram_longer_than_the_pipe_is_our_own_fault():
    with pytest.raises(LocalProtocolError, match="1081"):
        pack_plain(BlockType.DATAGRAM, bytes(PIPE_MTU + 1))


def test_a_silence_longer_than_the_field_is_clamped():
    assert Probe.decode(Probe(0, 1, {0: 10**9}).encode()).heard == {0: 65535}


@given(st.sampled_from([2, 3]), st.binary(min_size=1, max_size=2200))
def test_handshake_messages_travel_as_full_blocks(message, data):
    blocks = handshake_blocks(message, data)
    parts = [unpack_handshake(block) for block in blocks]

    assert {len(block) for block in blocks} == {BLOCK_SIZE}
    assert b"".join(part[2] for part in parts if part).startswith(data)
    assert [part[:2] for part in parts if part] == [
        (message, number) for number in range(len(blocks))
    ]


def test_a_third_part_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        handshake_blocks(2, bytes(2201))


@given(st.binary(max_size=BLOCK_SIZE))
def test_other_blocks_are_not_handshakes(data):
    assert unpack_handshake(data) is None
    assert unpack_handshake(b"PSPH\x07\x00".ljust(BLOCK_SIZE, b"\0")) is None
    assert unpack_handshake(b"PSPH\x02\x02".ljust(BLOCK_SIZE, b"\0")) is None
