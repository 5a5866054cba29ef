"""Members: exactly the elected nodes, and exactly the nearest of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence.config import DhtConfig
from presence.dht.members import Members
from psp.directory.dht_id import dht_id
from psp.ids import NodeId
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, MemoryRegistry
from psp.wire.network import Network

NOW = 20_000 * 86_400


def new_members(count=50, *, own_is_elected=True, seed=1):
    entropy = SeededEntropy(seed)
    ids = [NodeId(entropy.token(32)) for _ in range(count + 1)]
    elected = ids if own_is_elected else ids[1:]
    registry = MemoryRegistry(ids, elected)
    return members_of(registry, ids[0]), registry, ids


def members_of(registry, own, unix_time=lambda: NOW):
    return Members(registry, own, DhtConfig(), unix_time)


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

    assert members.is_elected
    assert members.contact(members.own_id) is None
    assert members.contact_of(ids[0]) is None
    assert len(members) == 51


def test_relay_that_is_not_elected_asks_but_is_no_member():
    members, _, ids = new_members(own_is_elected=False)

    assert not members.is_elected
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

    assert len(members) == 50
    assert gone not in [node.id for node in members.nearest(gone, 50)]


@pytest.mark.parametrize("contact_id", [b"", b"x", bytes(21)])
def test_ids_of_other_lengths_are_nobody(contact_id):
    members, _, _ = new_members()

    assert members.contact(contact_id) is None


def test_partners_nodes_stand_in_as_long_as_nobody_is_elected():
    members, registry, ids = new_members(own_is_elected=False)
    registry.trusted = set(ids[:3])
    registry.changed()
    assert len(members) == 50
    assert not members.is_elected

    registry.elected = set()
    registry.changed()
    assert len(members) == 3
    assert members.is_elected
    assert members.retiring_count == 48

    registry.elect(ids[10:20], NOW)
    assert len(members) == 10
    assert members.is_retiring
    assert members.retiring_count == 3


def test_empty_network_has_nobody_near():
    own = NodeId(b"n" * 32)
    members = members_of(MemoryRegistry([own], []), own)

    assert members.nearest(bytes(20), 8) == []
    assert not members.is_among_nearest(bytes(20), 8)


class TestAfterAnElection:
    """Fifty relays; the first twenty-five are replaced by others."""

    def setup_method(self):
        entropy = SeededEntropy(7)
        self.ids = [NodeId(entropy.token(32)) for _ in range(50)]
        self.old, self.new = self.ids[:25], self.ids[20:45]
        self.now = NOW

    def members(self, own):
        registry = MemoryRegistry(self.ids, self.old)
        members = members_of(registry, own, lambda: self.now)
        assert members.version == 0
        registry.elect(self.new, NOW)
        return members, registry

    def by_distance(self, nodes, location):
        ids = (dht_id(node, TEST_NETWORK) for node in nodes)
        key = int.from_bytes(location)
        return sorted(ids, key=lambda each: int.from_bytes(each) ^ key)

    def test_retiring_nodes_are_members_until_the_grace_ends(self):
        members, _ = self.members(self.ids[49])
        gone = dht_id(self.old[0], TEST_NETWORK)

        assert members.version == 1
        assert len(members) == 25
        assert members.retiring_count == 20
        assert self.old[0] in members
        assert members.contact(gone).id == gone
        assert members.is_retiring_contact(gone)
        assert not members.is_retiring_contact(dht_id(self.old[20], TEST_NETWORK))

        self.now = NOW + DhtConfig().handover_grace
        assert members.retiring_count == 0
        assert self.old[0] not in members
        assert members.contact(gone) is None
        assert members.nearest_retiring(gone, 8) == []

    def test_nearest_are_told_apart_by_list(self):
        members, _ = self.members(self.ids[49])
        location = bytes(20)

        elected = [node.id for node in members.nearest(location, 8)]
        retiring = [node.id for node in members.nearest_retiring(location, 8)]

        assert elected == self.by_distance(self.new, location)[:8]
        assert retiring == self.by_distance(self.old[:20], location)[:8]

    def test_roles_follow_the_lists(self):
        for own, elected, retiring, was_elected in (
            (self.old[0], False, True, True),
            (self.old[20], True, False, True),
            (self.new[24], True, False, False),
            (self.ids[49], False, False, False),
        ):
            members, _ = self.members(own)
            roles = (members.is_elected, members.is_retiring, members.was_elected)
            assert roles == (elected, retiring, was_elected)
            assert members.is_serving is (elected or retiring)
            assert members.may_hand_over(own) is (elected or retiring)

    def test_retiring_node_knows_what_was_its_own(self):
        members, _ = self.members(self.old[0])
        location = members.own_id

        assert members.was_among_nearest(location, 8)
        assert not members.is_among_nearest(location, 8)

    def test_node_that_starts_as_a_retiring_one_knows_it_from_the_registry(self):
        registry = MemoryRegistry(self.ids, self.old)
        registry.elect(self.new, NOW)

        members = members_of(registry, self.old[0], lambda: NOW + 60)

        assert members.is_retiring
        assert members.was_among_nearest(members.own_id, 8)

    @given(st.binary(min_size=20, max_size=20), st.integers(0, 24))
    def test_newcomers_are_those_near_now_and_not_before(self, location, which):
        members, _ = self.members(self.old[which])
        before = self.by_distance(self.old, location)[:8]
        now = self.by_distance(self.new, location)[:8]

        newcomers = members.newcomers(location, 8)

        expected = [e for e in now if e not in before and e != members.own_id]
        assert len(newcomers) == 8
        assert sorted(node.id for node in newcomers if node) == sorted(expected)

    @pytest.mark.parametrize("newly", [1, 3, 8, 25])
    def test_holders_have_different_newcomers_at_each_turn(self, newly):
        self.new = self.old[newly:] + self.ids[25 : 25 + newly]
        location = bytes(20)
        own = {dht_id(node, TEST_NETWORK): node for node in self.old}
        before = self.by_distance(self.old, location)[:8]
        plans = [
            self.members(own[holder])[0].newcomers(location, 8) for holder in before
        ]

        for turn in zip(*plans, strict=True):
            served = [node.id for node in turn if node]
            assert len(served) == len(set(served))
        now = {*self.by_distance(self.new, location)[:8]} - {*before}
        for plan in plans:
            assert {node.id for node in plan if node} == now

    def test_node_that_left_the_registry_is_a_stranger_at_once(self):
        members, registry = self.members(self.ids[49])
        registry.leave(self.old[0])

        assert self.old[0] not in members
        assert not members.may_hand_over(self.old[0])

    def test_holders_are_the_nearest_of_either_list_ourselves_included(self):
        location = bytes(20)
        elected = self.by_distance(self.new, location)[:8]
        retiring = self.by_distance(self.old[:20], location)[:8]
        own = next(node for node in self.new if dht_id(node, TEST_NETWORK) in elected)
        members, _ = self.members(own)

        assert members.holders(location) == {*elected, *retiring}
        assert members.own_id in members.holders(location)
        assert members.is_near(elected[7], location)
        assert not members.is_near(retiring[0], location)
