"""What a hop must not say to an origin, and that any bytes are survived."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.circuit.events import BlocksReceived, CircuitClosed
from psp.circuit.state import OriginState
from psp.testing.circuits import CircuitRig
from psp.wire.cell import Cell, CellCommand, Reason
from psp.wire.relay_message import RelayCommand, RelayMessage
from tests.unit.psp.circuit.origin_rig import CLOSED, closed_for, say

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


@pytest.mark.parametrize("data", [b"", b"\1", b"\0\0"])
def test_joined_with_anything_but_its_part_byte_closes_the_circuit(data):
    rig = CircuitRig(1)
    circuit = rig.built(1)
    circuit.request(RelayCommand.ESTABLISH, bytes(20), rig.now)

    say(rig, 1, RelayMessage(RelayCommand.JOINED, 0, data))

    assert rig.events[0][-1] == CLOSED


def test_a_pong_with_other_bytes_closes_the_circuit():
    rig = CircuitRig(1)
    circuit = rig.built(1)
    stream_id = circuit.ping(1, rig.now)

    say(rig, 1, RelayMessage(RelayCommand.PONG, stream_id, b"x"))

    assert rig.events[0] == [CLOSED]


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
