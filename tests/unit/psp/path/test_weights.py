"""How likely each relay is to be chosen (R-PATH-2)."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.netdoc.node_record import NodeRecord
from psp.path.weights import UNIT, Wheel, known_fraction, node_weights
from psp.testing.entropy import SeededEntropy
from psp.wire.endpoint import Endpoint


def node(number, operator):
    endpoint = Endpoint(f"10.{number % 250}.0.1", 1)
    return NodeRecord(
        number.to_bytes(32), bytes(32), (endpoint,), operator.to_bytes(20)
    )


def shares(nodes, weights):
    total: Counter[bytes] = Counter()
    for record in nodes:
        total[record.operator] += weights[record.node_id] / UNIT
    return total


def chi_square(counts, expected):
    return sum((counts[key] - value) ** 2 / value for key, value in expected.items())


def test_every_operator_weighs_the_same_however_many_relays_it_runs():
    nodes = [node(i, 1) for i in range(9)] + [node(9, 2), node(10, 3)]

    assert shares(nodes, node_weights(nodes)) == pytest.approx(
        {op.to_bytes(20): 1 / 3 for op in (1, 2, 3)}
    )


def test_a_fast_operator_is_capped_and_the_rest_shared_by_speed():
    nodes = [node(i, i) for i in range(1, 41)]
    measured = {record.node_id: 1.0 for record in nodes}
    measured[nodes[0].node_id] = 1000.0

    total = shares(nodes, node_weights(nodes, measured))

    assert total[nodes[0].operator] == pytest.approx(0.05)
    assert total[nodes[1].operator] == pytest.approx(0.95 / 39)


def test_a_node_nobody_measured_counts_as_the_slowest():
    nodes = [node(i, i) for i in range(1, 41)]
    measured = {nodes[0].node_id: 2.0, nodes[1].node_id: 4.0}

    weights = node_weights(nodes, measured)

    assert weights[nodes[5].node_id] == weights[nodes[0].node_id]
    assert weights[nodes[1].node_id] > weights[nodes[0].node_id]


def test_no_nodes_have_no_weights():
    assert node_weights([]) == {}
    assert known_fraction({}, []) == 0


@given(
    st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1e6)), min_size=1, max_size=60)
)
@settings(max_examples=200)
def test_no_operator_exceeds_the_cap_and_all_add_up(plan):
    nodes = [node(i, operator) for i, (operator, _) in enumerate(plan)]
    measured = {n.node_id: speed for n, (_, speed) in zip(nodes, plan, strict=True)}

    weights = node_weights(nodes, measured)

    total = shares(nodes, weights)
    cap = max(0.05, 1 / len(total))
    assert all(share <= cap + 1e-9 for share in total.values())
    assert sum(weights.values()) == pytest.approx(UNIT, rel=1e-9)
    assert all(weight >= 1 for weight in weights.values())


# The critical value of chi-square for 19 degrees of freedom at p = 0.001.
CRITICAL_19 = 43.82


@pytest.mark.parametrize("allowed", [20, 4], ids=["blind draws", "filtered"])
def test_draws_follow_the_weights(allowed):
    nodes = [node(i, i % 7) for i in range(400)]
    weights = node_weights(nodes)
    wheel = Wheel(nodes, weights)
    fitting = {n.node_id for n in nodes[:allowed]}
    entropy = SeededEntropy(f"chi-square {allowed}")

    counts = Counter(
        drawn.node_id
        for _ in range(8_000)
        if (drawn := wheel.draw(entropy, lambda n: n.node_id in fitting))
    )

    whole = sum(weights[key] for key in fitting)
    expected = {key: 8_000 * weights[key] / whole for key in fitting}
    assert chi_square(counts, expected) < CRITICAL_19
    assert set(counts) == fitting


def test_nothing_that_fits_gives_nothing():
    nodes = [node(1, 1)]
    wheel = Wheel(nodes, node_weights(nodes))

    assert wheel.draw(SeededEntropy(1), lambda _: False) is None
    assert Wheel([], {}).draw(SeededEntropy(1), lambda _: True) is None


def test_a_node_without_a_weight_is_never_drawn():
    first, second = node(1, 1), node(2, 2)
    wheel = Wheel([first, second], {first.node_id: 1})
    entropy = SeededEntropy(2)

    assert all(wheel.draw(entropy, lambda _: True) is first for _ in range(20))


def test_paths_are_known_when_each_of_three_hops_is():
    nodes = [node(i, i) for i in range(10)]
    weights = node_weights(nodes)

    known = known_fraction(weights, [n.node_id for n in nodes[:8]])

    assert known == pytest.approx(0.8**3)
