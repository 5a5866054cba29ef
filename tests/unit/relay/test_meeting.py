"""Rendezvous between real circuits: races for a cookie, repeats, refusals."""

import pytest

from psp.circuit.events import RequestAnswered, RequestFailed
from psp.testing.weather import Weather
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.onion import BLOCK_SIZE
from psp.wire.relay_message import RelayCommand

COOKIE = b"c" * 20


def test_both_origins_are_told_joined(make_rig):
    rig = make_rig(3)
    _, host = rig.build(0, 2)
    _, guest = rig.build(1, 2)

    established = rig.ask(host, RelayCommand.ESTABLISH, COOKIE)
    joined = rig.ask(guest, RelayCommand.JOIN, COOKIE)
    rig.run(0.1)

    assert isinstance(established, RequestAnswered)
    assert isinstance(joined, RequestAnswered)
    assert host.notices == [RelayCommand.JOINED]
    assert guest.notices == []


def test_join_without_establish_is_refused(make_rig):
    rig = make_rig(2)
    _, guest = rig.build(0, 1)

    answer = rig.ask(guest, RelayCommand.JOIN, COOKIE)

    assert isinstance(answer, RequestFailed)
    assert answer.reason is Reason.REFUSED


@pytest.mark.parametrize("seed", range(24))
def test_two_joiners_race_for_one_cookie_and_one_wins(make_rig, seed):
    """Delays, losses and copies put the requests into ever new orders."""
    weather = Weather(
        latency=Seconds(0.01), jitter=Seconds(0.05), loss=0.05, duplication=0.1
    )
    rig = make_rig(4, weather=weather, seed=seed)
    alice, host = rig.build(0, 3)
    bob, first = rig.build(1, 3)
    eve, second = rig.build(2, 3)
    stream = host.origin.request(RelayCommand.ESTABLISH, COOKIE, rig.now)
    if seed % 2:
        rig.run_until(lambda: host.outcome(stream) is not None)

    races = [
        (circuit, circuit.origin.request(RelayCommand.JOIN, COOKIE, rig.now))
        for circuit in ((first, second) if seed % 4 < 2 else (second, first))
    ]
    rig.run_until(lambda: all(circuit.outcome(s) for circuit, s in races))

    winners = [c for c, s in races if isinstance(c.outcome(s), RequestAnswered)]
    assert len(winners) <= 1
    if seed % 2:
        assert len(winners) == 1
    block = bytes(BLOCK_SIZE)
    for client, circuit in ((alice, host), (bob, first), (eve, second)):
        client.send_blocks(circuit, [block] * 5, rig.now)
    rig.run(1.0)
    losers = [circuit for circuit in (first, second) if circuit not in winners]
    assert all(loser.blocks == [] for loser in losers)
    if winners:
        assert winners[0].blocks
        assert 1 <= len(host.blocks) <= 5
    rig.audit()


def test_late_joiner_of_a_used_cookie_is_refused_even_after_the_call(make_rig):
    rig = make_rig(4)
    _, host = rig.build(0, 3)
    _, guest = rig.build(1, 3)
    _, late = rig.build(2, 3)
    rig.join(host, guest, COOKIE)
    host.origin.destroy()
    rig.run(0.5)

    answer = rig.ask(late, RelayCommand.JOIN, COOKIE)

    assert isinstance(answer, RequestFailed)


def test_cookie_of_the_wrong_size_is_refused(make_rig):
    rig = make_rig(1)
    _, host = rig.build(0)

    answer = rig.ask(host, RelayCommand.ESTABLISH, b"short")

    assert isinstance(answer, RequestFailed)
    assert answer.reason is Reason.PROTOCOL
    rig.audit()


def test_hop_that_is_not_the_last_establishes_nothing(make_rig):
    rig = make_rig(2)
    _, circuit = rig.build(0, 1)

    stream = circuit.origin.request(RelayCommand.ESTABLISH, COOKIE, rig.now, hop=1)
    rig.run(0.5)

    answer = circuit.outcome(stream)
    assert isinstance(answer, RequestFailed)
    assert answer.reason is Reason.PROTOCOL


def test_blocks_before_the_other_side_joins_are_dropped_and_counted(make_rig):
    rig = make_rig(1)
    client, host = rig.build(0)
    rig.ask(host, RelayCommand.ESTABLISH, COOKIE)

    client.send_blocks(host, [bytes(BLOCK_SIZE)] * 3, rig.now)
    rig.run(0.2)

    assert rig.relays[0].machine.stats.blocks_unjoined == 3
    assert host.closed is None
