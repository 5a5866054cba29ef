"""What time asks of links, seen from outside."""

from itertools import pairwise

from psp.link.config import LinkConfig
from psp.testing.links import LinkWire, circuit_cell

CLIENT = ("192.0.2.1", 40_000)
RELAY = ("198.51.100.1", 443)


def test_early_wakes_do_nothing_and_late_ones_do_it_once() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    wire.open(client, relay)
    wire.run(1)
    due = client.machine.next_timeout()
    assert due is not None

    client.machine.handle_timeout(wire.now)
    assert client.machine.trains_to_send(wire.now) == []
    wire.now = type(wire.now)(due + 1)
    client.machine.handle_timeout(wire.now)
    first = client.machine.trains_to_send(wire.now)
    client.machine.handle_timeout(wire.now)

    assert len(first) == 1
    assert client.machine.trains_to_send(wire.now) == []


def test_links_that_were_opened_together_renew_their_keys_apart() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    clients = [wire.client((f"192.0.2.{number}", 40_000)) for number in range(1, 41)]
    for client in clients:
        wire.open(client, relay)
    config = LinkConfig()
    wire.run(config.rekey_after - config.rekey_jitter - 1)
    counts = [relay.machine.stats.resumed]
    for _ in range(17):
        wire.run(1)
        counts.append(relay.machine.stats.resumed)

    assert counts[0] == 0
    assert counts[-1] == len(clients)
    assert max(after - before for before, after in pairwise(counts)) <= 8


def test_sealed_packets_are_not_kept_longer_than_they_can_be_asked_for() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)
    wire.run(3)
    wire.send(client, link, [circuit_cell(n) for n in range(100)])

    due = client.machine.next_timeout()

    assert due is not None
    assert due <= wire.now + 0.25


def test_a_busy_link_is_not_probed_while_the_peer_answers() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)
    wire.run(1)
    [opened] = relay.opened
    sent = client.machine.stats.sent_packets

    for number in range(200):
        wire.send(client, link, [circuit_cell(number)])
        wire.send(relay, opened.link, [circuit_cell(number)])
        wire.run(0.1)

    assert client.machine.stats.sent_packets == sent + 200


def test_a_one_way_stream_is_probed_once_a_second() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    link = wire.open(client, relay)
    wire.run(1)
    received = client.machine.stats.received_packets

    for number in range(1_000):
        wire.send(client, link, [circuit_cell(number)])
        wire.run(0.01)

    assert 5 <= client.machine.stats.received_packets - received <= 20
    [info] = client.machine.links(wire.now)
    assert not info.is_silent
