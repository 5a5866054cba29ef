"""What an origin must not send to a hop, and that any bytes are survived."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.circuit.commands import to_messages
from psp.circuit.events import HopClosed
from psp.circuit.hop import HopCircuit
from psp.circuit.state import HopState
from psp.circuit.stats import HopStats
from psp.ids import CircuitId
from psp.wire.cell import Reason
from psp.wire.onion import MAX_EARLY, Kind, inner_size
from psp.wire.relay_message import RelayCommand, RelayMessage
from tests.unit.psp.circuit.hop_bench import EXTEND, KEYS, START, Bench


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (b"", Kind.MESSAGE | 0x10),
        (b"", 0x80),
        (b"\xff" + bytes(4), Kind.MESSAGE),
        (b"\5\0\1\0\0\1", Kind.MESSAGE),
        (b"\5\0\1\xff\xff", Kind.MESSAGE),
        (b"\3\0\1\0\1\0", Kind.MESSAGE),
        (b"\x24\0\0\4\x52" + bytes(1106) + b"\1", Kind.MESSAGE),
        (b"\x24\0\1\4\x52" + bytes(1106), Kind.MESSAGE),
        (b"\5\0\2\0\0", Kind.MESSAGE),
        (b"\5\0\0\0\0", Kind.MESSAGE),
    ],
    ids=[
        "reserved bit",
        "reserved bit of a cell to pass on",
        "unknown command",
        "padding",
        "length",
        "truncate with data",
        "padding of a block",
        "block with a stream",
        "request on a stream of ours",
        "request on no stream",
    ],
)
def test_malformed_messages_close_the_circuit(inner, kind):
    bench = Bench()

    cell = bench.cell(inner.ljust(inner_size(1), b"\0"), kind)

    assert bench.hop.open_forward(cell, START) is None
    assert bench.events() == [HopClosed(Reason.PROTOCOL)]
    assert bench.hop.next_timeout() is None
    assert bench.hop.cells_to_send(START) == []


def test_extend_needs_an_early_cell():
    bench = Bench()
    message = to_messages(RelayCommand.EXTEND, 1, EXTEND, 1106)[0]

    bench.send(message, Kind.MESSAGE)

    assert bench.events() == [HopClosed(Reason.PROTOCOL)]


@pytest.mark.parametrize("kind", [Kind.EARLY, Kind.EARLY | Kind.MESSAGE])
def test_one_early_cell_too_many_closes_the_circuit(kind):
    bench = Bench()
    bench.extend()
    inner = RelayMessage(RelayCommand.PING, 7, b"").encode()
    inner = inner.ljust(inner_size(1), b"\0")

    passed = 2
    while bench.hop.state is HopState.PASSING:
        bench.hop.open_forward(bench.cell(inner, kind), START)
        passed += 1

    assert passed == MAX_EARLY + 1
    assert bench.events() == [HopClosed(Reason.PROTOCOL)]


def test_32_bad_tags_in_ten_seconds_close_the_circuit():
    stats = HopStats()
    bench = Bench()
    bench.hop = HopCircuit(CircuitId(1), 1, KEYS, stats, START)

    for _ in range(40):
        cell = bench.cell(bytes(inner_size(1)), 0)
        bench.hop.open_forward(cell[:-1] + bytes([cell[-1] ^ 1]), START)

    assert bench.events() == [HopClosed(Reason.PROTOCOL)]
    assert stats == HopStats(bad_tag=40, protocol=1, too_many_bad_tags=1)


def test_replays_are_counted_and_close_nothing():
    stats = HopStats()
    bench = Bench()
    bench.hop = HopCircuit(CircuitId(1), 1, KEYS, stats, START)
    cell = bench.cell(RelayMessage(RelayCommand.PING, 1, b"").encode(), 0)
    bench.extend()

    for _ in range(100):
        bench.hop.open_forward(cell, START)

    assert stats.replayed == 99
    assert bench.hop.state is HopState.PASSING


@given(st.lists(st.tuples(st.binary(max_size=12), st.integers(0, 255)), max_size=12))
def test_any_bytes_under_a_good_tag_are_handled_or_close_the_circuit(inners):
    bench = Bench()
    for inner, kind in inners:
        cell = bench.cell(inner.ljust(inner_size(1), b"\0"), kind)
        bench.hop.open_forward(cell, START)
    events = bench.events()
    assert (bench.hop.state is HopState.CLOSED) == (
        HopClosed(Reason.PROTOCOL) in events
    )


@given(st.binary(max_size=1300))
def test_any_cell_is_survived(cell):
    bench = Bench()

    assert bench.hop.open_forward(cell, START) is None
    assert bench.hop.state is HopState.LAST
