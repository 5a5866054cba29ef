"""Which worker of each relay a circuit goes over."""

from collections import Counter

from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.workers import at_worker, spread
from psp.testing.entropy import SeededEntropy
from psp.wire.endpoint import Endpoint

FIRST, SECOND, THIRD = (Endpoint("192.0.2.1", 443 + number) for number in range(3))
SECOND_AGAIN = Endpoint("2001:db8::1", SECOND.port)


def node(*endpoints: Endpoint) -> NodeRecord:
    return NodeRecord(NodeId(bytes(32)), bytes(32), endpoints, bytes(20))


LARGE = node(FIRST, SECOND, THIRD)
SMALL = node(FIRST)


def used(path: tuple[NodeRecord, ...]) -> tuple[Endpoint, ...]:
    return tuple(hop.endpoints[0] for hop in path)


def test_circuits_spread_over_all_workers_of_each_hop():
    entropy = SeededEntropy(1)
    paths = [
        used(spread([LARGE, LARGE], entropy, last_is_first_worker=False))
        for _ in range(900)
    ]

    for hop in range(2):
        counts = Counter(path[hop] for path in paths)
        assert counts.keys() == {FIRST, SECOND, THIRD}
        assert min(counts.values()) > 230
    assert len(set(paths)) == 9


def test_services_are_asked_at_the_first_worker():
    entropy = SeededEntropy(2)
    paths = [
        used(spread([LARGE, LARGE], entropy, last_is_first_worker=True))
        for _ in range(50)
    ]

    assert {path[1] for path in paths} == {FIRST}
    assert len({path[0] for path in paths}) == 3


def test_a_named_endpoint_is_the_one_used():
    for endpoint in LARGE.endpoints:
        path = spread(
            [SMALL, LARGE],
            SeededEntropy(3),
            last_is_first_worker=False,
            last_endpoint=endpoint,
        )
        assert used(path) == (FIRST, endpoint)
        assert set(path[1].endpoints) == set(LARGE.endpoints)


def test_relays_with_one_worker_cost_no_randomness():
    drawn, untouched = SeededEntropy(4), SeededEntropy(4)

    path = spread([SMALL, SMALL], drawn, last_is_first_worker=False)

    assert path == (SMALL, SMALL)
    assert drawn.token(8) == untouched.token(8)


def test_other_addresses_of_the_same_worker_come_before_other_workers():
    record = at_worker(node(FIRST, SECOND, THIRD, SECOND_AGAIN), SECOND)

    assert record.endpoints == (SECOND, SECOND_AGAIN, FIRST, THIRD)
