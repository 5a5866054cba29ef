"""Members: exactly the elected nodes, and exactly the nearest of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence.dht.members import Members, dht_id
from psp.ids import NodeId
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, MemoryRegistry
from psp.wire.network import Network


def new_members(count=50, *, own_is_elected=True, seed=1):
    entropy = SeededEntropy(seed)
    ids = [NodeId(entropy.token(32)) for _ in range(count + 1)]
    elected = ids if own_is_elected else ids[1:]
    registry = MemoryRegistry(ids, elected)
    return Members(registry, ids[0]), registry, ids


@given(st.binary(min_size=20, max_size=20), st.integers(0, 60), st.integers(1, 25))
def test_nearest_agrees_with_sorting_all_of_them(location, count, wanted):
    members, _, ids = new_members(count)
    key = int.from_bytes(location)

    by_distance = sorted(
        (dht_id(node, TEST_NETWORK) for node in ids),
        key=lambda each: int.from_bytes(each) ^ key,
    )
    others = [each for each in by_distance if each != members.own_id]

    assert [node.id for node in members.nearest(location, wanted)] == others[:wanted]
    is_near = members.own_id in by_distance[:wanted]
    assert members.is_among_nearest(location, wanted) is is_near


def test_ids_depend_on_node_and_network():
    other = Network(1, bytes(20))

    ids = {
        dht_id(n, w)
        for n in (NodeId(b"a" * 32), NodeId(b"b" * 32))
        for w in (TEST_NETWORK, other)
    }

    assert len(ids) == 4
    assert {len(each) for each in ids} == {20}


def test_three_hundred_unlisted_ids_are_nobody():
    members, _, _ = new_members()
    entropy = SeededEntropy("invented")

    for _ in range(300):
        invented = NodeId(entropy.token(32))
        assert members.contact(dht_id(invented, TEST_NETWORK)) is None
        assert members.contact(entropy.token(20)) is None
        assert members.contact_of(invented) is None
        assert invented not in members


def test_we_are_no_contact_of_ours():
    members, _, ids = new_members()

    assert members.is_member
    assert members.contact(members.own_id) is None
    assert members.contact_of(ids[0]) is None
    assert len(members) == 51


def test_relay_that_is_not_elected_asks_but_is_no_member():
    members, _, ids = new_members(own_is_elected=False)

    assert not members.is_member
    assert len(members) == 50
    assert members.is_registered(ids[0])
    assert not members.is_registered(b"x" * 32)
    assert not members.is_among_nearest(members.own_id, 50)


def test_change_of_the_registry_is_noticed():
    members, registry, ids = new_members()
    gone = dht_id(ids[1], TEST_NETWORK)
    assert members.contact(gone) is not None

    registry.elected.discard(ids[1])
    registry.changed()

    assert members.contact(gone) is None
    assert members.node_id(gone) is None
    assert len(members) == 50


@pytest.mark.parametrize("contact_id", [b"", b"x", bytes(21)])
def test_ids_of_other_lengths_are_nobody(contact_id):
    members, _, _ = new_members()

    assert members.contact(contact_id) is None


def test_empty_network_has_nobody_near():
    own = NodeId(b"n" * 32)
    members = Members(MemoryRegistry([own], []), own)

    assert members.nearest(bytes(20), 8) == []
    assert not members.is_among_nearest(bytes(20), 8)
