"""The registry over the chain."""

from collections.abc import MutableMapping
from dataclasses import replace

import pytest

from psp.crypto.keys import SigningKey
from psp.directory.chain.names import read_names, split_names
from psp.directory.chain.records import NodeStatus
from psp.directory.chain.registry import LIFE, ChainRegistry
from psp.directory.chain.users import UserStatus
from psp.directory.registry import Registry, Source
from psp.directory.trusted import Refusal, RegistryRefusedError
from psp.errors import LocalProtocolError
from psp.ids import NodeId
from psp.testing.chain import MemoryContracts, name_words, user_words
from psp.testing.directory import LOOPBACK, START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

TODAY = START // 86_400
USER = SigningKey(b"u" * 32)


def make():
    contracts = MemoryContracts.with_nodes(SeededEntropy(1), 9)
    contracts.users.append(user_words(USER))
    contracts.elect(4, [1, 2, 3])
    contracts.elect(5, [3, 4])
    contracts.trust([7])
    contracts.set_beacon(TODAY, b"t" * 32)
    return contracts


def view_of(contracts, height=300, **options):
    return contracts.view(height, START + 12 * height, **options)


VIEW = view_of(make())
NOW = VIEW.timestamp


def registry_with(view=VIEW):
    registry = ChainRegistry(LOOPBACK)
    assert registry.adopt(view, NOW)
    return registry


def ids(*numbers):
    contracts = make()
    return tuple(sorted(contracts.node_id(number) for number in numbers))


def test_without_anything_it_knows_nobody_and_has_expired():
    registry: Registry = ChainRegistry(LOOPBACK)

    assert dict(registry.nodes()) == {}
    assert registry.node(ids(1)[0]) is None
    assert not registry.has_user(USER.public)
    assert registry.discovery_nodes() == registry.trusted_nodes() == ()
    assert registry.retiring_nodes() == ()
    assert registry.random_value(TODAY) is None
    assert (registry.sequence, registry.issued, registry.expires) == (0, 0, 0)
    assert (registry.elected_at, registry.source) == (0, Source.CACHED)
    assert not registry.knows_names
    assert registry.user_of_name("alice") is registry.name_of(USER.public) is None


def test_it_answers_from_the_view():
    registry = registry_with()

    assert registry.network == LOOPBACK
    assert registry.view is VIEW
    assert registry.nodes() == VIEW.nodes.nodes
    assert registry.node(ids(1)[0]) == VIEW.nodes.nodes[ids(1)[0]]
    assert registry.node(NodeId(bytes(32))) is None
    assert registry.has_user(USER.public)
    assert registry.discovery_nodes() == ids(3, 4)
    assert registry.retiring_nodes() == ids(1, 2)
    assert registry.trusted_nodes() == ids(7)
    assert registry.random_value(TODAY) == b"t" * 32
    assert registry.elected_at == START + 3_600
    assert (registry.sequence, registry.source) == (300, Source.ELECTED)
    assert (registry.issued, registry.expires) == (NOW, NOW + LIFE)
    assert not isinstance(registry.nodes(), MutableMapping)


def test_a_later_view_with_the_same_answers_changes_only_the_times():
    registry = registry_with()
    nodes = registry.nodes()

    changed = registry.adopt(view_of(make(), 310), NOW + 120)

    assert not changed
    assert registry.nodes() is nodes
    assert registry.sequence == 300
    assert registry.issued == NOW + 120


def add_node(contracts):
    contracts.add_node(SeededEntropy(2))


def end_node(contracts):
    contracts.end_node(4, NodeStatus.REVOKED)


def elect_again(contracts):
    contracts.elect(5, [3, 5])


def trust_another(contracts):
    contracts.trust([7, 8])


def add_user(contracts):
    contracts.users.append(user_words(SigningKey(b"v" * 32)))


def draw_value(contracts):
    contracts.set_beacon(TODAY + 1, b"v" * 32)


@pytest.mark.parametrize(
    "change", [add_node, end_node, elect_again, trust_another, add_user, draw_value]
)
def test_every_change_of_an_answer_shows_in_the_sequence(change):
    registry = registry_with()
    contracts = make()
    change(contracts)

    assert registry.adopt(view_of(contracts, 310), NOW + 120)
    assert registry.sequence == 310
    assert registry.nodes() == view_of(contracts, 310).nodes.nodes


def test_a_list_of_the_next_epoch_with_the_same_nodes_is_a_change():
    contracts = make()
    contracts.elect(6, [3, 4])
    registry = registry_with()

    assert registry.adopt(contracts.view(700, START + 2 * 3_600), START + 2 * 3_600)
    assert registry.elected_at == START + 2 * 3_600
    assert registry.retiring_nodes() == ()


def test_a_node_that_was_revoked_is_no_discovery_node():
    contracts = make()
    contracts.end_node(4, NodeStatus.REVOKED)

    assert registry_with(view_of(contracts)).discovery_nodes() == ids(3)


def test_views_never_get_older():
    registry = registry_with()

    with pytest.raises(RegistryRefusedError) as raised:
        registry.adopt(view_of(make(), 299), NOW)

    assert raised.value.refusal is Refusal.OLDER
    assert registry.view is VIEW
    assert registry.refused[Refusal.OLDER] == 1


def test_another_block_of_the_same_height_is_refused():
    registry = registry_with()

    with pytest.raises(RegistryRefusedError) as raised:
        registry.adopt(view_of(make(), fork=b"other"), NOW)

    assert raised.value.refusal is Refusal.CONTRADICTS
    assert not registry.adopt(VIEW, NOW)


def test_a_block_from_the_future_points_at_the_clock():
    registry = ChainRegistry(LOOPBACK)

    with pytest.raises(RegistryRefusedError, match="clock") as raised:
        registry.adopt(VIEW, NOW - 121)

    assert raised.value.refusal is Refusal.NOT_YET
    assert registry.view is None
    assert registry.adopt(VIEW, NOW - 120)


def test_an_old_view_is_used_and_says_when_it_expired():
    registry = ChainRegistry(LOOPBACK)

    assert registry.adopt(VIEW, NOW + 10 * LIFE)
    assert registry.expires == NOW + LIFE


def test_a_kept_view_says_so_until_a_fresh_one_comes():
    registry = ChainRegistry(LOOPBACK)
    sources = []
    registry.adopt_cached(VIEW, NOW)
    sources.append(registry.source)
    changed = registry.adopt(VIEW, NOW)
    sources.append(registry.source)

    assert sources == [Source.CACHED, Source.ELECTED]
    assert not changed
    assert registry.sequence == 300


def test_without_an_elected_list_it_rests_on_the_trusted_partners():
    contracts = MemoryContracts.with_nodes(SeededEntropy(1), 9)
    contracts.trust([7])
    registry = registry_with(view_of(contracts))

    assert registry.source is Source.TRUSTED
    assert (registry.discovery_nodes(), registry.elected_at) == ((), 0)


def test_a_view_without_users_leaves_those_known():
    registry = registry_with()

    changed = registry.adopt(view_of(make(), 310, with_users=False), NOW + 120)

    assert not changed
    assert registry.has_user(USER.public)


def test_it_names_revoked_users():
    contracts = make()
    contracts.users[0] = user_words(USER, status=UserStatus.REVOKED)

    registry = registry_with(view_of(contracts))

    assert registry.is_revoked_user(USER.public)
    assert not registry.has_user(USER.public)
    assert not registry_with().is_revoked_user(USER.public)


def test_views_of_another_network_are_not_adopted():
    registry = ChainRegistry(Network(1, bytes(20)))

    with pytest.raises(LocalProtocolError):
        registry.adopt(VIEW, NOW)


FILES = SignedNetwork.build(SeededEntropy(5), nodes=12)


def test_the_partners_file_answers_as_long_as_the_chain_was_never_read():
    registry, file = ChainRegistry(LOOPBACK), FILES.registry()

    assert registry.adopt_file(file)

    assert registry.nodes() is file.nodes()
    assert registry.discovery_nodes() == file.discovery_nodes()
    assert registry.trusted_nodes() == file.trusted_nodes()
    assert registry.has_user(FILES.users[0].public)
    assert not registry.is_revoked_user(FILES.users[0].public)
    assert registry.random_value(TODAY) == file.random_value(TODAY)
    assert (registry.issued, registry.expires) == (file.issued, file.expires)
    assert (registry.sequence, registry.source) == (1, Source.TRUSTED)
    assert (registry.retiring_nodes(), registry.elected_at) == ((), 0)


def test_a_newer_file_is_a_change():
    registry, file = ChainRegistry(LOOPBACK), FILES.registry()
    registry.adopt_file(file)

    again = registry.adopt_file(file)
    file.update(replace(FILES, sequence=9, nodes=FILES.nodes[1:]).file(), START)

    assert not again
    assert registry.adopt_file(file)
    assert registry.sequence == 9
    assert FILES.nodes[0].node_id not in registry.nodes()


def test_the_chain_takes_over_from_the_file_for_good():
    registry, file = ChainRegistry(LOOPBACK), FILES.registry()
    file.update(replace(FILES, sequence=1_000).file(), START)
    registry.adopt_file(file)

    changed = registry.adopt(VIEW, NOW)

    assert changed
    assert registry.sequence == 1_001
    assert registry.nodes() == VIEW.nodes.nodes
    assert not registry.has_user(FILES.users[0].public)
    assert not registry.adopt_file(FILES.registry())


def test_a_file_of_another_network_is_not_adopted():
    with pytest.raises(LocalProtocolError):
        ChainRegistry(Network(1, bytes(20))).adopt_file(FILES.registry())


# -- names


def names_at(view, *records):
    return read_names(split_names(b"".join(records)), view.users, view.timestamp)


def test_names_are_answered_in_any_mixture_of_letters():
    registry = registry_with()
    registry.adopt_names(names_at(VIEW, name_words("alice", 1)))

    assert registry.knows_names
    assert registry.user_of_name("alice") == registry.user_of_name("AliCE")
    assert registry.user_of_name("alice") == USER.public
    assert registry.name_of(USER.public) == "alice"
    assert registry.name_of(SigningKey(b"v" * 32).public) is None


@pytest.mark.parametrize("name", ["bob", "", "al ice", "\u0430lice", "alice\0"])
def test_a_name_that_is_not_there_is_nobodys(name):
    registry = registry_with()
    registry.adopt_names(names_at(VIEW, name_words("alice", 1)))

    assert registry.user_of_name(name) is None


def test_a_letter_that_only_becomes_one_of_ours_does_not_count():
    registry = registry_with()
    registry.adopt_names(names_at(VIEW, name_words("king", 1)))

    assert registry.user_of_name("KING") == USER.public
    assert registry.user_of_name("\u212aing") is None


def test_names_of_a_day_ago_are_known_and_older_ones_are_not():
    registry = registry_with()
    registry.adopt_names(names_at(VIEW, name_words("alice", 1)))

    def at(seconds):
        later = make().view(301 + seconds, VIEW.timestamp + seconds)
        registry.adopt(later, later.timestamp)
        return registry.knows_names, registry.user_of_name("alice")

    assert at(LIFE) == (True, USER.public)
    assert at(LIFE + 1) == (False, None)
    assert registry.name_of(USER.public) is None
    assert registry.names is not None


def test_older_names_do_not_come_back():
    registry = registry_with()
    newer = names_at(VIEW, name_words("alice", 1))
    registry.adopt_names(newer)

    registry.adopt_names(replace(names_at(VIEW), timestamp=VIEW.timestamp - 1))

    assert registry.names is newer


def test_who_was_revoked_since_has_no_name_any_more():
    registry = registry_with()
    registry.adopt_names(names_at(VIEW, name_words("alice", 1)))
    contracts = make()
    contracts.users[0] = user_words(USER, status=UserStatus.REVOKED)

    later = view_of(contracts, 301)
    registry.adopt(later, later.timestamp)

    assert registry.knows_names
    assert registry.user_of_name("alice") is registry.name_of(USER.public) is None
