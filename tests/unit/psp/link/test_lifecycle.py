"""Links outlive their keys, their endpoints and short outages; then they end."""

from itertools import pairwise

import pytest

from psp.link.config import HARD_KEY_AGE, LinkConfig
from psp.link.events import CloseReason
from psp.link.lifecycle import MAX_LINKS_FROM_PEER
from psp.testing.links import Host, LinkWire, Packet, cell_number, circuit_cell
from psp.wire.packet import PacketType

CLIENT = ("192.0.2.1", 40_000)
RELAY = ("198.51.100.1", 443)
OTHER = ("198.51.100.2", 443)
THIRD = ("198.51.100.3", 443)
WORKER = ("198.51.100.2", 444)


def connected(
    wire: LinkWire, kind: str = "client", config: LinkConfig | None = None
) -> tuple[Host, Host]:
    relay = wire.relay(RELAY, config)
    make = wire.client if kind == "client" else wire.relay
    initiator = make(CLIENT if kind == "client" else OTHER, config)
    wire.open(initiator, relay)
    assert wire.run_until(lambda: bool(initiator.opened and relay.opened))
    return initiator, relay


def numbers(host: Host) -> list[int]:
    return [cell_number(cell) for cell in host.all_cells]


def initiations(wire: LinkWire) -> int:
    kinds = {PacketType.INITIATION_IK, PacketType.INITIATION_NK}
    return sum(packet.data[0] in kinds for packet in wire.log)


@pytest.mark.parametrize(("kind", "hours"), [("client", 24), ("relay", 4)])
def test_a_day_of_traffic_loses_nothing_at_hundreds_of_rekeys(
    kind: str, hours: int
) -> None:
    wire = LinkWire(kind)
    initiator, relay = connected(wire, kind)
    there, back = initiator.opened[0].link, relay.opened[0].link

    sent = 0
    while sent < hours * 120:
        sent += 1
        wire.send(initiator, there, [circuit_cell(sent)])
        wire.send(relay, back, [circuit_cell(sent)])
        wire.run(30)

    assert numbers(relay) == numbers(initiator) == list(range(1, sent + 1))
    assert 30 * hours <= initiator.machine.stats.resumed <= 34 * hours
    assert initiator.machine.stats.resumed == relay.machine.stats.resumed
    assert initiator.closed == relay.closed == []
    assert relay.machine.stats.initiations == 0


def test_cells_sent_all_through_a_rekey_arrive_once() -> None:
    wire = LinkWire()
    client, relay = connected(wire, config=LinkConfig(rekey_jitter=0.0))
    there, back = client.opened[0].link, relay.opened[0].link
    wire.run(118)

    for number in range(1_000):
        wire.send(client, there, [circuit_cell(number)])
        wire.send(relay, back, [circuit_cell(number)])
        wire.run(0.004)
    wire.run(1)

    assert client.machine.stats.resumed == 1
    assert numbers(relay) == numbers(client) == list(range(1_000))


@pytest.mark.parametrize("lost", range(1, 8))
def test_a_rekey_that_loses_a_packet_loses_no_cell(lost: int) -> None:
    wire = LinkWire(lost)
    client, relay = connected(wire, config=LinkConfig(rekey_jitter=0.0))
    there, back = client.opened[0].link, relay.opened[0].link
    wire.run(115)
    count = 0

    def lose_one(packet: Packet) -> list[tuple[float, Packet]]:
        # Small traffic aside, the rekey is what happens now.
        nonlocal count
        is_handshake = packet.data[0] != PacketType.DATA
        if is_handshake or count:
            count += 1
        return [] if count == lost else [(wire.latency, packet)]

    wire.tamper = lose_one
    wire.run(20)
    wire.tamper = None
    wire.send(client, there, [circuit_cell(1)])
    wire.send(relay, back, [circuit_cell(2)])
    wire.run(1)

    assert client.machine.stats.resumed >= 1
    assert numbers(relay) == [1]
    assert numbers(client) == [2]
    assert client.closed == relay.closed == []


@pytest.mark.parametrize("sender", ["initiator", "responder"])
def test_keys_are_renewed_after_enough_packets_either_way(sender: str) -> None:
    wire = LinkWire()
    client, relay = connected(wire, config=LinkConfig(rekey_packets=100))
    host = client if sender == "initiator" else relay

    for number in range(200):
        wire.send(host, host.opened[0].link, [circuit_cell(number)])
        wire.run(0.05)

    assert client.machine.stats.resumed >= 1
    assert relay.machine.stats.initiations == 0


def test_keys_are_not_used_beyond_their_age() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    link = client.opened[0].link
    wire.tamper = lambda p: [(0.02, p)] if p.data[0] == PacketType.DATA else []

    wire.run(HARD_KEY_AGE - 1)
    assert client.machine.is_up(link)
    wire.run(2)

    assert not client.machine.is_up(link)
    assert not relay.machine.is_up(relay.opened[0].link)


def test_a_link_without_keys_comes_back_with_its_circuits() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    link = client.opened[0].link
    wire.tamper = lambda p: [(0.02, p)] if p.data[0] == PacketType.DATA else []
    wire.run(HARD_KEY_AGE + 5)
    wire.send(client, link, [circuit_cell(5)])

    wire.tamper = None
    wire.run(10)

    assert client.machine.is_up(link)
    assert numbers(relay) == [5]
    assert client.closed == relay.closed == []


@pytest.mark.parametrize("outage", [2.0, 30.0, 60.0])
@pytest.mark.parametrize("kind", ["client", "relay"])
def test_a_link_survives_an_outage(kind: str, outage: float) -> None:
    wire = LinkWire(f"{kind} {outage}")
    initiator, relay = connected(wire, kind)
    there, back = initiator.opened[0].link, relay.opened[0].link
    wire.run(50)

    wire.tamper = lambda _: []
    wire.send(initiator, there, [circuit_cell(0)])
    wire.run(outage)
    wire.tamper = None
    wire.run(2)
    wire.send(initiator, there, [circuit_cell(1)])
    wire.send(relay, back, [circuit_cell(2)])
    wire.run(1)

    assert numbers(relay) == [1]
    assert numbers(initiator) == [2]
    assert initiator.closed == relay.closed == []


def test_keys_that_only_the_initiator_got_do_not_cost_the_circuits() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    there = client.opened[0].link
    resumed = client.machine.stats.resumed
    assert wire.run_until(lambda: client.machine.stats.resumed > resumed, within=125)

    # Nothing arrives from now on, until the relay has forgotten the new keys.
    wire.tamper = lambda _: []
    wire.forget_flying()
    wire.run(20)
    assert relay.machine.stats.drop_half_open == 1
    wire.tamper = None
    wire.run(6)
    wire.send(client, there, [circuit_cell(1)])
    wire.run(1)

    assert numbers(relay) == [1]
    assert client.closed == relay.closed == []


def test_a_silent_endpoint_is_left_for_another_and_circuits_live_on() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    client = wire.client(CLIENT)
    other_port = (OTHER[0], RELAY[1])

    # The relay has two addresses; the wire maps the second to the first.
    def second_address(packet: Packet) -> list[tuple[float, Packet]]:
        if packet.destination == RELAY and is_down:
            return []
        if packet.destination == other_port:
            packet = Packet(packet.source, RELAY, packet.data)
        return [(wire.latency, packet)]

    is_down = False
    wire.tamper = second_address
    second = Host(other_port, relay.machine, relay.node_id).endpoint
    link = wire.open(client, relay, second)
    wire.run(1)
    is_down = True
    wire.send(client, link, [circuit_cell(0)])
    wire.run(6)
    wire.send(client, link, [circuit_cell(1)])
    wire.run(1)

    assert client.machine.endpoint_of(link) == other_port
    assert numbers(relay) == [1]
    assert client.machine.stats.resumed == relay.machine.stats.resumed == 1
    assert client.closed == relay.closed == []


def test_a_responder_that_forgot_the_link_says_so() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    link = client.opened[0].link
    wire.remove(relay)

    restarted = wire.relay(RELAY)
    wire.send(client, link, [circuit_cell(0)])
    wire.run(6)

    [closed] = client.closed
    assert (closed.link, closed.reason) == (link, CloseReason.RESTARTED)
    assert len(client.opened) == 2
    assert client.opened[1].link != link
    wire.send(client, client.opened[1].link, [circuit_cell(1)])
    wire.run(1)
    assert numbers(restarted) == [1]


def test_a_relay_that_restarted_replaces_its_link() -> None:
    wire = LinkWire()
    relay, other = wire.relay(RELAY), wire.relay(OTHER)
    wire.open(other, relay)
    wire.run(1)
    wire.remove(other)
    wire.run(1)

    restarted = wire.relay(OTHER)
    wire.open(restarted, relay)
    wire.run(1)

    [closed] = relay.closed
    assert (closed.link, closed.reason) == (relay.opened[0].link, CloseReason.REPLACED)
    assert restarted.node_id is not None
    assert relay.machine.link_to(restarted.node_id) == relay.opened[1].link


def test_workers_of_one_relay_keep_a_link_each() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    first, second = (
        wire.relay(address, name="one relay") for address in (OTHER, WORKER)
    )
    for worker in (first, second):
        wire.open(worker, relay)
        wire.run(1)
    assert first.node_id is not None

    assert first.node_id == second.node_id
    assert relay.closed == []
    for worker, link in zip((first, second), relay.opened, strict=True):
        port = worker.address[1]
        assert relay.machine.link_to(first.node_id, port) == link.link


def test_a_link_to_one_worker_is_not_taken_for_another() -> None:
    wire = LinkWire()
    relay, first, second = (
        wire.relay(RELAY),
        wire.relay(OTHER, name="one relay"),
        wire.relay(WORKER, name="one relay"),
    )
    assert first.node_id is not None

    to_first, to_second, again = (
        relay.machine.open(
            first.node_id, [worker.endpoint], wire.now, port=worker.address[1]
        )
        for worker in (first, second, first)
    )
    for link, number in ((to_first, 1), (to_second, 2)):
        wire.send(relay, link, [circuit_cell(number)])
    wire.run(1)

    assert to_first == again != to_second
    assert (numbers(first), numbers(second)) == ([1], [2])


def test_a_relay_has_a_link_for_each_worker_it_may_have_and_no_more() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    for number in range(MAX_LINKS_FROM_PEER + 1):
        worker = wire.relay((OTHER[0], 1000 + number), name="one relay")
        wire.open(worker, relay)
        wire.run(1)

    [closed] = relay.closed
    assert (closed.link, closed.reason) == (relay.opened[0].link, CloseReason.REPLACED)


def test_a_relay_calls_back_one_that_died_on_its_own_link() -> None:
    wire = LinkWire()
    relay, other = wire.relay(RELAY), wire.relay(OTHER)
    wire.open(other, relay)
    wire.run(1)
    [opened] = relay.opened
    assert wire.open(relay, other) == opened.link
    wire.remove(other)

    restarted = wire.relay(OTHER)
    wire.send(relay, opened.link, [circuit_cell(0)])
    wire.run(5)
    link = wire.open(relay, restarted)
    assert wire.open(relay, restarted) == link != opened.link
    wire.send(relay, link, [circuit_cell(1)])
    wire.run(1)

    assert numbers(restarted) == [1]


def test_relays_that_call_each_other_at_once_keep_both_links() -> None:
    wire = LinkWire()
    first, second = wire.relay(RELAY), wire.relay(OTHER)

    wire.open(first, second)
    wire.open(second, first)
    wire.run(30)

    assert len(first.opened) == len(second.opened) == 2
    assert first.closed == second.closed == []


def test_a_dead_peer_is_noticed_on_both_sides() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    wire.tamper = lambda _: []

    wire.run(115)

    assert [event.reason for event in client.closed] == [CloseReason.UNREACHABLE]
    assert [event.reason for event in relay.closed] == [CloseReason.SILENT]
    assert client.machine.next_timeout() is relay.machine.next_timeout() is None


def test_silence_shows_in_the_status() -> None:
    wire = LinkWire()
    client, _ = connected(wire)
    link = client.opened[0].link
    wire.tamper = lambda _: []

    wire.send(client, link, [circuit_cell(0)])
    wire.run(2.9)
    [before] = client.machine.links(wire.now)
    wire.run(0.2)
    [after] = client.machine.links(wire.now)

    assert (before.is_silent, after.is_silent) == (False, True)


def test_new_endpoints_are_learnt_by_opening_again() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, name="node")
    client = wire.client(CLIENT)
    link = wire.open(client, relay)
    wire.run(1)

    moved = wire.relay(OTHER, name="node")
    wire.remove(relay)
    assert wire.open(client, moved) == link
    wire.send(client, link, [circuit_cell(0)])
    wire.run(6)

    assert moved.opened
    assert client.closed[0].reason is CloseReason.RESTARTED


def test_an_idle_relay_link_costs_a_packet_every_ten_seconds() -> None:
    wire = LinkWire()
    connected(wire, "relay")
    wire.run(1)
    wire.log.clear()

    wire.run(100)

    assert 18 <= len(wire.log) <= 22


def test_an_idle_client_link_is_padded_at_random_both_ways() -> None:
    wire = LinkWire()
    client, _ = connected(wire)
    times: dict[object, list[float]] = {CLIENT: [], RELAY: []}

    def note(packet: Packet) -> list[tuple[float, Packet]]:
        if packet.data[0] == PacketType.DATA:
            times[packet.source].append(wire.now)
        return [(wire.latency, packet)]

    wire.run(1)
    wire.tamper = note
    wire.run(110)

    assert initiations(wire) == 1
    for sent in times.values():
        gaps = [later - sooner for sooner, later in pairwise(sent)]
        assert all(1.5 <= gap <= 9.6 for gap in gaps)
        # The mean of the greater of two draws is two thirds of the span.
        assert 5 < sum(gaps) / len(gaps) < 9
        assert len(set(gaps)) == len(gaps)
    assert client.machine.stats.padding_received > 0


def test_a_wake_looks_only_at_links_with_something_due() -> None:
    wire = LinkWire()
    config = LinkConfig(
        handshakes_per_second=1e6, handshake_burst=10_000, load_handshakes=1e6
    )
    relay = wire.relay(RELAY, config)
    for port in range(1, 201):
        wire.open(wire.client((CLIENT[0], port)), relay)
    wire.run(2)
    assert len(relay.opened) == 200
    link = relay.opened[0].link

    # With nothing due, a wake looks at no link: the deadline stays where it was.
    before = relay.machine.next_timeout()
    relay.machine.handle_timeout(wire.now)
    relay.machine.send(link, [circuit_cell(1)], wire.now)
    trains = relay.machine.trains_to_send(wire.now)

    assert len(trains) == 1
    after = relay.machine.next_timeout()
    assert before is not None
    assert after is not None
    assert after <= before + 0.25
