"""Many links through all weathers, told by a seed: what must hold always."""

import pytest

from psp.link.config import LinkConfig
from psp.testing.links import Host, LinkWire, Packet, Tamper, cell_number, circuit_cell

RELAYS = [(f"198.51.100.{n}", 443) for n in range(1, 4)]
CLIENTS = [(f"192.0.2.{n}", 40_000) for n in range(1, 5)]


def storm(wire: LinkWire) -> Tamper:
    """Lose, double, delay, reorder and corrupt, each now and then."""
    dice = wire.entropy.child("storm")

    def tamper(packet: Packet) -> list[tuple[float, Packet]]:
        fate = dice.uniform()
        delay = wire.latency * (1 + 2 * dice.uniform())
        if fate < 0.05:
            return []
        if fate < 0.10:
            return [(delay, packet), (2 * delay, packet)]
        if fate < 0.12:
            data = bytearray(packet.data)
            data[dice.below(len(data))] ^= 1 + dice.below(255)
            return [(delay, Packet(packet.source, packet.destination, bytes(data)))]
        return [(delay, packet)]

    return tamper


@pytest.mark.parametrize("seed", range(6))
def test_links_survive_all_weathers(seed: int) -> None:
    wire = LinkWire(f"weather {seed}")
    dice = wire.entropy.child("traffic")
    config = LinkConfig(handshake_burst=50, rekey_after=20.0)
    relays = [wire.relay(address, config) for address in RELAYS]
    clients = [wire.client(address, config) for address in CLIENTS]
    pairs: list[tuple[Host, Host]] = [
        (host, relay) for host in clients for relay in relays
    ] + [(relays[0], relays[1]), (relays[1], relays[2]), (relays[2], relays[0])]
    wire.tamper = storm(wire)
    for host, relay in pairs:
        wire.open(host, relay)

    sent = 0
    for _ in range(400):
        host, relay = pairs[dice.below(len(pairs))]
        sent += 1
        wire.send(host, wire.open(host, relay), [circuit_cell(sent)])
        if dice.below(50) == 0:
            moved = clients[dice.below(len(clients))]
            moved.address = (moved.address[0], moved.address[1] + 1)
        wire.run(0.2 * dice.uniform())
    wire.tamper = None
    wire.run(5)

    # No cell twice, none changed, few lost; and every link works again.
    received = [cell_number(cell) for relay in relays for cell in relay.all_cells]
    assert len(received) == len(set(received))
    assert set(received) <= set(range(1, sent + 1))
    # Nothing follows a lone cell soon enough to show that it was lost.
    assert len(received) > 0.88 * sent
    for host in relays + clients:
        assert not [event.reason for event in host.closed]
    for number, (host, relay) in enumerate(pairs):
        wire.send(host, wire.open(host, relay), [circuit_cell(10_000 + number)])
    wire.run(1)
    received = [cell_number(cell) for relay in relays for cell in relay.all_cells]
    assert {10_000 + number for number in range(len(pairs))} <= set(received)


def test_the_same_seed_tells_the_same_story() -> None:
    stories = []
    for _ in range(2):
        wire = LinkWire("story")
        wire.tamper = storm(wire)
        relay, client = wire.relay(RELAYS[0]), wire.client(CLIENTS[0])
        link = wire.open(client, relay)
        for number in range(100):
            wire.send(client, link, [circuit_cell(number)])
            wire.run(0.1)
        stories.append((relay.machine.stats, [len(p.data) for p in wire.log], wire.now))

    assert stories[0] == stories[1]
