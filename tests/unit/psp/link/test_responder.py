"""A relay says nothing to strangers, little to anybody, and forgets half-open links."""

import pytest

from psp.link.config import LinkConfig
from psp.testing.entropy import SeededEntropy
from psp.testing.links import Host, LinkWire, Packet, circuit_cell
from psp.wire.packet import PACKET_SIZE

CLIENT = ("192.0.2.1", 40_000)
RELAY = ("198.51.100.1", 443)
OTHER = ("198.51.100.2", 443)


def first_packet(wire: LinkWire, initiator: Host, relay: Host) -> Packet:
    """Return an initiation that has not reached the relay, of a host now gone."""
    before, wire.tamper = wire.tamper, lambda _: []
    wire.open(initiator, relay)
    wire.tamper = before
    wire.remove(initiator)
    return wire.log[-1]


def sent_by(host: Host) -> int:
    return host.machine.stats.sent_packets


@pytest.mark.parametrize("kind", ["client", "relay"])
def test_a_replayed_first_message_makes_no_state_and_no_reply(kind: str) -> None:
    wire = LinkWire(kind)
    relay = wire.relay(RELAY)
    initiator = wire.client(CLIENT) if kind == "client" else wire.relay(OTHER)
    wire.open(initiator, relay)
    packet = wire.log[0]
    wire.run(1)
    wire.remove(initiator)
    wire.run(1)
    sent, links = sent_by(relay), relay.machine.links(wire.now)

    wire.inject(packet)
    wire.inject(Packet(("203.0.113.9", 5), RELAY, packet.data))
    wire.run(0.1)

    assert sent_by(relay) == sent
    assert len(relay.machine.links(wire.now)) == len(links)
    assert relay.machine.stats.drop_replayed_handshake == 2


def test_a_relays_old_first_message_is_refused_after_a_restart() -> None:
    wire = LinkWire()
    relay, other = wire.relay(RELAY), wire.relay(OTHER)
    wire.open(other, relay)
    packet = wire.log[0]
    wire.run(1)
    timestamps = relay.machine.export_timestamps()
    wire.remove(relay)
    wire.remove(other)

    restarted = wire.relay(RELAY, timestamps=timestamps)
    wire.inject(packet)
    wire.run(1)

    assert sent_by(restarted) == 0
    assert restarted.machine.stats.drop_replayed_handshake == 1


def test_a_relay_that_is_not_registered_meets_silence() -> None:
    wire = LinkWire()
    relay, stranger = wire.relay(RELAY), wire.relay(OTHER, is_registered=False)

    wire.open(stranger, relay)
    wire.run(1)

    assert sent_by(relay) == 0
    assert relay.machine.stats.drop_unknown_peer > 0


def test_a_client_answers_no_handshake() -> None:
    wire = LinkWire()
    client, relay, other = wire.client(CLIENT), wire.relay(RELAY), wire.relay(OTHER)
    packet = first_packet(wire, other, relay)

    wire.inject(Packet(OTHER, CLIENT, packet.data))
    wire.run(0.1)

    assert sent_by(client) == 0
    assert client.machine.stats.drop_not_a_node == 1


def test_a_handshake_for_another_port_is_not_answered() -> None:
    # Workers of one node share its key; the port in the prologue tells them apart.
    wire = LinkWire()
    first = wire.relay(RELAY, name="node")
    second = wire.relay((RELAY[0], 444), name="node")
    packet = first_packet(wire, wire.client(CLIENT), first)

    wire.inject(Packet(CLIENT, second.address, packet.data))
    wire.run(0.1)

    assert sent_by(second) == 0
    assert second.machine.stats.drop_noise == 1


def test_a_hundred_thousand_random_and_mutated_packets_get_no_reply() -> None:
    wire = LinkWire()
    client, relay = wire.client(CLIENT), wire.relay(RELAY)
    wire.open(client, relay)
    wire.run(1)
    [opened] = relay.opened
    wire.send(relay, opened.link, [circuit_cell(1)])
    wire.run(0.3)
    genuine = [packet.data for packet in wire.log]
    sent = sent_by(relay)
    dice = SeededEntropy("junk")
    source = ("203.0.113.9", 1)

    for count in range(2_000):
        train = bytearray()
        for _ in range(50):
            data = bytearray(genuine[dice.below(len(genuine))])
            if dice.below(2):
                # Random behind a plausible beginning.
                keep = dice.below(24)
                data[keep:] = dice.token(PACKET_SIZE - keep)
            else:
                data[dice.below(1216)] ^= 1 + dice.below(255)
            train += data
        relay.machine.receive(memoryview(train), PACKET_SIZE, source, wire.now)
        if count % 100 == 0:
            assert relay.machine.trains_to_send(wire.now) == []

    assert relay.machine.trains_to_send(wire.now) == []
    assert sent_by(relay) == sent
    assert relay.machine.endpoint_of(opened.link) == CLIENT


@pytest.mark.parametrize("size", [0, 1, 16, 1231, 1233, 1500])
def test_any_other_size_meets_silence(size: int) -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    packet = first_packet(wire, wire.client(CLIENT), relay).data
    data = bytearray((packet + packet)[:size])

    relay.machine.receive(memoryview(data), size or 1, CLIENT, wire.now)

    assert relay.machine.trains_to_send(wire.now) == []
    assert relay.machine.stats.drop_malformed == (1 if size else 0)


def test_the_last_packet_of_a_train_may_be_short() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    packet = first_packet(wire, wire.client(CLIENT), relay).data
    train = bytearray(packet + b"short")

    relay.machine.receive(memoryview(train), PACKET_SIZE, CLIENT, wire.now)

    assert relay.machine.stats.drop_malformed == 1
    assert relay.machine.stats.responses == 1


def test_half_open_handshakes_are_freed_in_time() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    packets = [
        first_packet(wire, wire.client((f"192.0.2.{n}", 1)), relay) for n in range(1, 9)
    ]
    for packet in packets:
        wire.inject(packet)
    wire.run(0.01)
    assert relay.machine.stats.responses == 8

    wire.run_until(lambda: relay.machine.next_timeout() is None, within=10)

    assert relay.machine.stats.drop_half_open == 8
    assert relay.machine.next_timeout() is None


def test_half_open_handshakes_are_bounded_and_the_oldest_goes() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, LinkConfig(max_half_open=4, load_handshakes=1e9))
    clients = [wire.client((f"192.0.2.{n}", 1)) for n in range(1, 6)]
    # Without answers to anybody; load is at 1/8 of the bound, so show cookies.
    for client in clients:
        wire.open(client, relay)
    wire.run(0.1)

    stats = relay.machine.stats
    assert stats.cookies_sent >= 4
    assert stats.responses >= 5


def test_under_load_a_cookie_comes_before_the_handshake() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, LinkConfig(load_handshakes=0.001))
    client = wire.client(CLIENT)

    wire.open(client, relay)
    is_up = wire.run_until(lambda: bool(relay.opened), within=0.2)

    assert is_up
    assert relay.machine.stats.cookies_sent == 1
    assert client.machine.stats.cookies_received == 1


def test_a_cookie_is_of_no_use_at_another_address() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, LinkConfig(load_handshakes=0.001))
    client = wire.client(CLIENT)
    caught: list[Packet] = []

    def catch_second(packet: Packet) -> list[tuple[float, Packet]]:
        if packet.destination == RELAY and any(packet.data[1216:]):
            caught.append(packet)
            return []
        return [(wire.latency, packet)]

    wire.tamper = catch_second
    wire.open(client, relay)
    wire.run_until(lambda: bool(caught), within=0.2)
    wire.inject(Packet(("203.0.113.9", 40_000), RELAY, caught[0].data))
    wire.run(0.1)

    assert relay.machine.stats.responses == 0


def test_a_cookie_lives_long_enough_and_not_longer() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, LinkConfig(load_handshakes=0.001))
    client = wire.client(CLIENT, LinkConfig(rekey_jitter=0.0))
    wire.open(client, relay)
    wire.run(1)

    # The link's rekey after 120 s must ask for a fresh one.
    wire.run(130)

    assert client.machine.stats.resumed == 1
    assert relay.machine.stats.cookies_sent == 2


def test_a_source_over_its_limit_must_show_a_cookie_first() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    for port in range(1, 20):
        packet = first_packet(wire, wire.client((CLIENT[0], port)), relay)
        wire.inject(packet)

    wire.run(0.001)

    assert relay.machine.stats.responses == 5
    assert relay.machine.stats.cookies_sent == 14


def test_a_source_that_shows_cookies_is_still_limited() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, LinkConfig(load_handshakes=0.001))
    for port in range(1, 40):
        wire.open(wire.client((CLIENT[0], port)), relay)

    wire.run(0.2)

    assert relay.machine.stats.responses <= 5 + 20 * 0.2 + 1
    assert relay.machine.stats.drop_rate > 0


def test_forged_sources_cannot_use_up_a_clients_allowance() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY)
    for port in range(1, 50):
        packet = first_packet(wire, wire.client((CLIENT[0], port)), relay)
        wire.inject(packet)
    wire.run(0.01)

    client = wire.client(CLIENT)
    wire.open(client, relay)

    assert wire.run_until(lambda: bool(client.opened), within=0.2)


def test_too_many_links_are_refused_in_silence() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, LinkConfig(max_links=1))
    first, second = wire.client(CLIENT), wire.client(("192.0.2.2", 1))
    wire.open(first, relay)
    wire.run(1)
    sent = sent_by(relay)

    wire.open(second, relay)
    wire.run(0.2)

    assert not second.opened
    assert sent_by(relay) == sent
    assert relay.machine.stats.drop_full > 0


def test_no_address_gets_more_than_it_sent_before_it_is_known() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, LinkConfig(load_handshakes=3))
    dice = SeededEntropy("ledger")

    def weather(packet: Packet) -> list[tuple[float, Packet]]:
        return [(0.2 * dice.uniform(), packet) for _ in range(dice.below(3))]

    wire.tamper = weather
    clients = [wire.client(("192.0.2.1", port)) for port in range(1, 21)]
    for client in clients:
        wire.open(client, relay)

    for _ in range(200):
        wire.run(0.05)
        for client in clients:
            if len(client.opened) == 0:
                given = sum(p.destination == client.address for p in wire.log)
                taken = wire.bytes_between[client.address, RELAY] // PACKET_SIZE
                assert given <= taken

    assert relay.opened
