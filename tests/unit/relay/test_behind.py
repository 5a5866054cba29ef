"""A relay that is behind: marks, drops, and words to origins, in whole circuits."""

import pytest

from psp.circuit.events import CircuitClosed, ReportReceived
from psp.wire.onion import BLOCK_SIZE, Kind
from psp.wire.relay_message import RelayCommand
from relay.config import RelayConfig
from relay.congestion import MIN_BURST, STEP

COOKIE = b"c" * 20
BLOCKS = [bytes([number]) * BLOCK_SIZE for number in range(40)]


@pytest.fixture
def joined(make_rig):
    """Return a rig, and two circuits joined at relay 2; the first passes relay 1."""
    rig = make_rig(3)
    alice, host = rig.build(0, 1, 2)
    bob, guest = rig.build(2)
    rig.join(host, guest, COOKIE)
    for circuit in (host, guest):
        circuit.origin.take_marks()
    return rig, (alice, host), (bob, guest)


def fall_behind(rig, number, keep=0.3):
    """Let a relay be behind for a while, with the least share there is."""
    relay = rig.relays[number].machine
    end = rig.now + keep

    def note():
        if rig.now < end:
            relay.note_backlog(0.9, rig.now)

    step = 2 * STEP
    for _ in range(30):
        note()
        rig.run(step)
    relay.note_backlog(0.05, rig.now)
    return relay


def send(rig, end, blocks, kind=Kind.PASS):
    client, circuit = end
    client.send_blocks(circuit, blocks, rig.now, kind)


def test_cells_keep_their_order_and_carry_no_marks_below_the_share(joined):
    rig, alice, bob = joined
    relay = fall_behind(rig, 1)
    assert relay.gauges()["is_congested"] == 1

    send(rig, alice, BLOCKS[:3])
    send(rig, bob, BLOCKS[3:6])
    rig.run(0.2)

    assert bob[1].blocks == BLOCKS[:3]
    assert alice[1].blocks == BLOCKS[3:6]
    assert alice[1].origin.take_marks() == (3, 0)
    assert relay.stats.cells_policed == relay.stats.cells_marked == 0


def test_a_middle_relay_marks_cells_towards_the_origin_alone(joined):
    rig, alice, bob = joined
    relay = fall_behind(rig, 1)

    send(rig, bob, BLOCKS[:10])
    rig.run(0.1)

    assert alice[1].blocks == BLOCKS[:10]
    marked = 10 - MIN_BURST // 2
    assert relay.stats.cells_marked == marked
    assert alice[1].origin.take_marks() == (10 + 1, marked + 1)  # and a warning
    assert bob[1].origin.take_marks() == (0, 0)


def test_a_rendezvous_marks_the_circuits_of_both(joined):
    rig, alice, bob = joined
    fall_behind(rig, 2)

    send(rig, alice, BLOCKS[:12])
    rig.run(0.03)
    send(rig, bob, BLOCKS[:1])
    rig.run(0.07)

    assert bob[1].blocks == BLOCKS[:12]
    assert bob[1].origin.take_marks() == (12, 12 - MIN_BURST // 2)
    assert alice[1].origin.take_marks() == (2, 2)  # one of them a warning


def test_flags_of_blocks_survive_marks(joined):
    rig, alice, bob = joined
    fall_behind(rig, 2)

    send(rig, alice, BLOCKS[:12], Kind.AUDIO)
    rig.run(0.1)

    assert bob[1].blocks == BLOCKS[:12]
    assert bob[1].closed is None


def test_a_flooder_loses_its_own_cells_and_hears_of_it_at_once(joined):
    rig, alice, bob = joined
    carol, other = rig.build(0, 1)
    other.origin.take_marks()
    relay = fall_behind(rig, 1)

    send(rig, alice, BLOCKS)
    send(rig, (carol, other), BLOCKS[:1])
    rig.run(0.15)

    dropped = len(BLOCKS) - MIN_BURST
    assert bob[1].blocks == BLOCKS[: int(MIN_BURST)]
    assert relay.stats.cells_policed == dropped
    report = [e.report for e in alice[1].events if isinstance(e, ReportReceived)][-1]
    assert report.forward.dropped == dropped
    assert alice[1].origin.take_marks() == (1, 1)
    assert not [e for e in other.events if isinstance(e, ReportReceived)]
    assert other.origin.take_marks() == (0, 0)


def test_a_receiver_hears_that_cells_towards_it_are_dropped(joined):
    rig, alice, bob = joined
    fall_behind(rig, 1)

    send(rig, bob, BLOCKS)
    rig.run(0.15)

    report = [e.report for e in alice[1].events if isinstance(e, ReportReceived)][-1]
    assert report.backward.dropped == len(BLOCKS) - MIN_BURST


def test_a_flood_of_cells_that_are_dropped_breaks_no_counter(joined):
    rig, alice, bob = joined
    fall_behind(rig, 1)
    for _ in range(10):
        send(rig, alice, BLOCKS)
    rig.run(0.5)
    before = len(bob[1].blocks)

    rig.relays[1].machine.note_backlog(0.0, rig.now)
    rig.run(1.0)
    send(rig, alice, BLOCKS[:5])
    rig.run(0.2)

    assert bob[1].blocks[before:] == BLOCKS[:5]
    assert not [e for e in alice[1].events if isinstance(e, CircuitClosed)]
    rig.audit()


def test_what_waits_for_the_egress_limit_is_told_of(make_rig):
    config = RelayConfig(bandwidth_bytes_per_s=1_232_000, neighbours=0)
    rig = make_rig(2, config=config)
    client, circuit = rig.build(0, 1)
    _, quiet = rig.build(0, 1)
    circuit.origin.take_marks()
    quiet.origin.take_marks()
    rig.run(0.5)

    for _ in range(20):
        client.send_blocks(circuit, BLOCKS, rig.now)
        rig.run(0.02)
    rig.run(0.5)

    stats = rig.relays[0].machine.stats
    assert stats.dropped_rest > 0
    assert stats.cells_policed == 0
    reports = [e for e in circuit.events if isinstance(e, ReportReceived)]
    assert {e.hop for e in reports} == {1}
    assert reports[-1].report.forward.dropped == stats.dropped_rest
    assert circuit.origin.take_marks()[1] == len(reports) > 3
    assert quiet.origin.take_marks() == (0, 0)
    rig.audit()


def test_requests_beside_a_flood_are_answered(joined):
    rig, alice, _ = joined
    carol, other = rig.build(0, 1)
    fall_behind(rig, 1)
    for _ in range(5):
        send(rig, alice, BLOCKS)

    answer = rig.ask(other, RelayCommand.ESTABLISH, b"d" * 20)

    assert answer is not None
    assert carol.strays == []


def test_warnings_to_many_circuits_are_spread_over_time(make_rig):
    rig = make_rig(2)
    clients = [rig.build(0, 1) for _ in range(80)]
    relay = fall_behind(rig, 0)
    for _, circuit in clients:
        circuit.origin.take_marks()

    for client, circuit in clients:
        client.send_blocks(circuit, BLOCKS[:10], rig.now)
    rig.run(0.03)
    few = sum(circuit.origin.take_marks()[1] for _, circuit in clients)
    rig.run(0.3)
    rest = [circuit.origin.take_marks()[1] for _, circuit in clients]

    assert relay.stats.cells_policed == 0
    assert few <= 64
    assert few + sum(rest) == 80
