"""How circuits end: by either side, with their links, idle, or as hogs."""

import pytest

from psp.circuit.events import Pong, Truncated
from psp.testing.weather import Weather
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.onion import BLOCK_SIZE
from psp.wire.relay_message import RelayCommand
from relay.config import RelayConfig
from relay.events import CircuitClosed, LinkDown
from relay.policy import CELL_COST

BLOCK = bytes(BLOCK_SIZE)


def closed_reasons(rig):
    return [dict(relay.machine.stats.circuits_closed) for relay in rig.relays]


def test_destroy_travels_from_the_origin_to_the_last_hop(make_rig):
    rig = make_rig(3)
    _, circuit = rig.build(0, 1, 2)

    circuit.origin.destroy()
    rig.run(0.5)

    assert all(sum(reasons.values()) == 1 for reasons in closed_reasons(rig))
    for relay in rig.relays:
        (event,) = relay.told(CircuitClosed)
        assert event.age > 0.0
        assert relay.machine.status()["circuits"] == 0
    rig.audit()


def test_end_of_the_next_hop_truncates_the_circuit(make_rig):
    rig = make_rig(3)
    _, circuit = rig.build(0, 1, 2)

    rig.relays[2].machine.close(Reason.SHUTTING_DOWN, rig.now)
    rig.run(0.5)

    told = [event for event in circuit.events if isinstance(event, Truncated)]
    assert [(event.hop, event.reason) for event in told] == [(2, Reason.SHUTTING_DOWN)]
    assert circuit.origin.hops == 2
    circuit.origin.extend(rig.relays[2].spec, rig.now)
    rig.audit()


def test_truncate_ends_the_rest_and_the_circuit_can_be_extended_anew(make_rig):
    rig = make_rig(4)
    _, circuit = rig.build(0, 1, 2)

    circuit.origin.truncate(2, rig.now)
    rig.run(0.5)
    assert closed_reasons(rig)[2] == {Reason.REQUESTED: 1}
    circuit.origin.extend(rig.relays[3].spec, rig.now)
    rig.run(1.0)

    assert circuit.origin.is_open
    assert circuit.origin.hops == 3
    circuit.origin.ping(3, rig.now)
    rig.run(0.5)
    assert any(isinstance(event, Pong) for event in circuit.events)
    rig.audit()


def test_loss_of_the_client_link_ends_its_circuits_everywhere(make_rig):
    rig = make_rig(3)
    client, first = rig.build(0, 1, 2)
    rig.build(0, 1, 2, client=client)
    _, bystander = rig.build(0, 1, 2)

    client.links.close(first.link, rig.now)
    rig.run(0.5)

    assert closed_reasons(rig) == [{Reason.LINK_CLOSED: 2}] * 3
    assert bystander.closed is None
    (down,) = rig.relays[0].told(LinkDown)
    assert (down.peer, down.circuits) == (None, 2)
    rig.audit()


def test_silent_client_is_given_up_and_its_circuits_with_it(make_rig):
    rig = make_rig(2)
    rig.build(0, 1)

    rig.net.kill(("10.99.0.1", 40_000))
    rig.run(130.0)

    assert closed_reasons(rig) == [{Reason.LINK_CLOSED: 1}] * 2
    rig.audit()


def test_loss_of_a_relay_truncates_what_went_through_it(make_rig):
    rig = make_rig(3)
    _, circuit = rig.build(0, 1, 2)

    rig.net.kill(rig.relays[1].record.endpoints[0].address)
    link = rig.relays[0].machine.links.link_to(rig.relays[1].record.node_id)
    rig.relays[0].machine.links.close(link, rig.now)
    rig.run(0.5)

    told = [event for event in circuit.events if isinstance(event, Truncated)]
    assert [(event.hop, event.reason) for event in told] == [(1, Reason.LINK_CLOSED)]
    rig.run(130.0)
    assert closed_reasons(rig)[2] == {Reason.LINK_CLOSED: 1}
    rig.audit()


@pytest.mark.parametrize("leaver", ["host", "guest"])
def test_end_of_a_joined_circuit_ends_its_partner(make_rig, leaver):
    rig = make_rig(3)
    _, host = rig.build(0, 2)
    _, guest = rig.build(1, 2)
    rig.join(host, guest, b"c" * 20)
    gone, left = (host, guest) if leaver == "host" else (guest, host)

    gone.origin.destroy()
    rig.run(0.5)

    assert left.origin.hops == 1
    assert isinstance(left.events[-1], Truncated)
    meeting = rig.relays[2].machine
    assert meeting.stats.circuits_closed.total() == 2
    assert all(event.was_joined for event in rig.relays[2].told(CircuitClosed))
    assert meeting.status()["cookies"] == 1
    rig.run(31.0)
    assert meeting.status()["cookies"] == 0
    rig.audit()


def test_circuit_without_cells_is_closed_after_a_while(make_rig):
    config = RelayConfig(neighbours=0, idle_circuit=Seconds(60.0))
    rig = make_rig(2, config=config)
    _, idle = rig.build(0, 1)
    _, busy = rig.build(0, 1)

    for _ in range(14):
        busy.origin.ping(2, rig.now)
        rig.run(10.0)

    assert idle.closed is not None
    assert busy.closed is None
    assert Reason.TIMEOUT in rig.relays[0].machine.stats.circuits_closed
    rig.audit()


def test_stopping_tells_everybody(make_rig):
    rig = make_rig(2)
    _, circuit = rig.build(0, 1)

    rig.relays[0].machine.close(Reason.SHUTTING_DOWN, rig.now)
    rig.relays[0].machine.close(Reason.SHUTTING_DOWN, rig.now)
    rig.run(0.5)

    assert circuit.closed is not None
    assert closed_reasons(rig)[1] == {Reason.SHUTTING_DOWN: 1}
    assert rig.relays[0].machine.audit()


def hog_config():
    return RelayConfig(
        neighbours=0, max_mem_bytes=1 << 20, bandwidth_bytes_per_s=125_000
    )


def test_hogs_are_killed_above_ninety_percent_until_below_eighty(make_rig):
    rig = make_rig(1, config=hog_config())
    relay = rig.relays[0].machine
    pairs = []
    for number in range(6):
        alice, host = rig.build(0)
        _, guest = rig.build(0)
        rig.join(host, guest, bytes([number]) * 20)
        pairs.append((alice, host))
    for _ in range(64):
        rig.build(0)
    rig.run(1.0)

    for alice, host in pairs:
        alice.send_blocks(host, [BLOCK] * 128, rig.now)
    full = rig.run_until(lambda: relay.stats.hogs_killed, 1.0)
    rig.run(0.1)

    assert full
    assert relay.memory_used() < 0.8 * (1 << 20)
    assert relay.stats.circuits_closed[Reason.RESOURCE_LIMIT] >= 2
    assert relay.stats.hogs_killed <= 6
    assert CELL_COST > 1200
    rig.audit()


def test_without_queues_the_fullest_link_pays(make_rig):
    config = RelayConfig(
        neighbours=0, max_mem_bytes=1 << 20, client_circuits=200, create_burst=300
    )
    rig = make_rig(1, config=config)
    relay = rig.relays[0].machine
    modest, kept = rig.build(0)
    greedy = rig.client()
    for _ in range(95):
        rig.build(0, client=greedy)

    # Requests that wait for services are memory, too.
    for circuit in greedy.circuits[:60]:
        if circuit.origin.is_open:
            circuit.origin.request(RelayCommand.LOOKUP, bytes(21), rig.now)
            circuit.origin.request(RelayCommand.LOOKUP, bytes(21), rig.now)
    rig.run(1.0)

    assert relay.stats.hogs_killed > 0
    assert kept.closed is None
    assert modest.circuits == [kept]
    assert relay.memory_used() <= 0.9 * (1 << 20)
    rig.audit()


@pytest.mark.parametrize("seed", range(3))
def test_everything_agrees_after_a_storm_at_one_percent_of_normal_memory(
    make_rig, seed
):
    weather = Weather(
        latency=Seconds(0.02), jitter=Seconds(0.02), loss=0.05, duplication=0.05
    )
    config = RelayConfig(
        neighbours=0,
        max_mem_bytes=256 * 8192,
        bandwidth_bytes_per_s=250_000,
        idle_circuit=Seconds(20.0),
    )
    rig = make_rig(3, config=config, weather=weather, seed=seed)
    clients = [rig.client() for _ in range(4)]
    for step in range(60):
        client = clients[step % 4]
        path = rig.path(step % 3, (step + 1) % 3)
        circuit = client.open(path, rig.now)
        rig.run(0.2)
        for other in client.circuits:
            if other.origin.is_open:
                client.send_blocks(other, [BLOCK] * 9, rig.now)
        if step % 5 == 4:
            circuit.origin.destroy()
        if step % 19 == 18:
            client.links.close(circuit.link, rig.now)
        rig.audit()
    rig.net.run(Monotonic(rig.now + 40.0))

    rig.audit()
    for relay in rig.relays:
        assert relay.machine.memory_used() <= 0.9 * config.max_mem_bytes
