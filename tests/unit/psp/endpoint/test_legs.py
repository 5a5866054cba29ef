"""The legs of a session (psp/endpoint/legs.py)."""

from psp.endpoint.legs import LegConfig, Legs
from psp.units import Monotonic
from psp.wire.session_block import Probe


def at(seconds: float) -> Monotonic:
    return Monotonic(seconds)


def two_legs() -> Legs:
    legs = Legs(LegConfig())
    legs.add(0, at(0.0))
    legs.add(1, at(0.0))
    return legs


def test_one_leg_is_used_while_it_is_well():
    legs = two_legs()
    legs.heard(0, at(0.3))
    legs.heard(1, at(0.3))

    assert legs.to_use(at(0.3)) == [0]
    assert legs.to_use(at(0.6)) == [0]


def test_the_other_leg_takes_over_when_the_first_falls_silent():
    legs = two_legs()
    assert legs.to_use(at(0.0)) == [0]
    legs.heard(1, at(0.4))

    assert legs.to_use(at(0.45)) == [1]


def test_where_speech_came_all_the_time_a_fifth_of_a_second_is_suspicious():
    legs = two_legs()
    for tick in range(1, 101):
        legs.heard(0, at(tick * 0.02))
    legs.heard(1, at(2.0))

    assert legs.to_use(at(2.12)) == [0]
    assert legs.to_use(at(2.2)) == [1]


def test_after_a_hole_the_next_one_may_be_longer():
    legs = two_legs()
    for tick in range(1, 101):
        legs.heard(0, at(tick * 0.02))
    legs.heard(0, at(2.06))
    legs.heard(1, at(2.1))

    assert legs.to_use(at(2.06 + 0.2)) == [0]


def test_a_straggler_does_not_keep_us_on_a_leg_that_has_died():
    legs = two_legs()
    for tick in range(1, 101):
        legs.heard(0, at(tick * 0.02))
    legs.heard(0, at(2.15))
    legs.heard(1, at(2.3))

    assert legs.to_use(at(2.15 + 0.22)) == [1]


def test_probes_that_come_late_are_nothing_to_worry_about():
    legs = two_legs()
    for tick in range(1, 11):
        legs.heard(0, at(tick * 0.15))
        legs.heard(1, at(tick * 0.15))

    assert legs.to_use(at(1.5 + 0.35)) == [0]


def test_the_session_stays_on_the_leg_it_changed_to():
    legs = two_legs()
    legs.to_use(at(0.0))
    legs.heard(1, at(0.4))
    legs.to_use(at(0.45))
    legs.heard(0, at(0.5))
    legs.heard(1, at(0.5))

    assert legs.to_use(at(0.5)) == [1]


def test_all_legs_are_used_when_none_is_well():
    assert two_legs().to_use(at(0.5)) == [0, 1]


def test_a_leg_that_the_peer_does_not_hear_is_not_well():
    legs = two_legs()
    legs.heard(0, at(0.5))
    legs.heard(1, at(0.5))
    legs.receive_probe(Probe(1, 1, {0: 900, 1: 10}))

    assert legs.to_use(at(0.5)) == [1]


def test_a_silent_leg_is_lost_after_a_while():
    legs = two_legs()
    legs.heard(1, at(1.0))

    assert legs.lost(at(1.1)) == []
    assert legs.lost(at(1.2)) == [0]


def test_every_leg_is_probed_on_its_own_clock():
    legs = Legs(LegConfig())
    legs.add(0, at(0.0))
    first = legs.probes_to_send(at(0.0))
    legs.add(3, at(0.1))

    assert [probe.leg for probe in first] == [0]
    assert [probe.leg for probe in legs.probes_to_send(at(0.1))] == [3]
    assert legs.next_timeout() == at(0.15)
    assert legs.probes_to_send(at(0.15))[0].heard == {0: 150, 3: 50}


def test_an_echo_measures_the_round_trip_of_the_present_leg():
    legs = two_legs()
    legs.to_use(at(0.0))
    (probe, _) = legs.probes_to_send(at(0.0))
    legs.receive_echo(probe.leg, probe.number, at(0.08))

    assert legs.round_trip() == 0.08


def test_an_echo_of_nothing_and_an_unknown_leg_are_ignored():
    legs = Legs(LegConfig())
    legs.receive_echo(0, 1, at(0.0))
    legs.heard(7, at(0.0))
    legs.remove(7)
    legs.receive_probe(Probe(0, 1, {7: 1}))

    assert len(legs) == 0
    assert legs.to_use(at(0.0)) == []
    assert legs.round_trip() == 0.0


def test_echoes_that_never_come_fill_no_memory():
    legs = Legs(LegConfig())
    legs.add(0, at(0.0))
    for tick in range(200):
        legs.probes_to_send(at(tick))
    legs.receive_echo(0, 1, at(201))

    assert legs.round_trip() == 0.0
