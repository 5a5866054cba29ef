"""The routing table: exact answers where stock's are near enough, and bounded buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kademlia.node import Node

from presence.dht.table import PresenceTable
from psp.testing.entropy import SeededEntropy


class Checker:
    def __init__(self):
        self.checked = []

    def check_contact(self, node):
        self.checked.append(node.id)


def new_table(count, *, ksize=20, seed=1, own=None):
    entropy = SeededEntropy(seed)
    checker = Checker()
    table = PresenceTable(checker, ksize, Node(own or entropy.token(20)))
    nodes = [Node(entropy.token(20)) for _ in range(count)]
    for node in nodes:
        table.add_contact(node)
    return table, nodes, checker


@given(st.binary(min_size=20, max_size=20), st.integers(0, 120), st.integers(1, 20))
def test_neighbors_are_really_the_nearest_contacts(target, count, k):
    table, _, _ = new_table(count, ksize=8)
    node = Node(target)

    found = [each.id for each in table.find_neighbors(node, k)]

    known = sorted(table.contacts(), key=node.distance_to)
    assert found == [each.id for each in known[:k]]


def test_excluded_contact_and_the_target_itself_are_left_out():
    table, nodes, _ = new_table(10)

    found = table.find_neighbors(nodes[0], exclude=nodes[1])

    assert {node.id for node in found} == {node.id for node in nodes[2:]}


@pytest.mark.parametrize("ksize", [2, 8])
def test_full_far_bucket_has_its_oldest_contact_checked(ksize):
    table, nodes, checker = new_table(500, ksize=ksize)

    assert checker.checked
    assert set(checker.checked) <= {node.id for node in nodes}
    assert len(table.contacts()) < 500
    assert all(len(bucket) <= ksize for bucket in table.buckets)


def test_contacts_added_twice_count_once():
    table, nodes, _ = new_table(10)

    for node in nodes:
        table.add_contact(node)

    assert len(table.contacts()) == 10
