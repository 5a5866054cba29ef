"""Lost packets are asked for once, and come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.link.config import REORDER_TOLERANCE, REPAIR_AGE, REPAIR_RING
from psp.link.repair import MAX_CREDIT, Gaps, SentTrains
from psp.testing.entropy import SeededEntropy
from psp.testing.links import Host, LinkWire, Packet, Tamper, cell_number, circuit_cell
from psp.units import Monotonic

CLIENT = ("192.0.2.1", 40_000)
RELAY = ("198.51.100.1", 443)
NOW = Monotonic(100.0)
SOON = Monotonic(NOW + REORDER_TOLERANCE)


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


def parts(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(2 * count)]


@pytest.mark.parametrize(
    ("loss", "most_lost"), [(0.01, 0.0005), (0.05, 0.004)], ids=["1 %", "5 %"]
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

    assert client.machine.stats.repairs_sent <= 0.2 * 3_000 + MAX_CREDIT


def test_a_packet_is_sent_again_once_and_byte_for_byte() -> None:
    sent = SentTrains()
    sent.append(10, parts(3), NOW)

    assert sent.take(11, NOW) == [b"2", b"3"]
    assert sent.take(11, NOW) is None
    assert sent.take(9, NOW) is sent.take(13, NOW) is None


def test_only_the_last_128_packets_are_kept() -> None:
    sent = SentTrains()
    for first in range(0, 300, 50):
        sent.append(first, parts(50), NOW)

    assert sent.take(299 - REPAIR_RING, NOW) is None
    assert sent.take(300 - REPAIR_RING, NOW) is not None


def test_nothing_older_than_250_ms_is_sent_again() -> None:
    sent = SentTrains()
    sent.append(0, parts(1), NOW)
    sent.append(1, parts(1), Monotonic(NOW + 0.1))
    later = Monotonic(NOW + REPAIR_AGE)

    assert sent.take(0, later) is None
    assert sent.take(1, later) is not None
    ages = [sent.oldest]
    for moment in (later, Monotonic(later + 0.1)):
        sent.expire(moment)
        ages.append(sent.oldest)
    assert ages == [NOW, NOW + 0.1, None]
    assert sent.take(1, later) is None


@given(st.lists(st.integers(1, 60), max_size=40), st.data())
def test_the_ring_agrees_with_a_plain_list(
    sizes: list[int], data: st.DataObject
) -> None:
    sent = SentTrains()
    plain: dict[int, list[bytes]] = {}
    counter = 0
    for size in sizes:
        train = [b"%d" % (2 * counter + n) for n in range(2 * size)]
        sent.append(counter, train, NOW)
        for _ in range(size):
            plain[counter] = [b"%d" % (2 * counter), b"%d" % (2 * counter + 1)]
            counter += 1
    asked = data.draw(st.lists(st.integers(0, counter + 5), unique=True))

    for wanted in asked:
        expected = plain.get(wanted) if wanted >= counter - REPAIR_RING else None
        assert sent.take(wanted, NOW) == expected


def test_a_gap_waits_for_reordered_packets_and_is_asked_for_once() -> None:
    gaps = Gaps()
    gaps.note(3, 6, NOW)

    before = gaps.due
    assert before == SOON
    assert gaps.pop_due(NOW) == []
    assert gaps.fill(4) is False
    assert gaps.pop_due(SOON) == [3, 5]
    assert gaps.pop_due(Monotonic(NOW + 1)) == []
    assert gaps.due is None
    assert gaps.fill(5) is True
    assert gaps.fill(5) is False
    assert gaps.repaired == 1


def test_a_huge_gap_is_bounded() -> None:
    gaps = Gaps()

    gaps.note(0, 1 << 40, NOW)

    asked = gaps.pop_due(SOON)
    assert asked == list(range((1 << 40) - int(MAX_CREDIT), 1 << 40))
    assert gaps.due is None


def test_asking_again_is_paid_for_by_packets_received() -> None:
    gaps = Gaps()
    gaps.note(0, 128, NOW)
    assert len(gaps.pop_due(SOON)) == MAX_CREDIT

    gaps.received += 50
    gaps.note(200, 300, NOW)

    assert gaps.pop_due(SOON) == list(range(290, 300))
