"""The network of machines (psp/testing/machine_network.py)."""

import pytest

from psp.testing.machine_network import SimNetwork
from psp.testing.machines import Pinger
from psp.testing.weather import Weather
from psp.units import Monotonic, Seconds

ALICE, BOB = ("192.0.2.1", 1), ("192.0.2.2", 2)


def ping(weather, seed=0, until=60.0):
    """Return how many trains were sent, and the event, of Alice pinging Bob."""
    network = SimNetwork(weather, seed)
    alice = Pinger(BOB)
    network.add(ALICE, alice)
    network.add(BOB, Pinger())
    network.run(Monotonic(until))
    return alice.sent, alice.next_event()


def test_fair_weather_takes_one_round_trip():
    assert ping(Weather()) == (1, "pong at 0.100")


def test_bad_weather_is_the_same_twice():
    weather = Weather(jitter=Seconds(0.5), loss=0.6, duplication=0.2)

    assert ping(weather, seed=7) == ping(weather, seed=7)
    assert ping(weather, seed=7)[0] > 1


def test_trains_stay_together():
    network = SimNetwork()
    bob = Pinger()
    network.add(ALICE, Pinger(BOB, train=50))
    network.add(BOB, bob)

    network.run_for(Seconds(1.0))

    assert bob.trains == [50]
    assert network.now == 1.0


def test_killed_host_is_silent_until_revived():
    network = SimNetwork()
    alice = Pinger(BOB)
    network.add(ALICE, alice)
    network.add(BOB, Pinger())
    network.kill(BOB)

    network.run_for(Seconds(10.5))
    assert alice.sent == 11
    assert alice.next_event() is None

    network.revive(BOB)
    network.run_for(Seconds(2.0))
    assert alice.next_event() == "pong at 11.100"


def test_timers_of_a_killed_host_wait():
    network = SimNetwork()
    alice = Pinger(BOB)
    network.add(ALICE, alice)
    network.kill(ALICE)
    network.run_for(Seconds(5.0))

    assert alice.timeouts == []

    network.revive(ALICE)
    network.run_for(Seconds(0.5))
    assert alice.timeouts == [5.0]


def test_restarted_host_takes_its_old_place():
    network = SimNetwork()
    old, new = Pinger(), Pinger()
    network.add(ALICE, Pinger(BOB))
    network.add(BOB, old)
    network.add(BOB, new)
    network.run_for(Seconds(1.0))

    assert (old.received, new.received) == (0, 1)


def test_partition_keeps_hosts_apart():
    network = SimNetwork()
    alice = Pinger(BOB)
    network.add(ALICE, alice)
    network.add(BOB, Pinger())
    network.sky.part([ALICE[0]], [BOB[0]])

    network.run_for(Seconds(3.5))
    assert network.sky.stats.cut_off == 4

    network.sky.heal()
    network.run_for(Seconds(1.0))
    assert alice.next_event() == "pong at 4.100"


def test_datagrams_under_way_to_a_host_that_dies_are_lost():
    network = SimNetwork()
    bob = Pinger()
    network.add(ALICE, Pinger(BOB))
    network.add(BOB, bob)
    network.run_for(Seconds(0.01))
    network.kill(BOB)
    network.run_for(Seconds(0.5))

    assert bob.received == 0


def test_unknown_destinations_swallow_datagrams():
    network = SimNetwork()
    network.add(ALICE, Pinger(BOB))

    network.run_for(Seconds(0.5))

    assert network.sky.stats.cut_off == 1


def test_listener_gets_events_and_may_use_other_machines():
    network = SimNetwork()
    events = []
    carol = Pinger()

    def on_event(event):
        events.append(event)
        carol.receive(memoryview(b"ping"), 4, ALICE, network.now)

    alice = Pinger(BOB)
    network.add(("192.0.2.3", 3), carol)
    network.add(ALICE, alice, on_event)
    network.add(BOB, Pinger())
    network.run_for(Seconds(0.2))

    assert events == ["pong at 0.100"]
    assert alice.received == 2  # Bob's pong, and Carol's at once


def test_run_while_stops_when_it_should():
    network = SimNetwork()
    alice = Pinger(BOB)
    network.add(ALICE, alice)
    network.add(BOB, Pinger())

    assert network.run_while(lambda: alice.received == 0, Monotonic(9.0))
    assert network.now == pytest.approx(0.1)
    assert not network.run_while(lambda: alice.received == 1, Monotonic(9.0))
    assert network.now == 9.0


def test_machine_that_stands_still_is_told_from_progress():
    network = SimNetwork()
    stuck = Pinger(BOB, interval=Seconds(0.0))
    network.add(ALICE, stuck)

    with pytest.raises(RuntimeError, match="still 0"):
        network.run(Monotonic(1.0))
