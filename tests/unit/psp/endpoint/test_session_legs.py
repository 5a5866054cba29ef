"""A session over legs that come, go and fall silent."""

import pytest

from psp.endpoint.session import LegLost, MessageReceived, SessionClosed, SessionSilent
from tests.unit.psp.endpoint.rig import one_leg, two_legs


def test_the_other_leg_takes_over_when_one_falls_silent():
    wire = two_legs()
    wire.silent.add(0)
    for number in range(40):
        wire.ends[0].send_datagram(b"%d" % number)
        wire.run(0.05)

    arrived = wire.datagrams(1)

    assert arrived[-20:] == [b"%d" % number for number in range(20, 40)]
    assert wire.told(0, LegLost) == wire.told(1, LegLost) == [LegLost(0)]
    assert wire.told(0, SessionSilent) == []
    assert wire.ends[0].stats.leg_changes >= 1
    assert sorted(wire.ends[0].legs) == [1]


def test_a_leg_that_passes_one_way_only_is_left_by_the_end_that_is_not_heard():
    wire = two_legs()
    wire.deaf.add((0, 1))
    wire.run(1.0)
    before = wire.blocks_over[1]

    for number in range(10):
        wire.ends[0].send_datagram(b"%d" % number)
    wire.run(0.1)

    assert wire.blocks_over[1] >= before + 10
    assert wire.datagrams(1) == [b"%d" % number for number in range(10)]


def test_while_no_leg_is_well_blocks_go_over_all_of_them():
    wire = two_legs()
    wire.silent |= {0, 1}
    wire.run(0.55)
    wire.silent.clear()

    wire.ends[0].send_datagram(b"x")
    wire.flush()

    assert wire.ends[0].legs.to_use(wire.now) == [0, 1]
    wire.run(0.1)
    assert wire.datagrams(1) == [b"x", b"x"]


def test_silence_is_told_once_and_again_after_a_recovery():
    wire = two_legs()
    wire.silent |= {0, 1}
    wire.run(1.0)
    assert len(wire.told(0, SessionSilent)) == 1

    wire.silent.clear()
    wire.run(1.0)
    wire.silent |= {0, 1}
    wire.run(1.0)

    assert len(wire.told(0, SessionSilent)) == 2
    assert len(wire.told(1, SessionSilent)) == 2


def test_a_session_whose_every_circuit_closed_asks_for_the_reserve_at_once():
    wire = one_leg()
    wire.run(1.0)
    for end in wire.ends:
        end.remove_leg(0)

    wire.run(1.0)

    assert wire.told(0, SessionSilent) == [SessionSilent()]
    assert wire.told(1, SessionSilent) == [SessionSilent()]


def test_a_new_leg_ends_the_silence():
    wire = one_leg()
    wire.run(1.0)
    for end in wire.ends:
        end.remove_leg(0)
    wire.ends[0].send_message(b"after the silence")
    wire.run(5.0)

    wire.add_leg(2)
    wire.run(1.0)

    assert wire.told(1, MessageReceived) == [MessageReceived(b"after the silence")]
    assert not wire.told(0, SessionClosed)


def test_an_unacknowledged_message_does_not_spin_while_there_is_no_leg():
    wire = one_leg()
    wire.run(1.0)
    wire.silent.add(0)
    wire.ends[0].send_message(b"lost at first")
    wire.flush()
    for end in wire.ends:
        end.remove_leg(0)

    wire.run(2.0)
    due = wire.ends[0].next_timeout()

    assert due is not None
    assert due > wire.now
    wire.silent.clear()
    wire.add_leg(0)
    wire.run(1.0)
    assert wire.told(1, MessageReceived) == [MessageReceived(b"lost at first")]


def test_a_peer_that_is_late_to_come_finds_the_first_leg_in_place():
    wire = one_leg()
    wire.silent.add(0)
    wire.run(8.0)
    assert wire.told(0, LegLost) == wire.told(0, SessionSilent) == []

    wire.silent.clear()
    wire.ends[1].send_datagram(b"here I am")
    wire.run(1.0)

    assert wire.datagrams(0)[-1] == b"here I am"
    assert list(wire.ends[0].legs) == [0]


def test_the_round_trip_of_the_present_leg_is_measured():
    wire = one_leg(latency=0.04)
    wire.ends[0].send_datagram(b"x")

    wire.run(1.0)

    assert wire.ends[0].legs.round_trip() == pytest.approx(0.08, abs=0.001)
