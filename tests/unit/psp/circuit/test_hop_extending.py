"""A hop gets a next hop, passes cells on to it, and loses it again."""

import pytest

from psp.circuit.events import ExtendRequested, TruncateRequested
from psp.circuit.hop import HopCircuit
from psp.circuit.limits import MAX_EXTENDS
from psp.circuit.state import HopState
from psp.circuit.stats import HopStats
from psp.ids import CircuitId, NodeId
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.onion import Kind, inner_size
from psp.wire.relay_message import RelayCommand, RelayMessage
from tests.unit.psp.circuit.hop_bench import KEYS, START, Bench


def test_extend_is_handed_to_the_relay_and_answered():
    bench = Bench(2)

    stream_id = bench.ask(RelayCommand.EXTEND)
    (event,) = bench.events()
    assert bench.hop.state is HopState.EXTENDING
    bench.hop.extended(stream_id, CircuitId(55), b"r" * 1184, START)

    assert event == ExtendRequested(
        stream_id, NodeId(b"n" * 32), Endpoint("192.0.2.9", 9), b"c" * 1344
    )
    assert bench.told() == [
        RelayMessage(RelayCommand.EXTENDED, stream_id, b"\1" + b"r" * 592),
        RelayMessage(RelayCommand.EXTENDED, stream_id, b"\2" + b"r" * 592),
    ]
    assert bench.hop.state is HopState.PASSING


def test_cells_are_passed_on_once_there_is_a_next_hop():
    bench = Bench(2)
    bench.extend()
    inner = bytes(range(256)) * 5
    cell = bench.cell(inner[: inner_size(2)], Kind.AUDIO)

    plaintext = bench.hop.open_forward(cell, START)

    assert plaintext == bytes([Kind.AUDIO]) + inner[: inner_size(2)]
    assert bench.hop.forward_cell(plaintext) == (
        b"\0\0\0\x37\0" + inner[: inner_size(2)] + bytes(42)
    )


def test_cells_that_go_nowhere_are_counted():
    stats = HopStats()
    bench = Bench()
    bench.hop = HopCircuit(CircuitId(1), 1, KEYS, stats, START)

    cell = bench.cell(bytes(inner_size(1)), Kind.PASS)

    assert bench.hop.open_forward(cell, START) is None
    assert stats == HopStats(not_extended=1)
    assert bench.told() == []


def test_early_cells_are_passed_on():
    bench = Bench()
    bench.extend()

    plaintext = bench.hop.open_forward(
        bench.cell(bytes(inner_size(1)), Kind.EARLY), START
    )

    assert plaintext[0] == Kind.EARLY


def test_there_is_no_fifth_hop():
    bench = Bench(4)

    stream_id = bench.ask(RelayCommand.EXTEND)

    assert bench.events() == []
    (message,) = bench.told()
    assert message == RelayMessage(
        RelayCommand.REFUSED, stream_id, bytes([Reason.RESOURCE_LIMIT])
    )


def test_a_hop_extends_so_often_and_no_more():
    bench = Bench()
    for _ in range(MAX_EXTENDS):
        bench.extend()
        bench.ask(RelayCommand.TRUNCATE)
        bench.told()
    bench.events()

    bench.ask(RelayCommand.EXTEND)

    assert bench.events() == []
    assert [message.command for message in bench.told()] == [RelayCommand.REFUSED]


def test_a_failed_extension_leaves_the_hop_the_last():
    bench = Bench()
    stream_id = bench.ask(RelayCommand.EXTEND)

    bench.hop.extend_failed(stream_id, Reason.NO_SUCH_NODE, START)
    bench.hop.extended(stream_id, CircuitId(3), bytes(1184), START)

    assert bench.hop.state is HopState.LAST
    assert [message.data for message in bench.told()] == [bytes([Reason.NO_SUCH_NODE])]


@pytest.mark.parametrize("state", [HopState.LAST, HopState.EXTENDING, HopState.PASSING])
def test_truncate_is_answered_in_any_state(state):
    bench = Bench()
    bench.enter(state)

    stream_id = bench.ask(RelayCommand.TRUNCATE)

    has_rest = state is not HopState.LAST
    assert bench.events() == [TruncateRequested()] * has_rest
    assert bench.hop.state is HopState.LAST
    assert bench.hop.next_head is None
    answer = RelayMessage(RelayCommand.TRUNCATED, stream_id, bytes([Reason.REQUESTED]))
    assert bench.told()[-1] == answer


def test_a_repeated_truncate_does_not_cut_a_new_end():
    bench = Bench()
    bench.extend()
    bench.ask(RelayCommand.TRUNCATE)
    bench.extend()

    bench.send(RelayMessage(RelayCommand.TRUNCATE, bench.stream_id - 2, b""))

    assert bench.hop.state is HopState.PASSING


def test_the_origin_is_told_that_the_next_hop_is_gone_until_it_reacts():
    bench = Bench()
    bench.extend()
    lost = RelayMessage(RelayCommand.TRUNCATED, 0, bytes([Reason.LINK_CLOSED]))

    bench.hop.next_closed(Reason.LINK_CLOSED, START)
    assert bench.told() == [lost]
    bench.hop.next_closed(Reason.LINK_CLOSED, START)
    told = []
    for tenth in range(1, 25):
        now = Monotonic(START + tenth / 10)
        bench.hop.open_forward(bench.cell(bytes(inner_size(1)), Kind.PASS), now)
        told += bench.told(now)
    assert told == [lost, lost]
    bench.extend(Monotonic(START + 3))

    cell = bench.cell(bytes(inner_size(1)), Kind.PASS)
    assert bench.hop.open_forward(cell, Monotonic(START + 9)) is not None
    assert bench.told(Monotonic(START + 9)) == []
