"""The registry over a signed file."""

import copy
from collections.abc import MutableMapping
from dataclasses import replace

import pytest

from psp.directory.registry import RANDOM_PERIOD, Source, period_of
from psp.directory.trusted import (
    Freshness,
    Refusal,
    RegistryRefusedError,
    TrustedFileRegistry,
)
from psp.ids import NodeId, UserId
from psp.netdoc import trusted_file
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime

RIG = SignedNetwork.build(SeededEntropy(5), nodes=12)


def later(**changes):
    rig = copy.copy(RIG)
    rig.sequence = 2
    for name, value in changes.items():
        setattr(rig, name, value)
    return rig


def test_it_answers_from_the_file():
    registry = RIG.registry()
    node = RIG.nodes[0]

    assert registry.network == RIG.network
    assert registry.source is Source.TRUSTED
    assert registry.node(node.node_id) == node.record
    assert registry.node(NodeId(bytes(32))) is None
    assert set(registry.nodes()) == {node.node_id for node in RIG.nodes}
    assert registry.has_user(UserId(RIG.users[0].public))
    assert not registry.has_user(UserId(bytes(32)))
    assert len(registry.discovery_nodes()) == 5
    assert len(registry.trusted_nodes()) == 3
    assert (registry.retiring_nodes(), registry.elected_at) == ((), 0)
    assert (registry.issued, registry.expires) == (START, START + 7 * 86_400)


def test_it_names_revoked_users():
    lost, here = (UserId(key.public) for key in RIG.users[:2])
    document = replace(
        RIG.document(), users=frozenset({here}), revoked_users=frozenset({lost})
    )
    data = trusted_file.encode(document, RIG.partners)

    registry = TrustedFileRegistry.open(data, RIG.anchor, START)

    assert registry.is_revoked_user(lost)
    assert not registry.is_revoked_user(here)
    assert not registry.has_user(lost)


def test_each_day_has_its_random_value():
    registry = RIG.registry()
    today = period_of(START)

    assert len(registry.random_value(today) or b"") == 32
    assert registry.random_value(today) != registry.random_value(today + 1)
    assert registry.random_value(today + 100) is None
    assert period_of(START + RANDOM_PERIOD) == today + 1


def test_nodes_cannot_be_changed_by_a_reader():
    nodes = RIG.registry().nodes()

    assert not isinstance(nodes, MutableMapping)


def test_a_newer_file_replaces_the_old_one():
    registry = RIG.registry()

    changed = registry.update(later(nodes=RIG.nodes[1:]).file(), START)

    assert changed
    assert registry.sequence == 2
    assert registry.node(RIG.nodes[0].node_id) is None


def test_the_same_file_again_changes_nothing():
    registry = RIG.registry()

    assert not registry.update(RIG.file(), START)


def test_an_older_file_never_comes_back():
    registry = later().registry()

    with pytest.raises(RegistryRefusedError) as raised:
        registry.update(RIG.file(), START)

    assert raised.value.refusal is Refusal.OLDER
    assert registry.sequence == 2
    assert registry.refused[Refusal.OLDER] == 1


def test_a_file_older_than_this_host_has_ever_used_is_refused_at_start():
    with pytest.raises(RegistryRefusedError, match="older"):
        TrustedFileRegistry.open(RIG.file(), RIG.anchor, START, lowest_sequence=2)


def test_another_file_of_the_same_sequence_is_refused():
    registry = RIG.registry()

    with pytest.raises(RegistryRefusedError) as raised:
        registry.update(later(sequence=1, nodes=RIG.nodes[1:]).file(), START)

    assert raised.value.refusal is Refusal.CONTRADICTS


def test_the_same_content_under_fewer_signatures_is_no_change():
    registry = RIG.registry()
    registry = TrustedFileRegistry.open(
        RIG.file(), type(RIG.anchor)(RIG.network, RIG.anchor.partners, 1), START
    )

    assert not registry.update(
        later(sequence=1, partners=RIG.partners[:1]).file(), START
    )


def test_junk_changes_nothing():
    registry = RIG.registry()

    with pytest.raises(RegistryRefusedError) as raised:
        registry.update(b"junk", START)

    assert raised.value.refusal is Refusal.MALFORMED
    assert registry.data == RIG.file()


def test_an_expired_file_gives_a_clear_error():
    with pytest.raises(RegistryRefusedError, match="fetch a newer file") as raised:
        TrustedFileRegistry.open(RIG.file(), RIG.anchor, UnixTime(START + 8 * 86_400))

    assert raised.value.refusal is Refusal.EXPIRED


def test_a_file_from_the_future_points_at_the_clock():
    with pytest.raises(RegistryRefusedError, match="clock") as raised:
        TrustedFileRegistry.open(RIG.file(), RIG.anchor, UnixTime(START - 121))

    assert raised.value.refusal is Refusal.NOT_YET


@pytest.mark.parametrize(
    ("day", "freshness"),
    [
        (0, Freshness.FRESH),
        (5, Freshness.FRESH),
        (6, Freshness.STALE),
        (8, Freshness.EXPIRED),
    ],
)
def test_freshness_falls_with_age_while_answers_go_on(day, freshness):
    registry = RIG.registry()

    assert registry.freshness(START + day * 86_400) is freshness
    assert registry.nodes()


def test_a_cached_file_says_so_until_the_first_update():
    registry = TrustedFileRegistry.open(
        RIG.file(), RIG.anchor, START, source=Source.CACHED
    )

    before = registry.source
    registry.update(later().file(), START)

    assert (before, registry.source) == (Source.CACHED, Source.TRUSTED)
