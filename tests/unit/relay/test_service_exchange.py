"""Requests between relays: repeats, time limits, bounds."""

from psp.ids import NodeId
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic, Seconds
from relay.config import RelayConfig
from relay.events import ServiceAnswered, ServiceRequested
from relay.service_exchange import ServiceExchange
from relay.stats import RelayStats

ALICE = NodeId(b"a" * 32)
BOB = NodeId(b"b" * 32)
NOW = Monotonic(50.0)
DHT = 1


def make_exchange(
    name: str, config: RelayConfig | None = None
) -> tuple[ServiceExchange, RelayStats]:
    stats = RelayStats()
    config = config or RelayConfig()
    return ServiceExchange(config, SeededEntropy(name), stats), stats


def bodies(exchange: ServiceExchange) -> list[bytes]:
    return [cell[5:] for _, cell in exchange.cells_to_send()]


def test_request_is_answered():
    alice, _ = make_exchange("alice")
    bob, bob_stats = make_exchange("bob")

    token = alice.request(BOB, DHT, b"find", Seconds(2.0), NOW)
    (request,) = bodies(alice)
    bob.receive(ALICE, request, NOW)
    asked = bob.next_event()
    assert isinstance(asked, ServiceRequested)
    assert (asked.node_id, asked.service, asked.data) == (ALICE, DHT, b"find")
    bob.answer(asked.token, b"found")
    (answer,) = bodies(bob)
    alice.receive(BOB, answer, NOW)

    assert alice.next_event() == ServiceAnswered(token, b"found")
    assert bob_stats.services_served == 1
    assert alice.size == bob.size == 0
    assert alice.audit()
    assert bob.audit()


def test_lost_request_is_sent_again_until_time_is_up():
    alice, stats = make_exchange("alice")
    token = alice.request(BOB, DHT, b"find", Seconds(2.0), NOW)
    (first,) = bodies(alice)

    sent, last = [], NOW
    while (due := alice.next_timeout()) is not None:
        alice.handle_timeout(due)
        sent += [(round(due - NOW, 4), body) for body in bodies(alice)]
        last = due

    assert [body for _, body in sent] == [first] * 3
    assert [at for at, _ in sent] == [0.25, 0.625, 1.1875]
    assert last == NOW + 2.0
    assert alice.next_event() == ServiceAnswered(token, None)
    assert stats.services_failed == 1


def test_repeated_request_is_answered_again_without_asking_the_service_twice():
    alice, _ = make_exchange("alice")
    bob, _ = make_exchange("bob")
    alice.request(BOB, DHT, b"store", Seconds(2.0), NOW)
    (request,) = bodies(alice)

    bob.receive(ALICE, request, NOW)
    bob.receive(ALICE, request, NOW)
    asked = bob.next_event()
    assert isinstance(asked, ServiceRequested)
    assert bob.next_event() is None
    bob.answer(asked.token, b"stored")
    bob.receive(ALICE, request, NOW)

    assert bob.next_event() is None
    assert len(set(bodies(bob))) == 1


def test_answer_counts_only_from_the_node_that_was_asked():
    alice, _ = make_exchange("alice")
    bob, _ = make_exchange("bob")
    alice.request(BOB, DHT, b"find", Seconds(2.0), NOW)
    bob.receive(ALICE, bodies(alice)[0], NOW)
    asked = bob.next_event()
    assert isinstance(asked, ServiceRequested)
    bob.answer(asked.token, b"found")
    (answer,) = bodies(bob)

    alice.receive(NodeId(b"m" * 32), answer, NOW)

    assert alice.next_event() is None
    assert alice.size == 1


def test_answering_none_or_twice_sends_nothing():
    bob, _ = make_exchange("bob")
    alice, _ = make_exchange("alice")
    alice.request(BOB, DHT, b"find", Seconds(2.0), NOW)
    bob.receive(ALICE, bodies(alice)[0], NOW)
    asked = bob.next_event()
    assert isinstance(asked, ServiceRequested)

    bob.answer(asked.token, None)
    bob.answer(asked.token, b"late")

    assert bodies(bob) == []


def test_outstanding_requests_are_bounded_and_more_fail_at_once():
    alice, stats = make_exchange("alice", RelayConfig(service_outstanding=2))

    tokens = [alice.request(BOB, DHT, b"x", Seconds(2.0), NOW) for _ in range(3)]

    assert alice.next_event() == ServiceAnswered(tokens[2], None)
    assert len(bodies(alice)) == 2
    assert stats.services_failed == 1


def test_one_node_cannot_fill_the_pending_table():
    alice, _ = make_exchange("alice")
    bob, stats = make_exchange("bob", RelayConfig(service_pending=16))
    for _ in range(5):
        alice.request(BOB, DHT, b"x", Seconds(2.0), NOW)
    requests = bodies(alice)

    for request in requests:
        bob.receive(ALICE, request, NOW)
    bob.receive(NodeId(b"n" * 32), requests[0], NOW)

    assert stats.services_dropped == 3
    assert bob.size == 3
    assert bob.audit()


def test_request_that_the_service_forgets_is_given_up():
    alice, _ = make_exchange("alice")
    bob, _ = make_exchange("bob")
    alice.request(BOB, DHT, b"x", Seconds(2.0), NOW)
    bob.receive(ALICE, bodies(alice)[0], NOW)

    bob.handle_timeout(Monotonic(NOW + 30.0))

    assert bob.size == 0
    assert bob.audit()


def test_unreachable_node_fails_everything_asked_of_it():
    alice, _ = make_exchange("alice")
    token = alice.request(BOB, DHT, b"x", Seconds(2.0), NOW)
    other = alice.request(ALICE, DHT, b"x", Seconds(2.0), NOW)

    alice.unreachable(BOB)

    assert alice.next_event() == ServiceAnswered(token, None)
    assert alice.next_event() is None
    assert alice.size == 1
    assert other != token
    assert alice.audit()


def test_malformed_body_is_counted():
    bob, stats = make_exchange("bob")

    bob.receive(ALICE, b"\xff" * 1195, NOW)

    assert stats.cells_malformed == 1
