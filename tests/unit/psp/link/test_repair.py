"""Lost packets are asked for, and come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.link.config import (
    REPAIR_AGE,
    REPAIR_ANSWERS,
    REPAIR_CREDIT,
    REPAIR_RING,
    REPAIR_SHARE,
)
from psp.link.repair import SentTrains
from psp.testing.entropy import SeededEntropy
from psp.testing.links import Host, LinkWire, Packet, Tamper, cell_number, circuit_cell
from psp.units import Monotonic
from psp.wire.packet import PACKET_SIZE

CLIENT = ("192.0.2.1", 40_000)
RELAY = ("198.51.100.1", 443)
NOW = Monotonic(100.0)


def connected(wire: LinkWire) -> tuple[Host, Host]:
    relay, client = wire.relay(RELAY), wire.client(CLIENT)
    wire.open(client, relay)
    assert wire.run_until(lambda: bool(client.opened and relay.opened))
    wire.run(0.5)
    return client, relay


def lossy(wire: LinkWire, loss: float, jitter: float = 0.0) -> Tamper:
    dice = SeededEntropy("loss")

    def tamper(packet: Packet) -> list[tuple[float, Packet]]:
        if dice.uniform() < loss:
            return []
        return [(wire.latency + jitter * dice.uniform(), packet)]

    return tamper


def train_of(first: int, count: int) -> bytes:
    return b"".join(packet_of(first + number) for number in range(count))


def packet_of(counter: int) -> bytes:
    return counter.to_bytes(4) * (PACKET_SIZE // 4)


@pytest.mark.parametrize(
    ("loss", "most_lost"), [(0.01, 0.0), (0.05, 0.001)], ids=["1 %", "5 %"]
)
def test_repair_heals_loss(loss: float, most_lost: float) -> None:
    wire = LinkWire(latency=0.04)
    client, relay = connected(wire)
    wire.tamper = lossy(wire, loss)
    count = 6_000

    for number in range(count):
        wire.send(client, client.opened[0].link, [circuit_cell(number)])
        wire.run(0.002)
    wire.tamper = None
    wire.run(1)

    received = [cell_number(cell) for cell in relay.all_cells]
    assert len(received) == len(set(received))
    assert 1 - len(received) / count <= most_lost
    [info] = relay.machine.links(wire.now)
    assert info.repaired_cells == relay.machine.stats.repaired > loss * count / 2


def test_a_repair_takes_one_round_trip_and_the_tolerance() -> None:
    wire = LinkWire(latency=0.04)
    client, relay = connected(wire)
    link = client.opened[0].link
    wire.tamper = lambda _: []
    wire.send(client, link, [circuit_cell(1)])
    wire.tamper = None
    wire.send(client, link, [circuit_cell(2)])

    wire.run(0.04 + 0.010 + 0.08 - 0.001)
    assert [cell_number(cell) for cell in relay.all_cells] == [2]
    wire.run(0.002)
    assert [cell_number(cell) for cell in relay.all_cells] == [2, 1]


def test_reordered_packets_are_not_asked_for() -> None:
    wire = LinkWire()
    client, relay = connected(wire)
    wire.tamper = lossy(wire, 0.0, jitter=0.009)

    for number in range(500):
        wire.send(client, client.opened[0].link, [circuit_cell(number)])
        wire.run(0.001)
    wire.run(1)

    received = [cell_number(cell) for cell in relay.all_cells]
    assert sorted(received) == list(range(500))
    assert received != sorted(received)
    assert relay.machine.stats.repairs_asked == 0


def test_a_path_that_drops_a_third_is_not_made_worse() -> None:
    wire = LinkWire()
    client, _ = connected(wire)
    wire.tamper = lossy(wire, 0.35)

    for number in range(3_000):
        wire.send(client, client.opened[0].link, [circuit_cell(number)])
        wire.run(0.002)
    wire.run(1)

    assert client.machine.stats.repairs_sent <= REPAIR_SHARE * 3_000 + REPAIR_CREDIT


def test_a_packet_is_sent_again_twice_at_most_and_byte_for_byte() -> None:
    sent = SentTrains()
    sent.append(10, train_of(10, 3), NOW)

    for _ in range(REPAIR_ANSWERS):
        assert sent.take(11, NOW) == packet_of(11)
    assert sent.take(11, NOW) is None
    assert sent.take(9, NOW) is sent.take(13, NOW) is None


def test_only_the_last_packets_are_kept() -> None:
    sent = SentTrains()
    end = REPAIR_RING + 150
    for first in range(0, end, 50):
        sent.append(first, train_of(first, min(50, end - first)), NOW)

    assert sent.take(end - 1 - REPAIR_RING, NOW) is None
    assert sent.take(end - REPAIR_RING, NOW) is not None


def test_a_peer_that_asks_for_everything_gets_a_fifth_of_it() -> None:
    sent = SentTrains()
    for first in range(0, 1000, 50):
        sent.append(first, train_of(first, 50), NOW)

    given = [sent.take(counter, NOW) for counter in range(1000)]

    assert sum(answer is not None for answer in given) == (
        REPAIR_CREDIT + REPAIR_SHARE * 1000
    )


def test_nothing_older_than_250_ms_is_sent_again() -> None:
    sent = SentTrains()
    sent.append(0, train_of(0, 1), NOW)
    sent.append(1, train_of(1, 1), Monotonic(NOW + 0.1))
    later = Monotonic(NOW + REPAIR_AGE)

    assert sent.take(0, later) is None
    assert sent.take(1, later) is not None
    ages = [sent.oldest]
    for moment in (later, Monotonic(later + 0.1)):
        sent.expire(moment)
        ages.append(sent.oldest)
    assert ages == [NOW, NOW + 0.1, None]
    assert sent.take(1, later) is None


@given(st.lists(st.integers(1, 60), min_size=20, max_size=60), st.data())
def test_the_ring_agrees_with_a_plain_list(
    sizes: list[int], data: st.DataObject
) -> None:
    sent = SentTrains()
    plain: dict[int, bytes] = {}
    counter = 0
    for size in sizes:
        sent.append(counter, train_of(counter, size), NOW)
        for _ in range(size):
            plain[counter] = packet_of(counter)
            counter += 1
    asked = data.draw(
        st.lists(st.integers(0, counter + 5), unique=True, max_size=int(REPAIR_CREDIT))
    )

    for wanted in asked:
        expected = plain.get(wanted) if wanted >= counter - REPAIR_RING else None
        assert sent.take(wanted, NOW) == expected
