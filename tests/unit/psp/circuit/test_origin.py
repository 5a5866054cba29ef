"""What an origin asks, hears and carries over a chain of real hops."""

import pytest

from psp.circuit.commands import ANSWERS, SERVICES
from psp.circuit.events import (
    BlocksReceived,
    NoticeReceived,
    Pong,
    ReportReceived,
    RequestAnswered,
    RequestFailed,
    RequestReceived,
)
from psp.circuit.state import HopState
from psp.errors import LocalProtocolError
from psp.testing.circuits import CircuitRig
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.onion import Kind
from psp.wire.relay_message import RelayCommand, RelayMessage
from tests.unit.psp.circuit.origin_rig import say


@pytest.mark.parametrize("command", sorted(SERVICES))
@pytest.mark.parametrize("hop", [1, 2, 3])
def test_any_hop_can_be_asked_anything(command, hop):
    rig = CircuitRig(3)
    circuit = rig.built(3)
    rig.relays[hop - 1].answers[command] = b"answer"
    data = bytes(1520) if command is RelayCommand.INTRODUCE else b"question"

    stream_id = circuit.request(command, data, rig.now, hop)
    rig.run(Seconds(1.0))

    (asked,) = rig.relays[hop - 1].route.events
    assert asked == RequestReceived(hop, stream_id, command, data)
    (answered,) = rig.events[0]
    assert answered == RequestAnswered(
        hop, stream_id, ANSWERS[command], b"answer", pytest.approx(0.04 * hop)
    )


def test_the_last_hop_is_asked_unless_another_is_named():
    rig = CircuitRig(3)
    circuit = rig.built(3)

    circuit.request(RelayCommand.FETCH, b"", rig.now)
    rig.run(Seconds(0.1))

    assert len(rig.relays[2].route.events) == 1


@pytest.mark.parametrize(
    "command", sorted(set(RelayCommand) - SERVICES), ids=lambda c: c.name
)
def test_only_services_are_asked_by_request(command):
    rig = CircuitRig(1)
    circuit = rig.built(1)

    with pytest.raises(LocalProtocolError):
        circuit.request(command, b"", rig.now)


@pytest.mark.parametrize("hop", [1, 2, 3])
def test_any_hop_can_be_pinged(hop):
    rig = CircuitRig(3)
    circuit = rig.built(3)

    circuit.ping(hop, rig.now)
    rig.run(Seconds(1.0))

    assert rig.events[0] == [Pong(hop, pytest.approx(0.04 * hop))]


def test_a_ping_without_pong_fails():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    rig.fate = lambda passage: []

    stream_id = circuit.ping(3, rig.now)
    rig.run(Seconds(4.0))

    assert rig.events[0] == [
        RequestFailed(3, stream_id, RelayCommand.PING, Reason.TIMEOUT, is_refused=False)
    ]
    assert circuit.is_open


@pytest.mark.parametrize("hops", [1, 3, 4])
def test_blocks_cross_both_ways(hops):
    rig = CircuitRig(hops)
    circuit = rig.built(hops)
    blocks = [bytes([i]) * 1106 for i in range(20)]
    route = rig.relays[-1].route

    rig.send_blocks(circuit, blocks)
    circuit.request(RelayCommand.ESTABLISH, bytes(20), rig.now)
    rig.run(Seconds(1.0))
    rig.events[0].clear()
    cells = [route.hop.block_cell(block, Kind.AUDIO) for block in blocks]
    for relay in reversed(rig.relays[:-1]):
        cells = [relay.route.hop.backward_cell(cell) for cell in cells]
    circuit.receive(cells, rig.now)
    rig.flush()

    assert route.blocks == blocks
    assert rig.events[0] == [BlocksReceived(blocks)]


def test_media_flags_are_seen_by_every_hop_and_others_are_not_sent():
    rig = CircuitRig(2)
    circuit = rig.built(2)

    (cell,) = circuit.send_blocks([bytes(1106)], Kind.AUDIO | Kind.EARLY)
    plaintext = rig.relays[0].route.hop.open_forward(cell, rig.now)

    assert plaintext[0] == Kind.AUDIO


def test_blocks_for_a_circuit_that_is_not_open_are_counted_and_dropped():
    rig = CircuitRig(2)
    circuit = rig.build([0, 1])

    assert circuit.send_blocks([bytes(1106)] * 3) == []
    circuit.destroy()
    assert circuit.send_blocks([bytes(1106)] * 2) == []
    assert circuit.stats.blocks_dropped == 5


def test_introductions_are_answered():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    rig.relays[2].answers[RelayCommand.REGISTER] = b"ok"
    circuit.request(RelayCommand.REGISTER, b"me", rig.now)
    rig.run(Seconds(1.0))
    rig.events[0].clear()
    hop = rig.relays[2].route.hop

    hop.request(RelayCommand.INTRODUCTION, b"i" * 1520, rig.now)
    refused = hop.request(RelayCommand.INTRODUCTION, b"j" * 1520, rig.now)
    rig.run(Seconds(0.1))
    first, second = rig.events[0]
    rig.relays[2].route.events.clear()
    circuit.answer(3, first.stream_id, b"\0", rig.now)
    circuit.refuse(3, second.stream_id, Reason.REFUSED, rig.now)
    rig.run(Seconds(0.1))

    assert (first.data, second.data) == (b"i" * 1520, b"j" * 1520)
    answered, failed = rig.relays[2].route.events
    assert (answered.command, answered.data) == (
        RelayCommand.INTRODUCTION_ACK,
        b"\0",
    )
    assert failed == RequestFailed(
        3, refused, RelayCommand.INTRODUCTION, Reason.REFUSED, is_refused=True
    )


def test_joined_is_a_notice_where_we_established():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    circuit.request(RelayCommand.ESTABLISH, bytes(20), rig.now)
    rig.run(Seconds(1.0))
    rig.events[0].clear()

    rig.relays[2].route.hop.joined()
    rig.run(Seconds(1.0))

    assert rig.events[0] == [NoticeReceived(3, RelayCommand.JOINED)]


def test_hops_report_every_ten_seconds():
    rig = CircuitRig(3)
    circuit = rig.built(3)

    rig.send_blocks(circuit, [bytes(1106)] * 100)
    rig.run(Seconds(11.0))

    reports = {
        event.hop: event.report
        for event in rig.events[0]
        if isinstance(event, ReportReceived)
    }
    assert sorted(reports) == [1, 2, 3]
    assert reports[1].forward.received == 104
    assert reports[2].forward.received == 102
    assert reports[3].forward.received == 100


def test_marks_are_counted_since_last_asked():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    report = RelayMessage(RelayCommand.REPORT, 0, bytes(40)).encode()
    circuit.take_marks()

    for kind in (1, 0x11, 1, 0x11, 1):
        say(rig, 2, report, kind)

    assert circuit.take_marks() == (5, 2)
    assert circuit.take_marks() == (0, 0)


def test_ratchets_are_crossed_under_load_in_both_directions():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    circuit.request(RelayCommand.ESTABLISH, bytes(20), rig.now)
    rig.run(Seconds(1.0))
    rig.events[0].clear()
    first, last = (relay.route.hop for relay in rig.relays)
    block = bytes(1106)
    lost = 0
    arrived = 0

    for number in range(67_000):
        (cell,) = circuit.send_blocks([block])
        plaintext = first.open_forward(cell, rig.now)
        if number % 50 == 0:
            lost += 1
            continue
        arrived += last.open_forward(first.forward_cell(plaintext), rig.now) is not None
        if number % 2 == 0:
            circuit.receive([first.backward_cell(last.block_cell(block))], rig.now)

    assert arrived == 67_000 - lost
    assert last.opening.bad_tag == last.opening.replayed == 0
    assert circuit.received(2).bad_tag == 0
    assert rig.relays[1].route.hop.state is HopState.LAST
