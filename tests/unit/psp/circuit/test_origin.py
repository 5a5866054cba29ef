"""The client's end, against chains of real hops."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.circuit.commands import ANSWERS, SERVICES
from psp.circuit.config import CircuitConfig
from psp.circuit.events import (
    BlocksReceived,
    CircuitBuilt,
    CircuitClosed,
    ExtendFailed,
    HopAdded,
    NoticeReceived,
    Pong,
    ReportReceived,
    RequestAnswered,
    RequestFailed,
    RequestReceived,
    Truncated,
)
from psp.circuit.origin import HopSpec
from psp.circuit.state import HopState, OriginState
from psp.errors import LocalProtocolError
from psp.ids import NodeId
from psp.testing.circuits import CircuitRig
from psp.units import Monotonic, Seconds
from psp.wire.cell import Cell, CellCommand, Reason
from psp.wire.endpoint import Endpoint
from psp.wire.onion import Kind, inner_size
from psp.wire.relay_message import RelayCommand, RelayMessage

CLOSED = CircuitClosed(Reason.PROTOCOL, None, is_remote=False)


def closed_for(reason, hop):
    return CircuitClosed(reason, hop, is_remote=False)


def say(rig, hop, message, kind=Kind.MESSAGE):
    """Let the relay at ``hop`` say something to the origin, as it likes."""
    inner = message if isinstance(message, bytes) else message.encode()
    end = rig.relays[hop - 1].route.hop
    body = end.sealing.seal(bytes([kind]) + inner.ljust(inner_size(hop), b"\0"))
    cell = end.head + body + end.padding
    for relay in reversed(rig.relays[: hop - 1]):
        cell = relay.route.hop.backward_cell(cell)
    rig.origins[0].receive([cell], rig.now)
    rig.flush()


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_circuit_of_any_length_is_built(hops):
    rig = CircuitRig(hops)

    circuit = rig.build(range(hops))
    rig.run(Seconds(2.0))

    assert circuit.is_open
    added = [HopAdded(hop) for hop in range(1, hops + 1)]
    build_time = pytest.approx(0.02 * hops * (hops + 1))
    assert rig.events[0] == [*added, CircuitBuilt(build_time)]
    assert [relay.created for relay in rig.relays] == [1] * hops
    assert circuit.hops == len(circuit.path) == hops
    for number, relay in enumerate(rig.relays):
        assert circuit.handshake_hash(number + 1) == relay.route.hop.handshake_hash
    assert circuit.stats.early_sent == 2 * (hops - 1)


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


def test_a_fourth_hop_is_added_later():
    rig = CircuitRig(4)
    circuit = rig.built(3)

    circuit.extend(rig.relays[3].spec, rig.now)
    assert circuit.state is OriginState.EXTENDING
    rig.run(Seconds(1.0))

    assert rig.events[0] == [HopAdded(4), CircuitBuilt(pytest.approx(0.16))]
    assert circuit.is_open
    with pytest.raises(LocalProtocolError, match="four hops"):
        circuit.extend(rig.relays[0].spec, rig.now)


@pytest.mark.parametrize("kept", [1, 2])
def test_a_circuit_is_truncated_and_extended_elsewhere(kept):
    rig = CircuitRig(5)
    circuit = rig.built(3)

    circuit.truncate(kept, rig.now)
    assert circuit.state is OriginState.TRUNCATING
    rig.run(Seconds(1.0))
    assert circuit.hops == kept
    circuit.extend(rig.relays[4].spec, rig.now)
    rig.run(Seconds(1.0))
    circuit.ping(kept + 1, rig.now)
    rig.run(Seconds(1.0))

    assert rig.events[0] == [
        Truncated(kept, Reason.REQUESTED),
        HopAdded(kept + 1),
        CircuitBuilt(pytest.approx(0.04 * (kept + 1))),
        Pong(kept + 1, pytest.approx(0.04 * (kept + 1))),
    ]
    assert [len(relay.routes) for relay in rig.relays] == [
        *[1] * kept,
        *[0] * (4 - kept),
        1,
    ]


def test_requests_to_hops_that_were_cut_off_fail():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    stream_id = circuit.request(RelayCommand.FETCH, b"", rig.now, 3)

    circuit.truncate(1, rig.now)
    rig.run(Seconds(1.0))

    assert rig.events[0] == [
        RequestFailed(
            3, stream_id, RelayCommand.FETCH, Reason.REQUESTED, is_refused=False
        ),
        Truncated(1, Reason.REQUESTED),
    ]


@pytest.mark.parametrize("hop", [0, 3, 4])
def test_there_must_be_something_to_cut_off(hop):
    rig = CircuitRig(3)
    circuit = rig.built(3)

    with pytest.raises(LocalProtocolError):
        circuit.truncate(hop, rig.now)


def test_a_hop_that_goes_away_takes_those_behind_it_along():
    rig = CircuitRig(3)
    circuit = rig.built(3)

    rig.relays[0].destroy_next(rig.relays[0].route)
    rig.run(Seconds(1.0))

    assert rig.events[0] == [Truncated(1, Reason.LINK_CLOSED)]
    assert circuit.is_open
    assert circuit.hops == 1


def test_a_refused_extension_leaves_the_circuit_as_it_was():
    rig = CircuitRig(3)
    circuit = rig.built(2)
    real = rig.relays[2].spec
    unknown = HopSpec(NodeId(b"x" * 32), real.onion_key, real.endpoints)

    circuit.extend(unknown, rig.now)
    rig.run(Seconds(1.0))
    assert rig.events[0] == [ExtendFailed(Reason.NO_SUCH_NODE)]
    assert circuit.hops == len(circuit.path) == 2

    circuit.extend(real, rig.now)
    rig.run(Seconds(1.0))
    assert rig.events[0][-1] == CircuitBuilt(pytest.approx(0.12))


@pytest.mark.parametrize("hops", [2, 3])
def test_a_dead_relay_fails_an_extension_but_not_the_circuit(hops):
    rig = CircuitRig(4)
    circuit = rig.built(hops)
    rig.fate = lambda p: [] if hops in (p.sender, p.receiver) else [(0.02, p.cell)]

    circuit.extend(rig.relays[hops].spec, rig.now)
    rig.run(Seconds(4.0))

    assert rig.events[0] == [ExtendFailed(Reason.TIMEOUT)]
    assert circuit.is_open


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_dead_relay_fails_the_build_and_is_named(dead):
    rig = CircuitRig(3)
    rig.fate = lambda p: [] if dead in (p.sender, p.receiver) else [(0.02, p.cell)]

    rig.build(range(3))
    rig.run(Seconds(9.0))

    assert rig.events[0][-1] == closed_for(Reason.TIMEOUT, dead + 1)
    assert [len(relay.routes) for relay in rig.relays] == [0, 0, 0]


def test_building_takes_no_longer_than_configured():
    rig = CircuitRig(1)
    rig.fate = lambda passage: []

    circuit = rig.build([0], CircuitConfig(build_timeout=Seconds(1.0)))
    assert circuit.next_timeout() == 0.25
    rig.run(Seconds(1.1))

    assert rig.events[0] == [closed_for(Reason.TIMEOUT, 1)]
    assert circuit.next_timeout() is None


def test_a_silent_truncate_closes_the_circuit():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    rig.fate = lambda passage: []

    circuit.truncate(1, rig.now)
    rig.run(Seconds(9.0))

    assert rig.events[0] == [closed_for(Reason.TIMEOUT, 2)]


@pytest.mark.parametrize(
    ("wrong", "hop"),
    [
        ("onion key", 1),  # The link finds the first relay, not the circuit.
        *((wrong, 2) for wrong in ("node id", "endpoint", "onion key")),
        *((wrong, 3) for wrong in ("node id", "endpoint", "onion key")),
    ],
)
def test_a_wrong_path_is_not_built(wrong, hop):
    rig = CircuitRig(3)
    path = [relay.spec for relay in rig.relays]
    spec = path[hop - 1]
    path[hop - 1] = {
        "node id": HopSpec(NodeId(b"w" * 32), spec.onion_key, spec.endpoints),
        "endpoint": HopSpec(spec.node_id, spec.onion_key, (Endpoint("192.0.2.99", 1),)),
        "onion key": HopSpec(spec.node_id, path[hop % 3].onion_key, spec.endpoints),
    }[wrong]

    rig.build_path(path)
    rig.run(Seconds(9.0))

    expected = Reason.NONE if wrong == "onion key" else Reason.NO_SUCH_NODE
    closed = rig.events[0][-1]
    assert closed.reason is expected
    assert closed.hop == (None if hop == 1 else hop)


def test_destroy_reaches_every_hop():
    rig = CircuitRig(3)
    circuit = rig.built(3)

    circuit.destroy()
    circuit.destroy()
    rig.run(Seconds(1.0))

    assert rig.events[0] == [closed_for(Reason.REQUESTED, None)]
    assert [len(relay.routes) for relay in rig.relays] == [0, 0, 0]
    assert circuit.state is OriginState.CLOSED


def test_destroy_tells_no_reason():
    rig = CircuitRig(1)
    circuit = rig.built(1)

    circuit.destroy(Reason.RESOURCE_LIMIT)
    (cell,) = circuit.cells_to_send(rig.now)

    assert Cell.decode(cell).command is CellCommand.DESTROY
    assert not any(Cell.decode(cell).body)


def test_the_first_relay_may_end_the_circuit():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    body = bytes([Reason.SHUTTING_DOWN])
    cell = Cell(circuit.circuit_id, CellCommand.DESTROY, body).encode()

    circuit.receive([cell, cell], rig.now)
    rig.flush()

    assert rig.events[0] == [CircuitClosed(Reason.SHUTTING_DOWN, None, is_remote=True)]
    assert circuit.cells_to_send(rig.now) == []


def test_a_closed_circuit_does_nothing_more():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    circuit.destroy()
    circuit.cells_to_send(rig.now)

    circuit.handle_timeout(Monotonic(rig.now + 100))
    circuit.answer(1, 2, b"", rig.now)
    circuit.refuse(1, 2, Reason.NONE, rig.now)

    assert circuit.cells_to_send(rig.now) == []
    for action in (
        lambda: circuit.request(RelayCommand.FETCH, b"", rig.now),
        lambda: circuit.ping(1, rig.now),
        lambda: circuit.truncate(1, rig.now),
        lambda: circuit.extend(rig.relays[0].spec, rig.now),
        lambda: circuit.handshake_hash(1),
    ):
        with pytest.raises(LocalProtocolError):
            action()


UNASKED = [
    RelayMessage(command, stream_id, bytes(size))
    for command in RelayCommand
    for stream_id in (0, 1, 2)
    for size in ((1, 40) if command is not RelayCommand.BLOCK else (1106,))
    if (command, stream_id, size) != (RelayCommand.REPORT, 0, 40)
]


@pytest.mark.parametrize(
    "message", UNASKED, ids=lambda m: f"{m.command.name}-{m.stream_id}-{len(m.data)}"
)
def test_whatever_the_last_hop_says_unasked_closes_the_circuit(message):
    rig = CircuitRig(2)
    rig.built(2)

    say(rig, 2, message)

    assert rig.events[0] == [CLOSED]


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (RelayMessage(RelayCommand.REPORT, 0, bytes(40)).encode() + b"\1", 1),
        (RelayMessage(RelayCommand.REPORT, 0, bytes(40)).encode(), 0x21),
        (RelayMessage(RelayCommand.REPORT, 0, bytes(40)).encode(), 0x03),
        (b"\xff\0\0\0\0", 1),
        (b"\7\0\0\xff\xff", 1),
        (b"", 0),
    ],
    ids=["padding", "reserved bit", "early", "unknown", "length", "nobody's"],
)
def test_malformed_messages_close_the_circuit(inner, kind):
    rig = CircuitRig(2)
    rig.built(2)

    say(rig, 2, inner, kind)

    assert rig.events[0] == [CLOSED]


def test_marks_are_counted_since_last_asked():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    report = RelayMessage(RelayCommand.REPORT, 0, bytes(40)).encode()
    circuit.take_marks()

    for kind in (1, 0x11, 1, 0x11, 1):
        say(rig, 2, report, kind)

    assert circuit.take_marks() == (5, 2)
    assert circuit.take_marks() == (0, 0)


def test_a_block_with_padding_that_is_not_zero_closes_the_circuit():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    circuit.request(RelayCommand.JOIN, bytes(20), rig.now)
    block = RelayMessage(RelayCommand.BLOCK, 0, bytes(1106)).encode()

    say(rig, 2, block)
    say(rig, 2, block + b"\1")

    assert rig.events[0] == [BlocksReceived([bytes(1106)]), CLOSED]


@pytest.mark.parametrize("command", sorted(set(CellCommand) - {CellCommand.RELAY}))
def test_other_cells_close_the_circuit(command):
    rig = CircuitRig(1)
    circuit = rig.built(1)

    circuit.receive([Cell(circuit.circuit_id, command, b"").encode()], rig.now)
    rig.flush()

    assert len(rig.events[0]) == 1
    assert isinstance(rig.events[0][0], CircuitClosed)


def test_32_bad_tags_close_the_circuit_and_name_the_hop():
    rig = CircuitRig(3)
    rig.built(3)
    first, second = (relay.route.hop for relay in rig.relays[:2])
    report = RelayMessage(RelayCommand.REPORT, 0, bytes(40))
    states = []

    for _ in range(32):
        cell = second.message_cell(report)
        broken = cell[:999] + bytes([cell[999] ^ 1]) + cell[1000:]
        rig.origins[0].receive([first.backward_cell(broken)], rig.now)
        states.append(rig.origins[0].state)
    rig.flush()

    assert states == [OriginState.OPEN] * 31 + [OriginState.CLOSED]
    assert rig.events[0] == [closed_for(Reason.PROTOCOL, 2)]


def test_bad_tags_are_counted_at_the_hop_where_they_arose():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    ends = [relay.route.hop for relay in rig.relays]
    good = ends[2].message_cell(RelayMessage(RelayCommand.REPORT, 0, bytes(40)))

    passed = ends[1].backward_cell(good)
    broken = passed[:600] + bytes([passed[600] ^ 1]) + passed[601:]
    circuit.receive([ends[0].backward_cell(broken)], rig.now)

    assert [circuit.received(hop).bad_tag for hop in (1, 2, 3)] == [0, 1, 0]
    assert circuit.received(1).received == circuit.received(2).received + 3


def test_cells_under_way_during_a_truncation_are_excused_for_a_while():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    ends = [relay.route.hop for relay in rig.relays]
    report = RelayMessage(RelayCommand.REPORT, 0, bytes(40))
    cells = [
        ends[0].backward_cell(ends[1].backward_cell(ends[2].message_cell(report)))
        for _ in range(2)
    ]
    circuit.truncate(1, rig.now)
    rig.run(Seconds(0.1))

    circuit.receive(cells[:1], rig.now)
    say(rig, 1, RelayMessage(RelayCommand.TRUNCATED, 0, b"\0"))
    assert circuit.is_open
    assert circuit.stats.stale == 2
    rig.run(Seconds(6.0))
    circuit.receive(cells[1:], rig.now)
    rig.flush()

    assert rig.events[0][-1] == CLOSED


def test_a_hop_lost_while_extending_closes_the_circuit():
    rig = CircuitRig(4)
    circuit = rig.built(3)
    circuit.extend(rig.relays[3].spec, rig.now)

    say(rig, 1, RelayMessage(RelayCommand.TRUNCATED, 0, bytes([Reason.TIMEOUT])))

    assert rig.events[0] == [closed_for(Reason.TIMEOUT, 2)]
    assert circuit.state is OriginState.CLOSED


def test_a_hop_lost_while_truncating_is_no_matter():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    circuit.truncate(1, rig.now)

    say(rig, 2, RelayMessage(RelayCommand.TRUNCATED, 0, b"\0"))
    rig.run(Seconds(1.0))

    assert rig.events[0] == [Truncated(1, Reason.REQUESTED)]


def test_a_notice_repeated_while_extending_again_is_no_matter():
    rig = CircuitRig(3)
    circuit = rig.built(2)
    rig.relays[0].destroy_next(rig.relays[0].route)
    rig.run(Seconds(0.1))
    circuit.extend(rig.relays[2].spec, rig.now)

    say(rig, 1, RelayMessage(RelayCommand.TRUNCATED, 0, bytes([Reason.LINK_CLOSED])))
    rig.run(Seconds(1.0))

    assert circuit.is_open
    assert circuit.hops == 2
    assert circuit.stats.stale == 1


@pytest.mark.parametrize("data", [b"", b"\1", b"\0\0"])
def test_joined_with_anything_but_its_part_byte_closes_the_circuit(data):
    rig = CircuitRig(1)
    circuit = rig.built(1)
    circuit.request(RelayCommand.ESTABLISH, bytes(20), rig.now)

    say(rig, 1, RelayMessage(RelayCommand.JOINED, 0, data))

    assert rig.events[0][-1] == CLOSED


def test_an_introduction_under_way_when_its_hop_is_cut_off_is_dropped():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    circuit.request(RelayCommand.REGISTER, b"", rig.now)
    rig.relays[1].route.hop.request(RelayCommand.INTRODUCTION, bytes(1520), rig.now)
    circuit.truncate(1, rig.now)
    rig.run(Seconds(1.0))

    (introduction,) = [e for e in rig.events[0] if isinstance(e, RequestReceived)]
    circuit.answer(2, introduction.stream_id, b"\0", rig.now)

    assert rig.events[0][-1] == Truncated(1, Reason.REQUESTED)


def test_a_pong_with_other_bytes_closes_the_circuit():
    rig = CircuitRig(1)
    circuit = rig.built(1)
    stream_id = circuit.ping(1, rig.now)

    say(rig, 1, RelayMessage(RelayCommand.PONG, stream_id, b"x"))

    assert rig.events[0] == [CLOSED]


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


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=1210), max_size=4))
def test_any_cells_are_survived(cells):
    rig = CircuitRig(1)
    circuit = rig.build([0])

    circuit.receive(cells, rig.now)

    assert circuit.state in {OriginState.CREATING, OriginState.CLOSED}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.binary(max_size=50), st.integers(0, 255)), max_size=5),
    st.integers(1, 2),
)
def test_any_bytes_under_a_good_tag_are_survived(inners, hop):
    rig = CircuitRig(2)
    circuit = rig.built(2)

    for inner, kind in inners:
        say(rig, hop, inner, kind)

    assert circuit.state in {OriginState.OPEN, OriginState.CLOSED}
