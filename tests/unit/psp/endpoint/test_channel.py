"""The reliable message channel (psp/endpoint/channel.py)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.endpoint.channel import MAX_MESSAGE_BYTES, MAX_QUEUED, WINDOW, MessageChannel
from psp.errors import LocalProtocolError, RemoteProtocolError
from psp.units import Monotonic
from psp.wire.session_block import MAX_PIECE, Ack, Piece


def carry(messages: list[bytes], *, loss: float, seed: int) -> list[bytes]:
    """Send messages over a bad path until everything is acknowledged."""
    dice = random.Random(seed)
    sender, receiver = MessageChannel(), MessageChannel()
    for message in messages:
        sender.send(message)
    arrived: list[bytes] = []
    now = Monotonic(0.0)
    for _ in range(5000):
        pieces = sender.pieces_to_send(now)
        dice.shuffle(pieces)
        for piece in pieces:
            if dice.random() >= loss:
                arrived += receiver.receive_piece(Piece.decode(piece.encode()))
        ack = receiver.ack_to_send()
        if ack is not None and dice.random() >= loss:
            sender.receive_ack(Ack.decode(ack.encode()))
        if sender.is_idle:
            return arrived
        now = max(now, sender.next_timeout() or now)
    raise AssertionError(f"not delivered with seed {seed}")


@given(
    st.lists(st.binary(max_size=5000), max_size=12),
    st.floats(0, 0.5),
    st.integers(0, 2**32),
)
def test_messages_arrive_once_in_order_however_bad_the_path(messages, loss, seed):
    assert carry(messages, loss=loss, seed=seed) == messages


def test_the_longest_message_passes():
    message = bytes(range(256)) * 256

    assert len(message) == MAX_MESSAGE_BYTES
    assert carry([message], loss=0.2, seed=1) == [message]


def test_a_longer_message_is_refused_at_both_ends():
    receiver = MessageChannel()

    with pytest.raises(LocalProtocolError):
        MessageChannel().send(bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(RemoteProtocolError):
        _receive_all(receiver, 100)


def _receive_all(receiver: MessageChannel, count: int) -> None:
    for sequence in range(count):
        receiver.receive_piece(Piece(sequence, is_last=False, data=bytes(MAX_PIECE)))


def test_a_peer_far_ahead_fills_no_memory():
    receiver = MessageChannel()

    for sequence in range(2, 10_000):
        assert receiver.receive_piece(Piece(sequence, is_last=True, data=b"x")) == []
    assert len(receiver.receive_piece(Piece(0, is_last=True, data=b"0"))) == 1
    assert len(receiver.receive_piece(Piece(1, is_last=True, data=b"1"))) == WINDOW


def test_no_more_than_a_window_is_under_way():
    sender = MessageChannel()
    for _ in range(200):
        sender.send(b"x")

    assert len(sender.pieces_to_send(Monotonic(0.0))) == WINDOW
    assert sender.pieces_to_send(Monotonic(0.0)) == []


def test_an_endless_queue_is_refused():
    sender = MessageChannel()

    for _ in range(MAX_QUEUED):
        sender.send(b"x")

    with pytest.raises(LocalProtocolError, match="already wait"):
        sender.send(b"x")


def test_sequence_numbers_wrap():
    sender, receiver = MessageChannel(), MessageChannel()
    sender._next_sequence = receiver._expected = 2**32 - 2
    for number in range(5):
        sender.send(bytes([number]))

    arrived = []
    for piece in sender.pieces_to_send(Monotonic(0.0)):
        arrived += receiver.receive_piece(piece)
    ack = receiver.ack_to_send()
    assert ack is not None
    sender.receive_ack(ack)

    assert arrived == [bytes([number]) for number in range(5)]
    assert sender.is_idle
