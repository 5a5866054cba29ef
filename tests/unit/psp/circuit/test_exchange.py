"""Requests and answers between two exchanges over a bad path."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.circuit.commands import ANSWERS, TO_HOP, TO_ORIGIN, WHOLE_SIZES
from psp.circuit.events import RequestAnswered, RequestFailed, RequestReceived
from psp.circuit.exchange import (
    FIRST_HOP_STREAM,
    FIRST_ORIGIN_STREAM,
    MAX_ANSWERS,
    MAX_ASKED,
    Exchange,
)
from psp.circuit.retry import GIVE_UP_AFTER, SEND_TIMES
from psp.errors import LocalProtocolError, RemoteProtocolError
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.onion import message_capacity
from psp.wire.relay_message import RelayCommand, RelayMessage

START = Monotonic(50.0)


def origin_end():
    return Exchange(
        3,
        first_stream_id=FIRST_ORIGIN_STREAM,
        accepts=TO_ORIGIN,
        capacity=message_capacity(3),
    )


def hop_end():
    return Exchange(
        3,
        first_stream_id=FIRST_HOP_STREAM,
        accepts=TO_HOP,
        capacity=message_capacity(3),
    )


def events_of(exchange):
    return list(iter(exchange.next_event, None))


def carry(sender, receiver, now):
    messages = sender.messages_to_send()
    for message in messages:
        receiver.receive(RelayMessage.decode(message.encode()), now)
    return len(messages)


def data_for(command):
    return b"d" * WHOLE_SIZES.get(command, 33)


ASKED_OF_HOPS = sorted(TO_HOP - {RelayCommand.PING})


@pytest.mark.parametrize("command", ASKED_OF_HOPS)
def test_every_request_is_received_and_answered_whole(command):
    origin, hop = origin_end(), hop_end()
    answer = data_for(ANSWERS[command])

    stream_id = origin.request(command, data_for(command), START)
    carry(origin, hop, START)
    assert events_of(hop) == [RequestReceived(3, stream_id, command, data_for(command))]
    hop.answer(stream_id, answer, START)
    carry(hop, origin, Monotonic(START + 0.125))

    assert events_of(origin) == [
        RequestAnswered(3, stream_id, ANSWERS[command], answer, 0.125)
    ]


def test_introductions_are_asked_in_the_other_direction():
    origin, hop = origin_end(), hop_end()

    stream_id = hop.request(RelayCommand.INTRODUCTION, bytes(1520), START)
    carry(hop, origin, START)
    (event,) = events_of(origin)
    origin.answer(event.stream_id, b"\0", START)
    carry(origin, hop, START)

    assert stream_id == 2
    assert [type(event) for event in events_of(hop)] == [RequestAnswered]


def test_both_ends_may_ask_at_once():
    origin, hop = origin_end(), hop_end()

    origin.request(RelayCommand.FETCH, b"a", START)
    hop.request(RelayCommand.INTRODUCTION, bytes(1520), START)
    carry(origin, hop, START)
    carry(hop, origin, START)

    assert [event.command for event in events_of(hop)] == [RelayCommand.FETCH]
    assert [e.command for e in events_of(origin)] == [RelayCommand.INTRODUCTION]


def test_stream_ids_go_on_from_the_start_when_used_up():
    origin = Exchange(3, first_stream_id=65535, accepts=TO_ORIGIN, capacity=1127)
    hop = Exchange(3, first_stream_id=65534, accepts=TO_HOP, capacity=1127)

    assert origin.request(RelayCommand.PING, b"", START) == 65535
    assert origin.request(RelayCommand.PING, b"", START) == 1
    assert hop.request(RelayCommand.INTRODUCTION, bytes(1520), START) == 65534
    assert hop.next_stream_id == 2


def test_ping_is_echoed_without_an_event_and_without_memory():
    origin, hop = origin_end(), hop_end()

    stream_id = origin.request(RelayCommand.PING, b"echo", START)
    carry(origin, hop, START)
    carry(hop, origin, Monotonic(START + 0.5))

    assert events_of(hop) == []
    assert hop.is_idle
    assert events_of(origin) == [
        RequestAnswered(3, stream_id, RelayCommand.PONG, b"echo", 0.5)
    ]


def test_refusal_fails_the_request_with_its_reason():
    origin, hop = origin_end(), hop_end()

    stream_id = origin.request(RelayCommand.LOOKUP, bytes(21), START)
    carry(origin, hop, START)
    hop.refuse(stream_id, Reason.REFUSED, START)
    carry(hop, origin, START)

    assert events_of(origin) == [
        RequestFailed(
            3, stream_id, RelayCommand.LOOKUP, Reason.REFUSED, is_refused=True
        )
    ]


def test_silence_is_asked_again_on_schedule_and_then_given_up():
    origin = origin_end()
    sent = []

    stream_id = origin.request(RelayCommand.LOOKUP, bytes(21), START)
    sent += [START] * len(origin.messages_to_send())
    for _ in range(40):
        now = origin.next_timeout()
        origin.handle_timeout(now)
        sent += [now] * len(origin.messages_to_send())
        if events := events_of(origin):
            break

    assert sent == pytest.approx([START + time for time in SEND_TIMES])
    assert now == pytest.approx(START + GIVE_UP_AFTER)
    assert events == [
        RequestFailed(
            3, stream_id, RelayCommand.LOOKUP, Reason.TIMEOUT, is_refused=False
        )
    ]


def test_only_the_half_whose_answer_is_missing_is_asked_again():
    origin, hop = origin_end(), hop_end()
    stream_id = origin.request(RelayCommand.EXTEND, bytes(1432), START)
    carry(origin, hop, START)
    hop.answer(stream_id, bytes(1184), START)
    origin.receive(hop.messages_to_send()[0], START)

    origin.handle_timeout(origin.next_timeout())
    (again,) = origin.messages_to_send()

    assert again.data[0] == 2


def test_a_repeated_half_brings_back_its_half_of_the_answer_twice():
    origin, hop = origin_end(), hop_end()
    stream_id = origin.request(RelayCommand.EXTEND, bytes(1432), START)
    halves = origin.messages_to_send()
    for half in halves:
        hop.receive(half, START)
    hop.answer(stream_id, bytes(1184), START)
    first = hop.messages_to_send()

    hop.receive(halves[1], Monotonic(START + 1))

    assert hop.messages_to_send() == [first[1], first[1]]
    assert len(events_of(hop)) == 1


def test_a_request_repeated_before_its_answer_does_nothing():
    origin, hop = origin_end(), hop_end()
    origin.request(RelayCommand.FETCH, b"x", START)
    (message,) = origin.messages_to_send()

    for _ in range(5):
        hop.receive(message, START)

    assert len(events_of(hop)) == 1
    assert hop.messages_to_send() == []


def test_round_trip_is_unknown_when_asked_more_than_once():
    origin, hop = origin_end(), hop_end()
    stream_id = origin.request(RelayCommand.FETCH, b"x", START)
    later = origin.next_timeout()
    origin.handle_timeout(later)
    carry(origin, hop, later)
    hop.answer(stream_id, b"y", later)
    carry(hop, origin, later)

    (event,) = events_of(origin)

    assert event.round_trip is None


def test_late_answers_are_taken_in_silence_as_often_as_was_asked():
    origin, hop = origin_end(), hop_end()
    stream_id = origin.request(RelayCommand.FETCH, b"x", START)
    (request,) = origin.messages_to_send()
    hop.receive(request, START)
    hop.answer(stream_id, b"y", START)
    (answer,) = hop.messages_to_send()

    origin.receive(answer, START)
    origin.receive(answer, START)

    assert len(events_of(origin)) == 1
    with pytest.raises(RemoteProtocolError, match="nothing"):
        origin.receive(answer, START)


def test_more_halves_than_were_asked_for_are_a_breach():
    origin = origin_end()
    stream_id = origin.request(RelayCommand.EXTEND, bytes(1432), START)
    origin.messages_to_send()
    half = RelayMessage(RelayCommand.EXTENDED, stream_id, b"\1" + bytes(592))
    for _ in range(4):
        origin.receive(half, START)

    with pytest.raises(RemoteProtocolError, match="more answers"):
        origin.receive(half, START)


@pytest.mark.parametrize(
    "message",
    [
        RelayMessage(RelayCommand.FOUND, 1, b"\0"),
        RelayMessage(RelayCommand.FETCHED, 3, b"\0"),
        RelayMessage(RelayCommand.REFUSED, 1, b""),
        RelayMessage(RelayCommand.REFUSED, 1, b"\1\1"),
        RelayMessage(RelayCommand.FETCHED, 1, b"\1"),
        RelayMessage(RelayCommand.FETCHED, 1, b""),
        RelayMessage(RelayCommand.FETCH, 2, b"\0"),
        RelayMessage(RelayCommand.INTRODUCTION, 0, b"\1" + bytes(760)),
        RelayMessage(RelayCommand.INTRODUCTION, 1, b"\1" + bytes(760)),
        RelayMessage(RelayCommand.INTRODUCTION, 2, b"\1" + bytes(759)),
        RelayMessage(RelayCommand.REPORT, 0, bytes(40)),
        RelayMessage(RelayCommand.BLOCK, 0, bytes(1106)),
    ],
)
def test_what_nobody_asked_for_is_a_breach(message):
    origin = origin_end()
    origin.request(RelayCommand.FETCH, b"x", START)

    with pytest.raises(RemoteProtocolError):
        origin.receive(message, START)


def test_two_requests_on_one_stream_are_a_breach():
    hop = hop_end()
    hop.receive(RelayMessage(RelayCommand.FETCH, 1, b"\0"), START)

    with pytest.raises(RemoteProtocolError, match="two requests"):
        hop.receive(RelayMessage(RelayCommand.LOOKUP, 1, b"\0"), START)


def test_an_overlong_ping_is_a_breach_and_is_not_sent():
    with pytest.raises(RemoteProtocolError, match="PING"):
        hop_end().receive(RelayMessage(RelayCommand.PING, 1, bytes(65)), START)
    with pytest.raises(LocalProtocolError, match="PING"):
        origin_end().request(RelayCommand.PING, bytes(65), START)


def test_commands_that_do_not_ask_are_not_asked():
    with pytest.raises(LocalProtocolError):
        origin_end().request(RelayCommand.PONG, b"", START)


def test_asking_too_much_at_a_time_raises():
    origin = origin_end()
    for _ in range(MAX_ASKED):
        assert origin.can_ask
        origin.request(RelayCommand.FETCH, b"x", START)

    assert not origin.can_ask
    with pytest.raises(LocalProtocolError):
        origin.request(RelayCommand.FETCH, b"x", START)


def test_the_17th_unanswered_request_is_refused_and_not_kept():
    hop = hop_end()
    for i in range(MAX_ANSWERS + 1):
        hop.receive(RelayMessage(RelayCommand.FETCH, 1 + 2 * i, b"\0"), START)

    assert len(events_of(hop)) == MAX_ANSWERS
    refusal = RelayMessage(RelayCommand.REFUSED, 33, bytes([Reason.RESOURCE_LIMIT]))
    assert hop.messages_to_send() == [refusal]


def test_the_oldest_answer_makes_room_for_a_new_request():
    hop = hop_end()
    requests = [
        RelayMessage(RelayCommand.FETCH, 1 + 2 * i, b"\0")
        for i in range(MAX_ANSWERS + 1)
    ]
    for request in requests:
        hop.receive(request, START)
        hop.answer(request.stream_id, b"x", START)
    hop.messages_to_send()
    events_of(hop)

    hop.receive(requests[1], START)
    assert events_of(hop) == []
    hop.receive(requests[0], START)
    assert len(events_of(hop)) == 1


def test_answers_are_forgotten_after_thirty_seconds():
    origin, hop = origin_end(), hop_end()
    stream_id = origin.request(RelayCommand.FETCH, b"x", START)
    carry(origin, hop, START)
    hop.answer(stream_id, b"y", START)
    carry(hop, origin, START)
    events_of(origin)
    events_of(hop)
    assert not hop.is_idle
    assert not origin.is_idle

    for exchange in (origin, hop):
        assert exchange.next_timeout() == START + 30
        exchange.handle_timeout(Monotonic(START + 30))

        assert exchange.is_idle
        assert exchange.next_timeout() is None


def test_unanswered_requests_expire_and_late_answers_are_dropped():
    hop = hop_end()
    hop.receive(RelayMessage(RelayCommand.FETCH, 1, b"\0"), START)
    hop.handle_timeout(Monotonic(START + 30))

    hop.answer(1, b"x", Monotonic(START + 31))
    hop.refuse(1, Reason.REFUSED, Monotonic(START + 31))

    assert hop.messages_to_send() == []


def test_a_second_answer_is_dropped():
    hop = hop_end()
    hop.receive(RelayMessage(RelayCommand.FETCH, 1, b"\0"), START)

    hop.answer(1, b"x", START)
    hop.answer(1, b"z", START)
    hop.refuse(1, Reason.REFUSED, START)

    assert [message.data for message in hop.messages_to_send()] == [b"\0x"]


def test_half_requests_expire():
    hop = hop_end()
    hop.receive(RelayMessage(RelayCommand.EXTEND, 1, b"\1" + bytes(716)), START)

    assert hop.next_timeout() == START + 2
    hop.handle_timeout(Monotonic(START + 2))

    assert hop.is_idle


def test_abandoning_fails_everything_asked():
    origin = origin_end()
    first = origin.request(RelayCommand.FETCH, b"x", START)
    second = origin.request(RelayCommand.LOOKUP, b"x", START)

    origin.abandon(Reason.REQUESTED, START)

    assert [(e.stream_id, e.reason) for e in events_of(origin)] == [
        (first, Reason.REQUESTED),
        (second, Reason.REQUESTED),
    ]


def test_ended_requests_are_remembered_up_to_a_limit():
    origin, hop = origin_end(), hop_end()
    answers = []
    for _ in range(257):
        origin.request(RelayCommand.PING, b"", START)
        carry(origin, hop, START)
        (answer,) = hop.messages_to_send()
        answers.append(answer)
        origin.receive(answer, START)

    origin.receive(answers[1], START)
    with pytest.raises(RemoteProtocolError):
        origin.receive(answers[0], START)


@pytest.mark.parametrize("loss", [0.1, 0.3, 0.5])
def test_nothing_is_done_twice_and_little_is_lost_on_a_lossy_path(loss):
    dice = random.Random(f"exchange {loss}")
    failed = 0
    for _ in range(60):
        origin, hop = origin_end(), hop_end()
        now = START
        stream_id = origin.request(RelayCommand.EXTEND, bytes(1432), now)
        received: list[object] = []
        ended: list[object] = []
        while not ended:
            for sender, receiver in ((origin, hop), (hop, origin)):
                for message in sender.messages_to_send():
                    if dice.random() >= loss:
                        receiver.receive(message, now)
                for event in events_of(hop):
                    received.append(event)
                    hop.answer(stream_id, bytes(1184), now)
                ended += events_of(origin)
            now = origin.next_timeout()
            origin.handle_timeout(now)
        assert len(received) <= 1
        assert len(ended) == 1
        failed += isinstance(ended[0], RequestFailed)
    assert failed <= (0 if loss <= 0.3 else 2)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(RelayCommand),
            st.integers(0, 9),
            st.sampled_from([0, 1, 2, 40, 592, 716, 760]),
            st.integers(0, 3),
        ),
        max_size=30,
    )
)
def test_any_messages_are_taken_or_are_a_breach(messages):
    for exchange in (origin_end(), hop_end()):
        exchange.request(RelayCommand.PING, b"", START)
        for command, stream_id, size, part in messages:
            data = (bytes([part]) + bytes(size))[: size + 1]
            try:
                exchange.receive(RelayMessage(command, stream_id, data), START)
            except RemoteProtocolError:
                break
        assert len(exchange.messages_to_send()) <= 1 + 2 * len(messages)
