"""Requests for services, questions to origins, and SERVICE cells between relays."""

from psp.circuit.events import RequestAnswered as OriginAnswered
from psp.circuit.events import RequestFailed
from psp.circuit.events import RequestReceived as OriginAsked
from psp.ids import NodeId
from psp.testing.weather import Weather
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand
from relay.config import RelayConfig
from relay.events import (
    CircuitClosed,
    RequestAnswered,
    RequestReceived,
    ServiceAnswered,
    ServiceRequested,
)

LOOKUP = bytes(21)


def test_request_reaches_the_service_and_its_answer_the_origin(make_rig):
    rig = make_rig(2)
    _, circuit = rig.build(0, 1)
    relay = rig.relays[1]

    stream = circuit.origin.request(RelayCommand.LOOKUP, LOOKUP, rig.now)
    rig.run(0.2)
    (asked,) = relay.told(RequestReceived)
    relay.machine.answer(asked.key, asked.stream_id, b"\1record", rig.now)
    rig.run(0.5)

    assert asked.command is RelayCommand.LOOKUP
    assert asked.data == LOOKUP
    assert asked.handshake_hash == circuit.origin.handshake_hash(2)
    answer = circuit.outcome(stream)
    assert isinstance(answer, OriginAnswered)
    assert answer.data == b"\1record"
    rig.audit()


def test_late_and_repeated_answers_are_dropped(make_rig):
    rig = make_rig(1)
    _, circuit = rig.build(0)
    relay = rig.relays[0]
    circuit.origin.request(RelayCommand.LOOKUP, LOOKUP, rig.now)
    rig.run(0.2)
    (asked,) = relay.told(RequestReceived)

    relay.machine.refuse(asked.key, asked.stream_id, Reason.REFUSED, rig.now)
    relay.machine.answer(asked.key, asked.stream_id, b"late", rig.now)
    relay.machine.answer(99, asked.stream_id, b"nobody", rig.now)
    rig.run(0.5)

    assert isinstance(circuit.events[-1], RequestFailed)
    assert circuit.closed is None
    rig.audit()


def test_requests_above_the_limit_are_refused(make_rig):
    rig = make_rig(1, config=RelayConfig(neighbours=0, max_requests=3))
    _, circuit = rig.build(0)

    streams = [
        circuit.origin.request(RelayCommand.LOOKUP, LOOKUP, rig.now) for _ in range(5)
    ]
    rig.run(0.2)

    refused = [circuit.outcome(stream) for stream in streams]
    assert [getattr(answer, "reason", None) for answer in refused] == [
        None,
        None,
        None,
        Reason.RESOURCE_LIMIT,
        Reason.RESOURCE_LIMIT,
    ]
    assert rig.relays[0].machine.stats.requests_refused == 2
    circuit.origin.destroy()
    rig.run(0.2)
    assert rig.relays[0].machine.status()["requests_open"] == 0
    rig.audit()


def registered(rig):
    """Return a circuit whose origin expects introductions, and its relay's key."""
    client, circuit = rig.build(0)
    circuit.origin.request(RelayCommand.REGISTER, bytes(100), rig.now)
    rig.run(0.2)
    asked = rig.relays[0].told(RequestReceived)[-1]
    return client, circuit, asked.key


def test_origin_is_asked_and_answers(make_rig):
    rig = make_rig(1)
    _, circuit, key = registered(rig)
    relay = rig.relays[0]

    token = relay.machine.ask(key, RelayCommand.INTRODUCTION, bytes(1520), rig.now)
    rig.net.run(rig.now)
    rig.run(0.1)
    asked = next(event for event in circuit.events if isinstance(event, OriginAsked))
    circuit.origin.answer(1, asked.stream_id, b"\0", rig.now)
    rig.run(1.0)

    assert asked.command is RelayCommand.INTRODUCTION
    assert relay.told(RequestAnswered) == [RequestAnswered(token, b"\0")]
    rig.audit()


def test_question_to_an_origin_that_leaves_is_answered_with_none(make_rig):
    rig = make_rig(1)
    _, circuit, key = registered(rig)
    relay = rig.relays[0]

    token = relay.machine.ask(key, RelayCommand.INTRODUCTION, bytes(1520), rig.now)
    rig.run(0.1)
    circuit.origin.destroy()
    rig.run(0.5)
    later = relay.machine.ask(key, RelayCommand.INTRODUCTION, bytes(1520), rig.now)
    rig.net.add(relay.record.endpoints[0].address, relay.machine, relay.events.append)
    rig.run(0.1)

    assert relay.told(RequestAnswered) == [
        RequestAnswered(token, None),
        RequestAnswered(later, None),
    ]
    assert relay.told(CircuitClosed)
    rig.audit()


def ask(rig, asker, asked, data, within=2.0):
    machine = rig.relays[asker].machine
    node_id = rig.relays[asked].record.node_id
    return machine.service_request(node_id, 1, data, Seconds(within), rig.now)


def serve(rig, number):
    """Answer every request a relay got so far."""
    relay = rig.relays[number]
    for event in relay.told(ServiceRequested):
        relay.machine.service_answer(event.token, event.data[::-1])
    rig.run(0.3)


def test_relay_asks_another_over_a_link_opened_for_it(make_rig):
    rig = make_rig(2)

    token = ask(rig, 0, 1, b"find")
    rig.run(0.5)
    serve(rig, 1)

    (event,) = rig.relays[1].told(ServiceRequested)
    assert (event.node_id, event.service) == (rig.relays[0].record.node_id, 1)
    assert rig.relays[0].told(ServiceAnswered) == [ServiceAnswered(token, b"dnif")]
    rig.audit()


def test_requests_survive_lossy_links(make_rig):
    rig = make_rig(2, weather=Weather(latency=Seconds(0.02), loss=0.2), seed=3)

    tokens = {ask(rig, 0, 1, b"%d" % number, 5.0) for number in range(40)}
    for _ in range(10):
        rig.run(0.5)
        serve(rig, 1)
    rig.run(3.0)

    answered = rig.relays[0].told(ServiceAnswered)
    assert {event.token for event in answered} == tokens
    assert sum(event.data is not None for event in answered) >= 39
    asked = rig.relays[1].told(ServiceRequested)
    assert len(asked) == len({event.data for event in asked})


def test_request_to_a_dead_relay_times_out(make_rig):
    rig = make_rig(2)
    rig.net.kill(rig.relays[1].record.endpoints[0].address)

    token = ask(rig, 0, 1, b"find", 1.5)
    rig.run(1.4)
    assert rig.relays[0].told(ServiceAnswered) == []
    rig.run(0.2)

    assert rig.relays[0].told(ServiceAnswered) == [ServiceAnswered(token, None)]


def test_request_to_an_unknown_node_or_ourselves_fails_at_once(make_rig):
    rig = make_rig(1)
    relay = rig.relays[0]

    stranger = relay.machine.service_request(
        NodeId(bytes(32)), 1, b"x", Seconds(2.0), rig.now
    )
    oneself = ask(rig, 0, 0, b"x")
    rig.run(0.01)

    assert relay.told(ServiceAnswered) == [
        ServiceAnswered(stranger, None),
        ServiceAnswered(oneself, None),
    ]


def test_link_without_circuits_is_closed_after_three_minutes(make_rig):
    rig = make_rig(2)
    ask(rig, 0, 1, b"find", 1.0)
    rig.run(100.0)
    ask(rig, 0, 1, b"find", 1.0)
    rig.run(179.0)
    links = rig.relays[0].machine.links

    assert len(links.links(rig.now)) == 1
    rig.run(3.0)
    assert links.links(rig.now) == []


def test_links_that_carried_circuits_are_closed_when_the_last_has_ended(make_rig):
    rig = make_rig(3)
    _, circuit = rig.build(0, 1, 2)
    rig.run(200.0)
    assert [len(relay.machine.links.links(rig.now)) for relay in rig.relays] == [
        2,
        2,
        1,
    ]

    circuit.origin.destroy()
    rig.run(185.0)

    for relay in rig.relays:
        assert relay.machine.links.links(rig.now) == []
    rig.audit()


def test_neighbours_are_linked_and_stay_linked(make_rig):
    rig = make_rig(7, config=RelayConfig(neighbours=4))
    for relay in rig.relays:
        relay.machine.draw_neighbours(b"seed", rig.nodes, rig.now)
    rig.run(20.0)

    for relay in rig.relays:
        assert len(relay.machine.links.links(rig.now)) >= 4
    for relay in rig.relays:
        relay.machine.draw_neighbours(b"next", rig.nodes, rig.now)
    rig.run(215.0)
    for relay in rig.relays:
        assert 4 <= len(relay.machine.links.links(rig.now)) <= 6
    rig.audit()
