"""Link handshakes over a wire that loses, doubles, delays, reorders and corrupts."""

from itertools import pairwise

import pytest

from psp.link.config import LinkConfig
from psp.link.events import CloseReason
from psp.testing.links import Host, LinkWire, Packet, circuit_cell
from psp.wire.network import Network
from psp.wire.packet import MAC2_OFFSET, PACKET_SIZE, PacketType

CLIENT = ("192.0.2.1", 40_000)
RELAY = ("198.51.100.1", 443)
OTHER = ("198.51.100.2", 443)


def pair(wire: LinkWire, kind: str) -> tuple[Host, Host]:
    relay = wire.relay(RELAY)
    return (wire.client(CLIENT) if kind == "client" else wire.relay(OTHER)), relay


def kinds(wire: LinkWire) -> list[int]:
    return [packet.data[0] for packet in wire.log]


@pytest.mark.parametrize("kind", ["client", "relay"])
@pytest.mark.parametrize("lost", range(7))
def test_a_link_comes_up_whichever_packet_is_lost(kind: str, lost: int) -> None:
    wire = LinkWire(f"{kind} {lost}")
    count = 0

    def lose_one(packet: Packet) -> list[tuple[float, Packet]]:
        nonlocal count
        count += 1
        return [] if count == lost + 1 else [(wire.latency, packet)]

    wire.tamper = lose_one
    initiator, relay = pair(wire, kind)

    link = wire.open(initiator, relay)
    wire.send(initiator, link, [circuit_cell(7)])
    is_up = wire.run_until(lambda: bool(relay.opened), within=2)

    assert is_up
    # Whatever was lost, the keys are confirmed and nobody tries for new ones.
    wire.run(5)
    assert initiator.machine.stats.opened == relay.machine.stats.opened == 1
    # Packet 5 is the cell itself, with nothing behind it that would show the gap.
    assert len(relay.all_cells) == 1 or lost == 5


@pytest.mark.parametrize("kind", ["client", "relay"])
@pytest.mark.parametrize("doubled", range(7))
def test_a_doubled_packet_changes_nothing(kind: str, doubled: int) -> None:
    wire = LinkWire(f"{kind} {doubled}")
    count = 0

    def double_one(packet: Packet) -> list[tuple[float, Packet]]:
        nonlocal count
        count += 1
        copies = [(wire.latency, packet)]
        if count == doubled + 1:
            copies += [(wire.latency, packet), (wire.latency + 0.03, packet)]
        return copies

    wire.tamper = double_one
    initiator, relay = pair(wire, kind)

    link = wire.open(initiator, relay)
    wire.send(initiator, link, [circuit_cell(7)])
    wire.run(3)

    assert relay.all_cells == [circuit_cell(7)]
    assert len(initiator.opened) == len(relay.opened) == 1
    assert initiator.closed == relay.closed == []


@pytest.mark.parametrize("delayed", range(6))
def test_a_delayed_packet_is_made_up_for(delayed: int) -> None:
    wire = LinkWire(delayed)
    count = 0

    def delay_one(packet: Packet) -> list[tuple[float, Packet]]:
        nonlocal count
        count += 1
        return [(0.9 if count == delayed + 1 else wire.latency, packet)]

    wire.tamper = delay_one
    client, relay = pair(wire, "client")

    link = wire.open(client, relay)
    wire.send(client, link, [circuit_cell(7)])
    wire.run(5)

    assert relay.all_cells == [circuit_cell(7)]
    assert len(client.opened) == len(relay.opened) == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_terrible_network_only_takes_longer(seed: int) -> None:
    wire = LinkWire(f"terrible {seed}")
    dice = wire.entropy.child("weather")

    def terrible(packet: Packet) -> list[tuple[float, Packet]]:
        copies = 0 if dice.uniform() < 0.3 else 2 if dice.uniform() < 0.3 else 1
        return [(0.3 * dice.uniform(), packet) for _ in range(copies)]

    wire.tamper = terrible
    initiator, relay = pair(wire, "client" if seed % 2 else "relay")

    wire.open(initiator, relay)

    assert wire.run_until(lambda: bool(initiator.opened and relay.opened), within=30)


def test_a_response_slower_than_the_first_retry_counts() -> None:
    wire = LinkWire(latency=0.4)
    client, relay = pair(wire, "client")

    wire.open(client, relay)

    assert wire.run_until(lambda: bool(client.opened), within=1.7)


@pytest.mark.parametrize("kind", ["client", "relay"])
@pytest.mark.parametrize("step", range(4))
def test_no_changed_byte_of_the_handshake_is_accepted(kind: str, step: int) -> None:
    # Steps: initiation, response, offer, answer. The original never arrives, so an
    # accepted forgery would be the next packet of the handshake.
    wire = LinkWire(f"{kind} {step}")
    initiator, relay = pair(wire, kind)
    caught: list[Packet] = []

    def catch(packet: Packet) -> list[tuple[float, Packet]]:
        if len(wire.log) == step + 1 and not caught:
            caught.append(packet)
            return []
        return [(wire.latency, packet)]

    wire.tamper = catch
    wire.open(initiator, relay)
    wire.run_until(lambda: bool(caught), within=0.2)
    [packet] = caught
    sent = len(wire.log)

    # The second mac counts only where a cookie is asked for.
    for position in range(0, MAC2_OFFSET, 1 if step < 2 else 7):
        data = bytearray(packet.data)
        data[position] ^= 1 << position % 8
        wire.inject(Packet(packet.source, packet.destination, bytes(data)))
    wire.run(0.0001)

    assert len(wire.log) == sent
    assert not initiator.opened
    # The handshake is none the worse for it.
    wire.inject(packet)
    assert wire.run_until(lambda: bool(relay.opened), within=2)


def test_initiations_back_off_and_end() -> None:
    wire = LinkWire()
    client, relay = pair(wire, "client")
    wire.tamper = lambda _: []
    times: list[float] = []
    start = wire.now

    link = wire.open(client, relay)
    while wire.run_until(lambda: len(wire.log) > len(times), within=10):
        times.append(wire.now - start)
    wire.run(10)

    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 0.25 <= gaps[0] <= 0.27
    assert all(gap <= 5.334 for gap in gaps)
    assert all(gap >= 5 for gap in gaps[6:])
    [closed] = client.closed
    assert (closed.link, closed.reason) == (link, CloseReason.UNREACHABLE)
    assert 85 < times[-1] < 90
    assert client.machine.next_timeout() is None


def test_every_endpoint_is_tried_in_turn() -> None:
    wire = LinkWire()
    client = wire.client(CLIENT)
    down, up = wire.relay(OTHER, name="node"), wire.relay(RELAY, name="node")
    wire.remove(down)

    link = wire.open(client, down, up.endpoint)

    assert wire.run_until(lambda: bool(client.opened), within=0.5)
    assert client.machine.endpoint_of(link) == RELAY


def test_a_reconnecting_client_repeats_nothing() -> None:
    wire = LinkWire()
    relay = wire.relay(RELAY, LinkConfig(handshake_burst=10_000))
    seen: set[bytes] = set()
    client = wire.client(CLIENT)

    for _ in range(300):
        link = wire.open(client, relay)
        noise = wire.log[-1].data[4:84] + wire.log[-1].data[1200:1216]
        for start in range(len(noise) - 8):
            assert noise[start : start + 8] not in seen
        seen.update(noise[start : start + 8] for start in range(len(noise) - 8))
        wire.close(client, link)


@pytest.mark.parametrize("field", [1, 2, 3])
def test_another_version_or_reserved_byte_meets_silence(field: int) -> None:
    wire = LinkWire()
    client, relay = pair(wire, "client")
    wire.tamper = lambda _: []
    wire.open(client, relay)
    [packet] = wire.log
    data = bytearray(packet.data)
    data[field] ^= 3

    wire.inject(Packet(CLIENT, RELAY, bytes(data)))
    wire.run(0.1)

    assert relay.machine.stats.sent_packets == 0
    assert relay.machine.stats.drop_malformed == 1


def test_a_machine_of_another_network_is_not_answered() -> None:
    wire = LinkWire()
    client = wire.client(CLIENT, network=Network(1, bytes(20)))
    relay = wire.relay(RELAY)

    wire.open(client, relay)
    wire.run(1)

    assert relay.machine.stats.sent_packets == 0
    assert relay.machine.stats.drop_noise > 0


def test_packets_of_every_step_have_the_one_size() -> None:
    wire = LinkWire()
    client, relay = pair(wire, "client")

    wire.open(client, relay)
    wire.run(30)

    assert {len(packet.data) for packet in wire.log} == {PACKET_SIZE}
    assert {PacketType.INITIATION_NK, PacketType.RESPONSE} < set(kinds(wire))
