"""Cells of many circuits in one batch: order, and what stands between them."""

import pytest

from psp.circuit.events import Pong
from psp.wire.onion import BLOCK_SIZE, Kind
from relay.config import RelayConfig
from relay.scheduler import MAX_QUEUE


def block(number):
    return number.to_bytes(4) * (BLOCK_SIZE // 4) + b"pp"


@pytest.fixture
def pair_of_calls(make_rig):
    """Two circuits of one client, each joined to one of another client."""
    rig = make_rig(3)
    first, one = rig.build(0, 1)
    far, other = rig.build(2, 1)
    rig.join(one, other, b"a" * 20)
    two = first.open([rig.relays[0].spec, rig.relays[1].spec], rig.now)
    other_two = far.open([rig.relays[2].spec, rig.relays[1].spec], rig.now)
    rig.run(1.0)
    rig.join(two, other_two, b"b" * 20)
    return rig, first, (one, two), (other, other_two)


@pytest.mark.parametrize("length", [1, 2, 5, 25])
def test_circuits_that_share_a_batch_keep_their_order(pair_of_calls, length):
    rig, client, sending, receiving = pair_of_calls
    sent = [[block(number + 1000 * which) for number in range(50)] for which in (0, 1)]
    cells = [
        circuit.origin.send_blocks(blocks, Kind.AUDIO)
        for circuit, blocks in zip(sending, sent, strict=True)
    ]
    mixed = [
        cell
        for start in range(0, 50, length)
        for own in cells
        for cell in own[start : start + length]
    ]

    client.send_cells(sending[0], mixed, rig.now)
    rig.run(0.5)

    assert [circuit.blocks for circuit in receiving] == sent
    rig.audit()


def test_a_message_between_media_is_answered_and_stops_nothing(pair_of_calls):
    rig, client, (sending, _), (receiving, _) = pair_of_calls
    sent = [block(number) for number in range(40)]
    cells = sending.origin.send_blocks(sent)
    sending.origin.ping(1, rig.now)
    pings = sending.origin.cells_to_send(rig.now)
    # In the order in which they were sealed, so that the run is a run.
    client.send_cells(sending, cells + pings, rig.now)
    rig.run(0.5)

    assert receiving.blocks == sent
    assert [event.hop for event in sending.events if isinstance(event, Pong)] == [1]


def test_a_changed_cell_within_a_run_is_the_only_one_lost(pair_of_calls):
    rig, client, (sending, _), (receiving, _) = pair_of_calls
    sent = [block(number) for number in range(40)]
    cells = sending.origin.send_blocks(sent)
    cells[20] = cells[20][:600] + bytes([cells[20][600] ^ 1]) + cells[20][601:]

    client.send_cells(sending, cells, rig.now)
    rig.run(0.5)

    assert receiving.blocks == sent[:20] + sent[21:]
    assert rig.relays[0].machine.stats.hops.bad_tag == 1
    assert sending.closed is None


def test_with_an_egress_limit_runs_wait_like_single_cells(make_rig):
    rig = make_rig(2, config=RelayConfig(bandwidth_bytes_per_s=1_000_000))
    client, circuit = rig.build(0, 1)
    cells = circuit.origin.send_blocks([block(number) for number in range(400)])

    client.send_cells(circuit, cells, rig.now)

    relay = rig.relays[0].machine
    rig.run(0.05)
    assert 0 < relay.gauges()["cells_queued"] <= MAX_QUEUE
    rig.run(0.5)
    assert relay.gauges()["cells_queued"] == 0
    rig.audit()
