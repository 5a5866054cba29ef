"""A peer may move; nobody else can move it."""

import pytest

from psp.link.roaming import CHALLENGES, Candidate
from psp.testing.links import Host, LinkWire, Packet, cell_number, circuit_cell
from psp.units import Monotonic
from psp.wire.packet import PACKET_SIZE

CLIENT = ("192.0.2.1", 40_000)
MOVED = ("192.0.2.77", 50_000)
ATTACKER = ("203.0.113.66", 1)
RELAY = ("198.51.100.1", 443)
OTHER = ("198.51.100.2", 443)
NOW = Monotonic(100.0)


def connected(wire: LinkWire) -> tuple[Host, Host]:
    relay, client = wire.relay(RELAY), wire.client(CLIENT)
    wire.open(client, relay)
    assert wire.run_until(lambda: bool(client.opened and relay.opened))
    wire.run(0.5)
    return client, relay


def test_the_relay_follows_a_client_within_a_round_trip() -> None:
    wire = LinkWire(latency=0.05)
    client, relay = connected(wire)
    there, back = client.opened[0].link, relay.opened[0].link
    client.address = MOVED

    wire.send(client, there, [circuit_cell(1)])
    wire.run(0.151)

    assert relay.machine.endpoint_of(back) == MOVED
    assert relay.machine.stats.roamed == 1
    wire.send(relay, back, [circuit_cell(n) for n in range(100)])
    wire.run(0.1)
    assert len(client.all_cells) == 100


def test_cells_reach_a_client_that_moved_before_it_is_validated() -> None:
    wire = LinkWire(latency=0.05)
    client, relay = connected(wire)
    there, back = client.opened[0].link, relay.opened[0].link
    client.address = MOVED

    wire.send(client, there, [circuit_cell(1)])
    wire.run(0.051)
    # Three packets for one, less the challenge.
    for number in range(5):
        wire.send(relay, back, [circuit_cell(number)])
    wire.run(0.051)

    assert [cell_number(cell) for cell in client.all_cells] == [0, 1]


def test_a_copy_from_another_address_does_not_move_the_link() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    wire.send(client, client.opened[0].link, [circuit_cell(1)])
    packet = wire.log[-1]
    wire.run(0.1)

    wire.inject(Packet(ATTACKER, RELAY, packet.data))
    wire.run(0.1)

    back = relay.opened[0].link
    assert relay.machine.endpoint_of(back) == CLIENT
    assert wire.bytes_between[RELAY, ATTACKER] == 0
    assert relay.machine.stats.drop_replayed == 1


def test_a_copy_that_overtakes_the_original_gets_three_packets_at_most() -> None:
    wire = LinkWire(latency=0.05)
    client, relay = connected(wire)
    there, back = client.opened[0].link, relay.opened[0].link

    # The attacker holds the client's packet back and plays it from its own address.
    wire.tamper = lambda p: (
        [(0.01, Packet(ATTACKER, RELAY, p.data))]
        if p.source == CLIENT
        else [(wire.latency, p)]
    )
    wire.send(client, there, [circuit_cell(1)])
    wire.run(0.012)
    wire.send(relay, back, [circuit_cell(n) for n in range(40)])
    for _ in range(40):
        wire.send(relay, back, [circuit_cell(0)])
    wire.run(0.2)

    given = wire.bytes_between[RELAY, ATTACKER]
    assert 0 < given <= 3 * wire.bytes_between[ATTACKER, RELAY]
    assert relay.machine.endpoint_of(back) == CLIENT
    assert len(client.all_cells) >= 80 - given // PACKET_SIZE


def test_the_next_genuine_packet_ends_the_mischief() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    there, back = client.opened[0].link, relay.opened[0].link
    wire.tamper = lambda p: [(0.01, Packet(ATTACKER, RELAY, p.data))]
    wire.send(client, there, [circuit_cell(1)])
    wire.run(0.05)
    wire.tamper = None
    wire.send(client, there, [circuit_cell(2)])
    wire.run(0.05)
    before = wire.bytes_between[RELAY, ATTACKER]

    wire.send(relay, back, [circuit_cell(3)])
    wire.run(3)

    assert wire.bytes_between[RELAY, ATTACKER] == before
    assert relay.machine.endpoint_of(back) == CLIENT
    assert [cell_number(cell) for cell in client.all_cells] == [3]


def test_an_initiator_stays_with_the_registered_endpoint() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    there, back = client.opened[0].link, relay.opened[0].link
    relay.address = OTHER

    wire.send(relay, back, [circuit_cell(1)])
    wire.run(0.1)

    assert [cell_number(cell) for cell in client.all_cells] == [1]
    assert client.machine.endpoint_of(there) == RELAY


def test_a_challenge_that_is_lost_is_sent_again() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    there, back = client.opened[0].link, relay.opened[0].link
    client.address = MOVED
    lost = 0

    def lose_two(packet: Packet) -> list[tuple[float, Packet]]:
        nonlocal lost
        if packet.destination == MOVED and lost < 2:
            lost += 1
            return []
        return [(wire.latency, packet)]

    wire.tamper = lose_two
    wire.send(client, there, [circuit_cell(1)])

    moved = wire.run_until(lambda: relay.machine.endpoint_of(back) == MOVED, within=1)
    assert moved


@pytest.mark.parametrize("packets", [1, 7])
def test_the_budget_is_three_times_what_came(packets: int) -> None:
    candidate = Candidate(MOVED, b"12345678", NOW)
    candidate.earn(packets)

    assert candidate.spend(3 * packets)
    assert not candidate.spend(1)


def test_challenges_end() -> None:
    candidate = Candidate(MOVED, b"12345678", NOW)
    candidate.earn(CHALLENGES)

    for _ in range(CHALLENGES):
        assert not candidate.is_spent
        assert candidate.challenge(candidate.due)

    assert candidate.is_spent
