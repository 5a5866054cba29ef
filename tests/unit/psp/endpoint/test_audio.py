"""Audio numbered, bundled and delivered once (psp/endpoint/audio.py)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.endpoint.audio import WINDOW, AudioReceiver, AudioSender
from psp.errors import DecodeError


def bundles(datagrams):
    sender = AudioSender()
    return [sender.bundle(datagram) for datagram in datagrams]


def words(count):
    return [b"%d" % number for number in range(count)]


def test_three_blocks_lost_in_a_row_cost_nothing_and_order_is_kept():
    sent = bundles(words(20))
    receiver = AudioReceiver()

    heard = [
        datagram for content in sent[3::4] for datagram in receiver.receive(content)
    ]

    assert heard == words(20)
    assert receiver.recovered == 15


def test_a_fourth_lost_block_costs_one_datagram():
    sent = bundles(words(10))
    receiver = AudioReceiver()
    kept = sent[:2] + sent[6:]

    heard = [datagram for content in kept for datagram in receiver.receive(content)]

    assert heard == words(2) + words(10)[3:]


@given(st.data())
def test_whatever_is_lost_doubled_and_disordered_each_is_delivered_at_most_once(data):
    count = data.draw(st.integers(1, 80))
    sent = bundles(words(count))
    order = data.draw(st.lists(st.sampled_from(range(count)), max_size=2 * count))
    receiver = AudioReceiver()

    heard = [datagram for place in order for datagram in receiver.receive(sent[place])]

    brought = {near for place in order for near in range(max(0, place - 3), place + 1)}
    assert sorted(heard) == sorted(b"%d" % number for number in brought)


def test_numbers_wrap():
    sender = AudioSender()
    receiver = AudioReceiver()
    dice = random.Random(5)
    heard = 0
    for number in range(70_000):
        content = sender.bundle(b"%d" % number)
        if number % 4 == 0 or dice.random() < 0.3:
            heard += len(receiver.receive(content))

    # The last few may ride in a block that was lost.
    assert 70_000 - 3 <= heard <= 70_000


def test_what_is_older_than_the_window_counts_as_seen():
    sent = bundles(words(WINDOW + 10))
    receiver = AudioReceiver()
    receiver.receive(sent[-1])

    assert receiver.receive(sent[2]) == []
    assert receiver.receive(sent[20]) == [b"17", b"18", b"19", b"20"]


@pytest.mark.parametrize("content", [b"", b"\0\0\1\0\2x"])
def test_a_malformed_bundle_changes_nothing(content):
    receiver = AudioReceiver()
    with pytest.raises(DecodeError):
        receiver.receive(content)

    assert receiver.receive(bundles([b"x"])[0]) == [b"x"]


def test_longer_datagrams_take_fewer_along():
    sent = bundles([bytes([number]) * 500 for number in range(4)])
    receiver = AudioReceiver()

    assert receiver.receive(sent[3]) == [b"\2" * 500, b"\3" * 500]
