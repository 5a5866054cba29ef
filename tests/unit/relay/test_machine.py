"""Real relays between real origins: cells pass, or die where they should."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.circuit.events import Pong, ReportReceived
from psp.ids import CircuitId
from psp.testing.weather import Weather
from psp.units import Seconds
from psp.wire.cell import CELL_SIZE, HEADER, Cell, CellCommand, Reason
from psp.wire.onion import BLOCK_SIZE, Kind
from relay.config import RelayConfig
from relay.events import LinkDown, ServiceRequested


def block(number: int) -> bytes:
    return number.to_bytes(4).ljust(BLOCK_SIZE, b"b")


def flipped(cell: bytes, offset: int) -> bytes:
    changed = bytearray(cell)
    changed[offset] ^= 0x40
    return bytes(changed)


def test_three_hop_circuit_is_built_over_three_relays(make_rig):
    rig = make_rig(3)

    _, circuit = rig.build(0, 1, 2)

    assert circuit.origin.hops == 3
    assert [relay.machine.stats.circuits_created for relay in rig.relays] == [1, 1, 1]
    assert [relay.machine.stats.circuits_extended for relay in rig.relays] == [1, 1, 0]
    rig.audit()


@pytest.mark.parametrize("seed", range(4))
def test_circuits_are_built_over_links_that_lose_and_reorder(make_rig, seed):
    weather = Weather(latency=Seconds(0.02), jitter=Seconds(0.01), loss=0.1)
    rig = make_rig(3, weather=weather, seed=seed)

    for _ in range(3):
        rig.build(0, 1, 2)

    assert [relay.machine.stats.circuits_created for relay in rig.relays] == [3, 3, 3]
    rig.audit()


def test_cells_go_both_ways_through_every_hop(make_rig):
    rig = make_rig(3)
    _, circuit = rig.build(0, 1, 2)

    for hop in (1, 2, 3):
        circuit.origin.ping(hop, rig.now)
    rig.run(0.5)

    pongs = [event.hop for event in circuit.events if isinstance(event, Pong)]
    assert pongs == [1, 2, 3]
    stats = rig.relays[0].machine.stats
    assert stats.cells_backward >= 2
    assert stats.cells_forward >= 2


def test_blocks_cross_two_joined_circuits_of_three_and_four_hops(make_rig):
    rig = make_rig(6)
    alice, caller = rig.build(0, 1, 5)
    bob, callee = rig.build(2, 3, 4, 5)

    rig.join(caller, callee, b"c" * 20)
    sent = [block(number) for number in range(120)]
    alice.send_blocks(caller, sent, rig.now, Kind.AUDIO)
    bob.send_blocks(callee, sent[::-1], rig.now, Kind.KEY_FRAME)
    rig.run(0.5)

    assert callee.blocks == sent
    assert caller.blocks == sent[::-1]
    assert rig.relays[5].machine.stats.cells_spliced == 240
    rig.audit()


def test_changed_cells_die_at_the_next_hop_and_only_they(make_rig):
    rig = make_rig(3)
    client, circuit = rig.build(0, 1, 2)
    cells = circuit.origin.send_blocks([block(number) for number in range(40)])

    # Offsets in the counter, the kind, the inner body and the tag of hop 1's layer.
    bad = [
        flipped(cell, offset)
        for cell, offset in zip(cells[:20], [5, 8, 9, 10, 1199] * 4, strict=True)
    ]
    client.send_cells(circuit, bad + cells[20:], rig.now)
    rig.run(0.5)

    hops = [relay.machine.stats.hops for relay in rig.relays]
    assert hops[0].bad_tag + hops[0].replayed == 20
    assert hops[1].bad_tag == hops[2].bad_tag == 0
    assert rig.relays[2].machine.stats.blocks_unjoined == 20
    assert circuit.closed is None


def test_replayed_cells_die_at_the_next_hop(make_rig):
    rig = make_rig(2)
    client, circuit = rig.build(0, 1)
    cells = circuit.origin.send_blocks([block(1)])

    client.send_cells(circuit, cells * 5, rig.now)
    rig.run(0.5)

    assert rig.relays[0].machine.stats.hops.replayed == 4
    assert rig.relays[1].machine.stats.blocks_unjoined == 1


def test_cells_moved_to_another_circuit_die_at_the_next_hop(make_rig):
    rig = make_rig(2)
    client, first = rig.build(0, 1)
    _, second = rig.build(0, 1, client=client)
    head = HEADER.pack(second.origin.circuit_id, CellCommand.RELAY)

    moved = [head + cell[5:] for cell in first.origin.send_blocks([block(1)] * 5)]
    client.send_cells(first, moved, rig.now)
    rig.run(0.5)

    hops = rig.relays[0].machine.stats.hops
    assert hops.bad_tag + hops.replayed == 5
    assert rig.relays[1].machine.stats.blocks_unjoined == 0
    assert second.closed is None


def test_thirty_two_bad_tags_in_ten_seconds_close_the_circuit(make_rig):
    rig = make_rig(2)
    client, circuit = rig.build(0, 1)
    _, other = rig.build(0, 1, client=client)

    cells = circuit.origin.send_blocks([block(1)] * 32)
    client.send_cells(circuit, [flipped(cell, 100) for cell in cells], rig.now)
    rig.run(0.5)

    assert circuit.closed is not None
    assert other.closed is None
    for relay in rig.relays:
        assert relay.machine.stats.circuits_closed == {Reason.PROTOCOL: 1}
    rig.audit()


def test_cell_for_an_unknown_circuit_is_answered_with_destroy(make_rig):
    rig = make_rig(1)
    client, circuit = rig.build(0)
    stray = HEADER.pack(0x1234, CellCommand.RELAY).ljust(CELL_SIZE, b"x")

    client.send_cells(circuit, [stray] * 200, rig.now)
    rig.run(0.2)

    assert {cell[:5] for cell in client.strays} == {
        HEADER.pack(0x1234, CellCommand.DESTROY)
    }
    assert len(client.strays) == 50
    assert rig.relays[0].machine.stats.cells_unknown == 200


def test_every_hop_reports_what_it_saw(make_rig):
    rig = make_rig(2)
    client, circuit = rig.build(0, 1)
    client.send_blocks(circuit, [block(1)] * 40, rig.now)
    rig.run(11.0)

    reports = [event for event in circuit.events if isinstance(event, ReportReceived)]
    assert {report.hop for report in reports} == {1, 2}
    assert all(report.report.forward.received >= 40 for report in reports)


def test_egress_limit_delays_drops_and_reports_the_drops(make_rig):
    config = RelayConfig(bandwidth_bytes_per_s=1_232_000, neighbours=0)
    rig = make_rig(2, config=config)
    client, circuit = rig.build(0, 1)
    rig.run(1.0)

    client.send_blocks(circuit, [block(1)] * 200, rig.now)
    client.send_blocks(circuit, [block(2)] * 60, rig.now, Kind.AUDIO)
    rig.run(12.0)

    stats = rig.relays[0].machine.stats
    assert stats.dropped_audio == 0
    assert stats.dropped_rest > 50
    arrived = rig.relays[1].machine.stats.blocks_unjoined
    assert arrived + stats.dropped_rest == 260
    reports = [event for event in circuit.events if isinstance(event, ReportReceived)]
    assert reports[0].report.forward.dropped == stats.dropped_rest
    rig.audit()


def test_joined_blocks_obey_the_egress_limit(make_rig):
    config = RelayConfig(bandwidth_bytes_per_s=1_232_000, neighbours=0)
    rig = make_rig(1, config=config)
    alice, caller = rig.build(0)
    _, callee = rig.build(0)
    rig.join(caller, callee, b"c" * 20)

    alice.send_blocks(caller, [block(n) for n in range(300)], rig.now)
    rig.run(1.0)

    dropped = rig.relays[0].machine.stats.dropped_rest
    assert dropped > 50
    assert len(callee.blocks) + dropped == 300
    rig.audit()


cells = st.builds(
    lambda circuit, command, body: (
        HEADER.pack(circuit, command) + body.ljust(CELL_SIZE - HEADER.size, b"\0")
    ),
    st.integers(0, 3),
    st.sampled_from([1, 2, 3, 4, 9, 10, 255]),
    st.binary(max_size=60) | st.binary(min_size=1195, max_size=1195),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(cells, max_size=12))
def test_any_cells_are_survived_and_harm_no_other_link(make_rig, strange):
    rig = make_rig(2)
    client, circuit = rig.build(0, 1)
    _, bystander = rig.build(0, 1)
    ids = [0, circuit.origin.circuit_id, 77, 78]

    for cell in strange:
        number, command = HEADER.unpack_from(cell)
        head = HEADER.pack(ids[number], command)
        client.send_cells(circuit, [head + cell[5:]], rig.now)
    rig.run(1.0)

    assert bystander.closed is None
    bystander.origin.ping(2, rig.now)
    rig.run(0.5)
    assert any(isinstance(event, Pong) for event in bystander.events)
    rig.audit()


def test_random_cells_from_a_relay_are_survived(make_rig):
    rig = make_rig(3)
    _, circuit = rig.build(0, 1, 2)
    dice = random.Random(5)
    relay = rig.relays[1].machine
    link = relay.links.link_to(rig.relays[2].record.node_id)

    for _ in range(300):
        command = dice.choice([1, 2, 3, 4, 9])
        head = HEADER.pack(dice.getrandbits(32) or 1, command)
        relay.links.send(link, [head + dice.randbytes(1195)], rig.now)
    rig.run(0.5)

    assert circuit.closed is None
    rig.audit()


def test_service_cells_of_clients_end_their_link(make_rig):
    rig = make_rig(1)
    client, circuit = rig.build(0)
    body = bytes([1, 0]) + bytes(8) + bytes(2)

    cell = Cell(CircuitId(0), CellCommand.SERVICE, body).encode()
    client.send_cells(circuit, [cell], rig.now)
    rig.run(0.2)

    assert rig.relays[0].told(ServiceRequested) == []
    assert len(rig.relays[0].told(LinkDown)) == 1
