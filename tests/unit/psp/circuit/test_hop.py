"""The relay's end of a circuit, against the layers of an origin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.circuit.commands import ANSWERS, TO_HOP, WHOLE_SIZES, to_messages
from psp.circuit.events import (
    ExtendRequested,
    HopClosed,
    RequestAnswered,
    RequestReceived,
    TruncateRequested,
)
from psp.circuit.hop import HopCircuit
from psp.circuit.layers import Layers
from psp.circuit.limits import MAX_EXTENDS
from psp.circuit.report import (
    EARLY_REPORT_INTERVAL,
    REPORT_INTERVAL,
    DirectionReport,
    Report,
)
from psp.circuit.state import HOP_TAKES, HopState
from psp.circuit.stats import HopStats
from psp.crypto.circuit_handshake import HopKeys
from psp.crypto.kdf import LayerKeys
from psp.ids import CircuitId, NodeId
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.extend import Extend
from psp.wire.onion import MAX_EARLY, Kind, inner_size, message_capacity
from psp.wire.relay_message import RelayCommand, RelayMessage

START = Monotonic(100.0)
KEYS = HopKeys(LayerKeys(b"f" * 32, 7, b"f"), LayerKeys(b"b" * 32, 9, b"b"), b"h" * 32)
EXTEND = Extend(NodeId(b"n" * 32), Endpoint("192.0.2.9", 9), b"c" * 1344).encode()


class Bench:
    """One hop on a bench: we play the origin and the relay around it."""

    def __init__(self, hop=1):
        self.layers = Layers(CircuitId(1))
        for _ in range(hop):
            self.layers.add(KEYS)
        self.hop = HopCircuit(CircuitId(1), hop, KEYS, HopStats(), START)
        self.index = hop
        self.stream_id = -1
        self.marks = 0

    def cell(self, inner, kind):
        plaintext = bytes([kind]) + inner
        body = self.layers[self.index].sealing.seal(plaintext)
        return bytes(5) + body + self.hop.padding

    def send(self, message, kind=Kind.MESSAGE, now=START):
        inner = message.encode().ljust(inner_size(self.index), b"\0")
        return self.hop.open_forward(self.cell(inner, kind), now)

    def ask(self, command, data=None, now=START):
        self.stream_id += 2
        if data is None:
            data = b"" if command is RelayCommand.TRUNCATE else b"d"
            data = EXTEND if command is RelayCommand.EXTEND else data
            if command is RelayCommand.INTRODUCE:
                data = bytes(WHOLE_SIZES[command])
        is_extend = command is RelayCommand.EXTEND
        kind = Kind.MESSAGE | (Kind.EARLY if is_extend else 0)
        for message in to_messages(command, self.stream_id, data, 1106):
            assert self.send(message, kind, now) is None
        return self.stream_id

    def told(self, now=START):
        """Return the messages to the origin."""
        messages = []
        for cell in self.hop.cells_to_send(now):
            assert len(cell) == 1200
            plaintext = self.layers[self.index].opening.open(cell, 5, self.hop.body_end)
            assert plaintext[0] & ~Kind.CONGESTED == Kind.MESSAGE
            self.marks += bool(plaintext[0] & Kind.CONGESTED)
            messages.append(RelayMessage.decode(plaintext[1:]))
        return messages

    def events(self):
        return list(iter(self.hop.next_event, None))

    def extend(self, now=START):
        stream_id = self.ask(RelayCommand.EXTEND, now=now)
        self.hop.extended(stream_id, CircuitId(55), bytes(1184), now)
        self.told(now)
        self.events()

    def enter(self, state):
        if state is HopState.EXTENDING:
            self.ask(RelayCommand.EXTEND)
            self.events()
        elif state is HopState.PASSING:
            self.extend()
        elif state is HopState.CLOSED:
            self.hop.close()
        assert self.hop.state is state


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


def test_blocks_are_for_the_last_hop():
    bench = Bench(3)
    block = RelayMessage(RelayCommand.BLOCK, 0, b"b" * 1106)

    plaintext = bench.send(block, Kind.MESSAGE | Kind.AUDIO)
    assert bench.hop.block_of(plaintext) == b"b" * 1106
    bench.extend()

    assert bench.send(block) is None
    assert bench.events() == []


@pytest.mark.parametrize("state", list(HopState))
@pytest.mark.parametrize("command", sorted(RelayCommand))
def test_every_message_in_every_state(state, command):
    bench = Bench()
    bench.enter(state)
    is_request = command in TO_HOP
    if is_request:
        bench.ask(command)
    else:
        size = {RelayCommand.REPORT: 40, RelayCommand.BLOCK: 1105}.get(command, 1)
        bench.send(RelayMessage(command, 1, bytes(size)))

    if state is HopState.CLOSED:
        assert bench.events() == []
        assert bench.told() == []
    elif is_request and state in HOP_TAKES[command]:
        assert bench.hop.state is not HopState.CLOSED
        assert bench.events() or bench.told()
    else:
        assert bench.hop.state is HopState.CLOSED
        assert bench.events() == [HopClosed(Reason.PROTOCOL)]


@pytest.mark.parametrize("command", sorted(TO_HOP - {RelayCommand.PING}))
def test_requests_are_answered_refused_and_repeated(command):
    bench = Bench()
    stream_id = bench.ask(command)
    bench.events()
    bench.hop.refuse(stream_id, Reason.REFUSED, START)
    first = bench.told()
    bench.hop.answer(stream_id, b"late", START)
    assert bench.told() == []

    bench.stream_id -= 2
    bench.ask(command)

    assert bench.told()[0] == first[0]
    assert bench.events() == []


def test_ping_is_answered_at_once():
    bench = Bench(4)

    bench.send(RelayMessage(RelayCommand.PING, 9, b"echo"))

    assert bench.told() == [RelayMessage(RelayCommand.PONG, 9, b"echo")]


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


def test_the_origin_can_be_asked():
    bench = Bench()

    stream_id = bench.hop.request(RelayCommand.INTRODUCTION, bytes(1520), START)
    messages = bench.told()
    bench.send(RelayMessage(RelayCommand.INTRODUCTION_ACK, stream_id, b"\0\0"))

    assert [message.data[0] for message in messages] == [1, 2]
    assert bench.events() == [
        RequestAnswered(1, 2, RelayCommand.INTRODUCTION_ACK, b"\0", 0.0)
    ]


def test_stream_ids_of_a_hop_are_not_used_again_after_its_memory_was_freed():
    bench = Bench()
    first = bench.hop.request(RelayCommand.INTRODUCTION, bytes(1520), START)
    bench.told()
    bench.send(RelayMessage(RelayCommand.INTRODUCTION_ACK, first, b"\0\0"))
    bench.events()
    bench.hop.handle_timeout(Monotonic(START + 40))

    later = Monotonic(START + 41)
    assert bench.hop.request(RelayCommand.INTRODUCTION, bytes(1520), later) == 4


def test_the_origin_is_not_asked_too_much_nor_after_the_end():
    bench = Bench()
    for _ in range(32):
        assert bench.hop.request(RelayCommand.INTRODUCTION, bytes(1520), START)

    assert bench.hop.request(RelayCommand.INTRODUCTION, bytes(1520), START) is None
    bench.hop.close()
    assert bench.hop.request(RelayCommand.INTRODUCTION, bytes(1520), START) is None


def test_joined_is_told_on_stream_zero():
    bench = Bench(3)

    bench.hop.joined()

    assert bench.told() == [RelayMessage(RelayCommand.JOINED, 0, b"\0")]
    bench.hop.close()
    bench.hop.joined()
    assert bench.told() == []


def test_reports_come_every_ten_seconds_while_cells_are_carried():
    bench = Bench(2)
    bench.extend()
    for _ in range(3):
        bench.hop.open_forward(bench.cell(bytes(inner_size(2)), 0), START)
    bench.hop.open_forward(bench.cell(bytes(inner_size(2)), 0)[:-50], START)
    bench.hop.backward_cell(bytes(1200))
    bench.hop.dropped_forward = 2
    bench.hop.dropped_backward = 1

    due = bench.hop.next_timeout()
    assert due == START + REPORT_INTERVAL
    (message,) = bench.told(due)
    assert bench.told(Monotonic(due + REPORT_INTERVAL)) == []
    bench.hop.backward_cell(bytes(1200))
    (second,) = bench.told(Monotonic(due + 2 * REPORT_INTERVAL))

    assert Report.decode(message.data) == Report(
        DirectionReport(5, bad_tag=1, dropped=2), DirectionReport(1, dropped=1)
    )
    assert Report.decode(second.data).backward.received == 2


def test_a_warning_is_a_report_at_once_in_a_marked_cell():
    bench = Bench(2)
    bench.told(Monotonic(START + REPORT_INTERVAL))
    now = Monotonic(START + REPORT_INTERVAL + 1.0)

    bench.hop.dropped_forward = 3
    bench.hop.warn(now)
    (message,) = bench.told(now)

    assert Report.decode(message.data).forward.dropped == 3
    assert bench.marks == 1
    assert bench.hop.next_timeout() == now + REPORT_INTERVAL


def test_warnings_come_ten_times_a_second_at_most():
    bench = Bench(2)
    reports = []
    for step in range(101):
        now = Monotonic(START + 5.0 + step * 0.01)
        bench.hop.dropped_backward += 1
        bench.hop.warn(now)
        reports += bench.told(now)

    told = [Report.decode(message.data).backward.dropped for message in reports]
    assert told == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 101]
    assert bench.marks == len(told)


def test_the_last_warning_is_given_although_none_follows():
    bench = Bench(2)
    now = Monotonic(START + 5.0)
    for _ in range(2):
        bench.hop.dropped_forward += 1
        bench.hop.warn(now)
        bench.told(now)

    due = bench.hop.next_timeout()
    (last,) = bench.told(due)

    assert due == now + EARLY_REPORT_INTERVAL
    assert Report.decode(last.data).forward.dropped == 2


def test_reports_without_a_warning_carry_no_mark():
    bench = Bench(2)
    bench.extend()
    bench.hop.warn(START)
    bench.told(Monotonic(START + REPORT_INTERVAL))
    bench.hop.backward_cell(bytes(1200))

    assert len(bench.told(Monotonic(START + 2 * REPORT_INTERVAL))) == 1
    assert bench.marks == 1


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


def test_closing_twice_is_harmless():
    bench = Bench()

    bench.hop.close()
    bench.hop.close()
    bench.hop.handle_timeout(Monotonic(START + 100))
    bench.hop.answer(1, b"", START)
    bench.hop.refuse(1, Reason.NONE, START)
    bench.hop.extend_failed(1, Reason.NONE, START)
    bench.hop.next_closed(Reason.NONE, START)

    assert bench.hop.state is HopState.CLOSED
    assert bench.events() == []


def test_an_idle_circuit_remembers_nothing_of_its_requests():
    bench = Bench()
    stream_id = bench.ask(RelayCommand.FETCH)
    assert bench.events() == [RequestReceived(1, stream_id, RelayCommand.FETCH, b"d")]
    bench.hop.answer(stream_id, b"x" * 1000, START)
    bench.told()
    assert bench.hop.next_timeout() == START + 10

    bench.hop.handle_timeout(Monotonic(START + 31))

    bench.stream_id -= 2
    bench.ask(RelayCommand.FETCH, now=Monotonic(START + 31))
    assert len(bench.events()) == 1


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


def test_every_answer_fits_every_hop():
    for answer in ANSWERS.values():
        size = WHOLE_SIZES.get(answer, 64)
        messages = to_messages(answer, 1, bytes(size), message_capacity(4))
        assert all(len(message.data) <= 1106 for message in messages)
