"""What a hop answers, asks and carries, against the layers of an origin."""

import pytest

from psp.circuit.commands import ANSWERS, TO_HOP, WHOLE_SIZES, to_messages
from psp.circuit.events import HopClosed, RequestAnswered, RequestReceived
from psp.circuit.state import HOP_TAKES, HopState
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.onion import Kind, message_capacity
from psp.wire.relay_message import RelayCommand, RelayMessage
from tests.unit.psp.circuit.hop_bench import START, Bench


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


def test_every_answer_fits_every_hop():
    for answer in ANSWERS.values():
        size = WHOLE_SIZES.get(answer, 64)
        messages = to_messages(answer, 1, bytes(size), message_capacity(4))
        assert all(len(message.data) <= 1106 for message in messages)
