"""What two sessions bring each other over a bad wire (psp/endpoint/session.py)."""

import pytest

from psp.endpoint.session import (
    DatagramsReceived,
    LegMessageReceived,
    MessageReceived,
    SessionConfig,
)
from psp.errors import LocalProtocolError
from psp.units import Monotonic
from psp.wire.onion import Kind
from psp.wire.session_block import PLAIN_SIZE, BlockType, Piece, pack_plain
from tests.unit.psp.endpoint.rig import Wire, leg_message, one_leg, sealed, two_legs


def test_datagrams_pass_both_ways_in_order():
    wire = one_leg()
    for number in range(5):
        wire.ends[0].send_datagram(b"there %d" % number)
        wire.ends[1].send_datagram(b"back %d" % number)

    wire.run(0.1)

    assert wire.datagrams(1) == [b"there %d" % number for number in range(5)]
    assert wire.datagrams(0) == [b"back %d" % number for number in range(5)]
    assert wire.ends[0].stats.datagrams_sent == 5
    assert wire.ends[0].stats.datagrams_received == 5


def test_datagrams_of_one_train_are_told_in_one_event():
    caller, callee = Wire().ends
    caller.add_leg(0, Monotonic(100.0))
    for number in range(3):
        caller.send_datagram(bytes([number]))
    blocks = [b for batch in caller.blocks_to_send(Monotonic(100.0)) for b in batch[1]]

    callee.receive_blocks(0, blocks, Monotonic(100.0))

    assert callee.next_event() == DatagramsReceived([b"\0", b"\1", b"\2"])
    assert callee.next_event() is None


def test_the_longest_datagram_passes_and_a_longer_one_is_refused():
    wire = one_leg()
    wire.ends[0].send_datagram(bytes(1080))
    wire.run(0.1)

    assert wire.datagrams(1) == [bytes(1080)]
    with pytest.raises(LocalProtocolError, match="1081"):
        wire.ends[0].send_datagram(bytes(1081))


def test_audio_goes_before_key_frames_and_those_before_the_rest():
    session = Wire().ends[0]
    session.add_leg(0, Monotonic(100.0))
    session.blocks_to_send(Monotonic(100.0))
    kinds = [Kind.PASS, Kind.KEY_FRAME, Kind.AUDIO, Kind.PASS]
    for kind in kinds:
        session.send_datagram(b"x", kind)

    batches = session.blocks_to_send(Monotonic(100.01))

    assert [(batch.kind, len(batch.blocks)) for batch in batches] == [
        (Kind.AUDIO, 1),
        (Kind.KEY_FRAME, 1),
        (Kind.PASS, 2),
    ]


def test_messages_arrive_once_in_order_at_thirty_percent_loss():
    wire = one_leg(loss=0.3)
    messages = [bytes([number]) * (number * 300) for number in range(20)]
    for message in messages:
        wire.ends[0].send_message(message)

    wire.run(15.0)

    assert [event.message for event in wire.told(1, MessageReceived)] == messages


def test_a_leg_message_is_told_as_one():
    wire = one_leg(loss=0.2)
    wire.ends[0].send_leg_message(leg_message())

    wire.run(3.0)

    assert wire.told(1, LegMessageReceived) == [LegMessageReceived(leg_message())]
    assert wire.told(1, MessageReceived) == []


def test_a_forged_or_repeated_block_changes_nothing():
    wire = one_leg()
    wire.ends[0].send_datagram(b"once")
    (probe, batch) = wire.ends[0].blocks_to_send(wire.now)
    (block,) = batch.blocks
    callee = wire.ends[1]

    callee.receive_blocks(0, [bytes(1106), block, block, block[:-1] + b"?"], wire.now)

    assert callee.next_event() == DatagramsReceived([b"once"])
    assert callee.next_event() is None
    assert probe.leg == 0


@pytest.mark.parametrize(
    "plain",
    [
        bytes([99]).ljust(PLAIN_SIZE, b"\0"),
        bytes([BlockType.DATAGRAM, 0xFF, 0xFF]).ljust(PLAIN_SIZE, b"\0"),
        pack_plain(BlockType.MESSAGE, b"abc"),
        pack_plain(BlockType.MESSAGE, b"\0\0\0\0\2xyz"),
        pack_plain(BlockType.ACK, b"x"),
        pack_plain(BlockType.PROBE, b"\0\0\0\0\1\5"),
        pack_plain(BlockType.PROBE_ECHO, b"1234"),
        pack_plain(BlockType.AUDIO, b"\0\0\0"),
        pack_plain(BlockType.FEEDBACK, bytes(23)),
        pack_plain(BlockType.MESSAGE, Piece(0, is_last=True, data=b"\1short").encode()),
        pack_plain(BlockType.MESSAGE, Piece(0, is_last=True, data=b"\7").encode()),
        pack_plain(BlockType.MESSAGE, Piece(0, is_last=True, data=b"").encode()),
    ],
)
def test_good_seals_around_bad_content_are_counted_and_survived(plain):
    wire = one_leg()
    good = pack_plain(BlockType.DATAGRAM, b"good")

    wire.ends[1].receive_blocks(0, sealed(plain, good), wire.now)

    assert wire.ends[1].stats.malformed == 1
    assert wire.ends[1].next_event() == DatagramsReceived([b"good"])
    assert not wire.ends[1].is_closed


def test_padding_is_a_sign_of_life_and_nothing_else():
    wire = one_leg()
    later = Monotonic(wire.now + 0.35)

    wire.ends[1].receive_blocks(0, sealed(pack_plain(BlockType.PADDING, b"")), later)

    assert wire.ends[1].next_event() is None
    assert wire.ends[1].stats.malformed == 0
    assert wire.ends[1].legs.silence(later) == 0.0


def test_audio_lost_in_up_to_three_blocks_in_a_row_is_delivered_once_in_order():
    wire = one_leg()
    words = [b"word %d" % number for number in range(40)]
    for number, word in enumerate(words):
        wire.silent = {0} if number % 4 else set()
        wire.ends[0].send_datagram(word, Kind.AUDIO)
        wire.flush()
        wire.silent = set()
        wire.run(0.02)
    wire.ends[0].send_datagram(b"end", Kind.AUDIO)
    wire.run(0.1)

    assert wire.datagrams(1) == [*words, b"end"]
    assert wire.ends[1].stats.audio_recovered >= 30


def test_audio_goes_over_two_legs_when_it_is_to_and_is_heard_once():
    wire = two_legs(config=SessionConfig(duplicate_audio=True))
    before = dict(wire.blocks_over)
    words = [b"word %d" % number for number in range(10)]
    for word in words:
        wire.ends[0].send_datagram(word, Kind.AUDIO)
        wire.ends[0].send_datagram(b"picture")
    wire.run(0.1)

    heard = wire.datagrams(1)
    assert [datagram for datagram in heard if datagram != b"picture"] == words
    assert heard.count(b"picture") == 10
    assert {wire.blocks_over[leg] - before[leg] >= 10 for leg in (0, 1)} == {True}


def test_an_audio_datagram_that_is_empty_or_long_travels_alone():
    wire = one_leg()
    for datagram in (b"", bytes(1076), bytes(1080)):
        wire.ends[0].send_datagram(datagram, Kind.AUDIO)

    wire.run(0.1)

    assert wire.datagrams(1) == [b"", bytes(1076), bytes(1080)]
