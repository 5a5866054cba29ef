"""Which relays exclude each other (R-PATH-1)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.constraints import Conflict, Constraints
from psp.wire.endpoint import Endpoint

RULES = Constraints()


def node(number, host="192.0.2.1", operator=None, families=()):
    return NodeRecord(
        NodeId(bytes([number]) * 32),
        bytes(32),
        (Endpoint(host, 1),),
        bytes([operator or number]) * 20,
        families=tuple(bytes([family]) * 16 for family in families),
    )


def test_strangers_may_stand_in_one_path():
    assert RULES.conflict(node(1, "10.1.0.1"), node(2, "10.2.0.1")) is None


def test_a_node_excludes_itself():
    assert RULES.conflict(node(1), node(1)) is Conflict.SAME_NODE


def test_one_operator_excludes_itself():
    first, second = node(1, "10.1.0.1", 9), node(2, "10.2.0.1", 9)

    assert RULES.conflict(first, second) is Conflict.OPERATOR


def test_a_common_family_excludes():
    first = node(1, "10.1.0.1", families=(1, 2))
    second = node(2, "10.2.0.1", families=(2, 3))

    assert RULES.conflict(first, second) is Conflict.FAMILY


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ("10.1.0.1", "10.1.255.9", Conflict.SUBNET),
        ("10.1.0.1", "10.2.0.1", None),
        ("2001:db8::1", "2001:db8:ffff::1", Conflict.SUBNET),
        ("2001:db8::1", "2001:db9::1", None),
        ("::ffff:10.1.0.1", "10.1.2.3", Conflict.SUBNET),
        ("::ffff:10.1.0.1", "::ffff:10.2.0.1", None),
        ("10.1.0.1", "2001:db8::1", None),
    ],
)
def test_networks_are_16_bits_of_ipv4_and_32_of_ipv6(one, other, conflict):
    assert RULES.conflict(node(1, one), node(2, other)) is conflict


def test_any_endpoint_of_several_counts():
    two = replace(node(1), endpoints=(Endpoint("10.1.0.1", 1), Endpoint("10.2.0.1", 1)))

    assert RULES.conflict(two, node(2, "10.2.9.9")) is Conflict.SUBNET


def test_the_network_rule_alone_can_be_switched_off():
    loopback = Constraints(subnet_rule=False)

    assert loopback.conflict(node(1), node(2)) is None
    assert loopback.conflict(node(1), node(2, operator=1)) is Conflict.OPERATOR


def test_every_bad_pair_is_explained():
    path = [node(1, "10.1.0.1"), node(2, "10.1.0.2"), node(3, "10.3.0.1", operator=1)]

    assert RULES.explain(path) == [
        (0, 1, Conflict.SUBNET),
        (0, 2, Conflict.OPERATOR),
    ]


records = st.builds(
    node,
    st.integers(1, 6),
    st.sampled_from(["10.1.0.1", "10.1.2.2", "10.2.0.1", "2001:db8::1", "2001:db9::1"]),
    st.integers(1, 4),
    st.sets(st.integers(1, 4), max_size=2).map(sorted),
)


@given(st.lists(records, max_size=5), st.booleans())
def test_explaining_nothing_and_allowing_all_are_the_same(path, subnet_rule):
    rules = Constraints(subnet_rule=subnet_rule)

    allowed = all(rules.allows(n, path[:i]) for i, n in enumerate(path))

    assert allowed == (rules.explain(path) == [])


@given(records, records)
def test_conflicts_go_both_ways(first, second):
    assert RULES.conflict(first, second) == RULES.conflict(second, first)
