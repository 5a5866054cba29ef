"""How fast a session sends: what waits, what is dropped, what slows it down."""

import pytest

from psp.endpoint.pacing import MAX_WAITING
from psp.endpoint.session import RoomMade
from psp.units import Monotonic
from psp.wire.feedback import Feedback
from psp.wire.onion import Kind
from psp.wire.session_block import BlockType, pack_plain
from tests.unit.psp.endpoint.rig import Wire, one_leg, sealed


def test_without_a_leg_the_oldest_datagrams_are_dropped_and_counted():
    wire = Wire()
    for number in range(MAX_WAITING + 3):
        wire.ends[0].send_datagram(b"%d" % number)

    assert wire.ends[0].blocks_to_send(wire.now) == []
    assert wire.ends[0].stats.dropped_outgoing == 3
    wire.add_leg(0)
    wire.run(0.1)
    assert wire.datagrams(1)[0] == b"3"


def test_what_has_waited_too_long_is_dropped_and_counted():
    wire = Wire()
    for number in range(5):
        wire.ends[0].send_datagram(b"%d" % number)
    wire.flush()
    wire.now = Monotonic(wire.now + 0.3)
    wire.ends[0].send_datagram(b"fresh")
    wire.add_leg(0)

    wire.run(0.1)

    assert wire.datagrams(1) == [b"fresh"]
    assert wire.ends[0].stats.dropped_outgoing == 5


def test_datagrams_are_paced_and_audio_is_not():
    wire = one_leg()
    for number in range(100):
        wire.ends[0].send_datagram(b"%d" % number)
    for _ in range(20):
        wire.ends[0].send_datagram(b"audio", Kind.AUDIO)

    wire.flush()
    at_once = wire.ends[0].sending.queued
    wire.run(0.02)
    in_time = wire.datagrams(1)

    assert at_once == 100
    assert in_time.count(b"audio") == 20
    wire.run(1.0)
    assert len(wire.datagrams(1)) < 120  # two megabits a second take 58 in 0.25 s
    assert wire.ends[0].stats.dropped_outgoing > 0
    dropped = wire.ends[0].stats.dropped_outgoing
    assert len(wire.datagrams(1)) == 120 - dropped


def test_who_asks_for_room_is_told_once_when_half_of_it_is_free():
    wire = one_leg()
    session = wire.ends[0]
    room = session.room
    for _ in range(room):
        session.send_datagram(b"x")
    assert session.room == 0

    session.want_room()
    wire.flush()
    assert not wire.told(0, RoomMade)
    wire.run(1.0)

    assert wire.told(0, RoomMade) == [RoomMade()]
    assert session.room >= room
    assert session.stats.dropped_outgoing == 0


def test_the_receiver_tells_how_blocks_come_and_the_sender_takes_it_in():
    wire = one_leg(latency=0.05)
    for _ in range(30):
        wire.ends[0].send_datagram(b"x")
        wire.run(0.01)
    before = wire.ends[0].bitrate

    for _ in range(100):
        for _ in range(wire.ends[0].room):
            wire.ends[0].send_datagram(b"x")
        wire.run(0.01)

    view = wire.ends[0].sending
    assert view.round_trip == pytest.approx(0.1, abs=0.001)
    assert view.loss == view.marked == 0
    assert view.queueing < 0.001
    assert view.bitrate == wire.ends[0].bitrate > 2 * before


def test_idle_ends_tell_each_other_nothing_but_probes():
    wire = one_leg()
    wire.run(1.0)
    before = wire.blocks_over[0]

    wire.run(1.5)

    assert wire.blocks_over[0] - before <= 2 * 2 * 11  # a probe and its echo, 150 ms


def test_marks_of_relays_slow_both_ends_down():
    wire = one_leg()
    for end in wire.ends:
        for _ in range(200):
            end.send_datagram(b"x")
    wire.run(0.3)
    before = [end.bitrate for end in wire.ends]

    for _ in range(30):
        wire.ends[1].note_marks(10, 10)
        for end in wire.ends:
            end.send_datagram(b"x")
        wire.run(0.02)

    assert wire.ends[0].bitrate < before[0]
    assert wire.ends[1].bitrate < before[1]
    assert wire.ends[0].sending.marked > 0.5


def test_feedback_of_blocks_that_never_were_changes_nothing():
    wire = one_leg()
    wire.ends[1].send_datagram(b"x")
    wire.run(0.5)
    before = wire.ends[1].sending
    absurd = Feedback(2**63, 2**32 - 1, 0, 5, 0).encode()

    wire.ends[1].receive_blocks(
        0, sealed(pack_plain(BlockType.FEEDBACK, absurd)), wire.now
    )

    assert wire.ends[1].sending == before
