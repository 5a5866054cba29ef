"""Choosing the relays of a path."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.constraints import Constraints
from psp.path.guards import GuardSet
from psp.path.layer2 import Layer2Guards
from psp.path.selection import NoPath, NoPathError, PathSelector, Purpose
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic
from psp.wire.endpoint import Endpoint

NOW = Monotonic(0.0)

DRAWN = (Purpose.REGISTRATION, Purpose.RENDEZVOUS_CALLER)
GIVEN = tuple(purpose for purpose in Purpose if purpose not in DRAWN)
RULES = Constraints()
LOOPBACK = {
    key: NodeRecord(
        key, record.onion_key, (Endpoint("127.0.0.1", 9000 + i),), record.operator
    )
    for i, (key, record) in enumerate(
        SignedNetwork.build(SeededEntropy(10), nodes=12).registry().nodes().items()
    )
}


def selector(nodes, seed=1, constraints=RULES, **options):
    chooser = PathSelector(constraints, GuardSet(), Layer2Guards())
    chooser.update(nodes, START, SeededEntropy(seed), **options)
    return chooser


def loopback(seed=1, **options):
    return selector(LOOPBACK, seed, Constraints(subnet_rule=False), **options)


def ids(path):
    return [node.node_id for node in path.hops]


networks = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 30), st.integers(0, 5)),
    min_size=6,
    max_size=40,
)


def network(plan):
    nodes = {}
    for i, (operator, subnet, family) in enumerate(plan):
        key = NodeId(i.to_bytes(32))
        families = (bytes([family]) * 16,) if family < 3 else ()
        endpoint = Endpoint(f"10.{subnet}.0.{i + 1}", 1)
        nodes[key] = NodeRecord(
            key, bytes(32), (endpoint,), bytes([operator]) * 20, families=families
        )
    return nodes


@given(networks, st.sampled_from(Purpose), st.integers(0, 99), st.booleans())
@settings(max_examples=300)
def test_no_two_hops_of_any_path_break_a_rule(plan, purpose, seed, spare):
    nodes = network(plan)
    chooser = selector(nodes, seed)
    entropy = SeededEntropy(seed)
    last = None if purpose in DRAWN else entropy.below(len(plan)).to_bytes(32)

    try:
        path = chooser.choose_path(
            purpose, entropy, NOW, last=last, use_second_guard=spare
        )
    except NoPathError:
        return

    assert RULES.explain(path.hops) == []
    assert len(path.hops) == purpose.length
    assert last is None or path.hops[-1].node_id == last
    assert path.is_disjoint


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("length", [3, 4])
def test_every_purpose_works_among_twelve_relays_on_loopback(purpose, length):
    for seed in range(30):
        chooser = loopback(seed)
        for last in [None] if purpose in DRAWN else LOOPBACK:
            path = chooser.choose_path(
                purpose, SeededEntropy(seed), NOW, last=last, length=length
            )

            assert len(path.hops) == length
            assert len(set(ids(path))) == length


def test_the_first_hop_is_always_the_first_guard_that_fits():
    chooser = loopback()
    first, second, _ = chooser.guards.primary()
    entropy = SeededEntropy(3)

    for last in LOOPBACK:
        path = chooser.choose_path(Purpose.LOOKUP, entropy, NOW, last=last)

        assert path.hops[0].node_id == (second if last == first else first)


def test_a_failed_guard_is_not_used_while_it_waits():
    chooser = loopback()
    first, second, _ = chooser.guards.primary()
    chooser.guards.record_failure(first, NOW, is_network_up=True)

    path = chooser.choose_path(Purpose.REGISTRATION, SeededEntropy(3), 1.0)

    assert path.hops[0].node_id == second


@pytest.mark.parametrize("purpose", DRAWN)
def test_a_drawn_last_hop_is_never_a_guard_of_either_layer(purpose):
    chooser = loopback()
    own = chooser.layer2.node_ids | set(chooser.guards.primary())
    entropy = SeededEntropy(4)

    lasts = {
        chooser.choose_path(purpose, entropy, NOW).hops[-1].node_id for _ in range(100)
    }

    assert lasts == LOOPBACK.keys() - own


@pytest.mark.parametrize("purpose", [Purpose.RENDEZVOUS_CALLEE, Purpose.WATCH])
def test_circuits_that_strangers_provoke_use_a_layer2_guard(purpose):
    """Who is watched says where handles are left, and by changes how often."""
    chooser = loopback()
    entropy = SeededEntropy(5)

    for last in LOOPBACK:
        path = chooser.choose_path(purpose, entropy, NOW, last=last)

        assert path.hops[1].node_id in chooser.layer2.node_ids
        assert path.hops[2].node_id not in chooser.layer2.node_ids
    path = chooser.choose_path(Purpose.REGISTRATION, entropy, NOW)
    assert path.hops[1].node_id in chooser.layer2.node_ids


def test_a_rendezvous_that_is_a_layer2_guard_never_meets_one():
    chooser = loopback()
    for last in chooser.layer2.node_ids:
        for seed in range(20):
            path = chooser.choose_path(
                Purpose.RENDEZVOUS_CALLEE, SeededEntropy(seed), NOW, last=last
            )

            assert path.hops[1].node_id != last
            assert path.hops[2].node_id not in chooser.layer2.node_ids


def test_a_hot_spare_takes_the_second_guard_and_other_relays():
    for seed in range(40):
        chooser = loopback(seed)
        first, second, _ = chooser.guards.primary()
        entropy = SeededEntropy(seed)
        leg = chooser.choose_path(Purpose.RENDEZVOUS_CALLER, entropy, NOW)

        spare = chooser.choose_path(
            Purpose.RENDEZVOUS_CALLER,
            entropy,
            NOW,
            avoid=ids(leg),
            use_second_guard=True,
        )

        assert leg.hops[0].node_id == first
        assert not set(ids(leg)) & set(ids(spare)) or not spare.is_disjoint
        if second not in ids(leg):
            assert spare.hops[0].node_id == second
            assert spare.is_disjoint


def test_a_hot_spare_keeps_the_first_guard_when_the_other_leg_has_the_second():
    chooser = loopback()
    first, second, _ = chooser.guards.primary()

    spare = chooser.choose_path(
        Purpose.RENDEZVOUS_CALLER,
        SeededEntropy(1),
        NOW,
        avoid=[second],
        use_second_guard=True,
    )

    assert spare.hops[0].node_id == first


def test_three_presence_circuits_are_disjoint_behind_the_guard():
    chooser = loopback()
    entropy = SeededEntropy(6)
    used: list[NodeId] = []
    for _ in range(3):
        path = chooser.choose_path(Purpose.REGISTRATION, entropy, NOW, avoid=used)
        used += ids(path)[1:]

    assert len(set(used)) == 6


def test_avoiding_gives_way_and_says_so():
    chooser = loopback()

    path = chooser.choose_path(
        Purpose.LOOKUP,
        SeededEntropy(7),
        NOW,
        last=next(iter(LOOPBACK)),
        avoid=list(LOOPBACK),
    )

    assert path.overlaps == set(ids(path))
    assert not path.is_disjoint


def test_avoiding_a_relay_avoids_its_operator_too():
    nodes = network([(i // 2, i, 5) for i in range(24)])
    chooser = selector(nodes)
    avoided = list(nodes)[::6]

    for seed in range(20):
        path = chooser.choose_path(
            Purpose.RENDEZVOUS_CALLER, SeededEntropy(seed), NOW, avoid=avoided
        )

        behind_the_guard = path.hops[1:]
        operators = {nodes[key].operator for key in avoided}
        assert not operators & {node.operator for node in behind_the_guard}


def test_excluding_never_gives_way():
    chooser = loopback()

    with pytest.raises(NoPathError) as raised:
        chooser.choose_path(
            Purpose.RENDEZVOUS_CALLER, SeededEntropy(1), NOW, exclude=list(LOOPBACK)
        )

    assert raised.value.reason is NoPath.NO_LAST


def test_reasons_are_told_apart():
    chooser = loopback()
    entropy = SeededEntropy(1)
    last = next(iter(LOOPBACK))
    guards = chooser.guards.candidates(NOW)

    def reason(**options):
        with pytest.raises(NoPathError) as raised:
            chooser.choose_path(Purpose.LOOKUP, entropy, NOW, **options)
        return raised.value.reason

    assert reason(last=bytes(32)) is NoPath.UNKNOWN_LAST
    assert reason(last=last, exclude=guards) is NoPath.NO_GUARD
    others = [key for key in LOOPBACK if key not in {last, *guards[:1]}]
    assert reason(last=last, exclude=others) in {NoPath.NO_MIDDLE, NoPath.NO_GUARD}


def test_no_circuit_before_60_percent_of_paths_are_known_but_the_directorys_own():
    chooser = loopback(registered=15)
    entropy = SeededEntropy(1)

    assert chooser.known_fraction == pytest.approx((12 / 15) ** 3)
    with pytest.raises(NoPathError) as raised:
        chooser.choose_path(Purpose.REGISTRATION, entropy, NOW)
    path = chooser.choose_path(
        Purpose.DIRECTORY, entropy, NOW, last=next(iter(LOOPBACK))
    )

    assert raised.value.reason is NoPath.TOO_LITTLE_KNOWN
    assert len(path.hops) == 3


def test_relays_not_known_to_run_are_neither_middle_nor_drawn_last():
    known = list(LOOPBACK)[:11]
    chooser = loopback(known=known)

    for seed in range(100):
        path = chooser.choose_path(Purpose.RENDEZVOUS_CALLER, SeededEntropy(seed), NOW)

        assert set(ids(path)[1:]) <= set(known)


def test_a_directory_that_leaves_too_many_out_narrows_nothing():
    chooser = loopback(known=list(LOOPBACK)[:10])

    lasts = {
        chooser.choose_path(Purpose.RENDEZVOUS_CALLER, SeededEntropy(seed), NOW)
        .hops[-1]
        .node_id
        for seed in range(200)
    }

    assert (10 / 12) ** 3 < 0.6
    assert chooser.is_thin
    own = chooser.layer2.node_ids | set(chooser.guards.primary())
    assert lasts == LOOPBACK.keys() - own


def test_a_layer2_guard_that_is_off_is_used_only_where_no_other_fits():
    chooser = loopback()
    off, *others = sorted(chooser.layer2.node_ids)
    chooser.update(LOOPBACK, START, SeededEntropy(2), known=LOOPBACK.keys() - {off})
    entropy = SeededEntropy(3)

    usual = {
        chooser.choose_path(Purpose.REGISTRATION, entropy, NOW).hops[1].node_id
        for _ in range(50)
    }
    forced = chooser.choose_path(Purpose.REGISTRATION, entropy, NOW, exclude=others)

    assert usual == set(others)
    assert forced.hops[1].node_id == off


def test_new_guards_are_drawn_among_relays_that_run():
    off = next(iter(LOOPBACK))

    for seed in range(30):
        chooser = loopback(seed, known=LOOPBACK.keys() - {off})

        assert off not in chooser.guards.candidates(NOW)
        assert off not in chooser.layer2.node_ids


def test_own_relays_are_never_used():
    own = list(LOOPBACK)[:2]
    chooser = PathSelector(
        Constraints(subnet_rule=False), GuardSet(), Layer2Guards(), own=own
    )
    chooser.update(LOOPBACK, START, SeededEntropy(1))

    for seed in range(50):
        path = chooser.choose_path(Purpose.REGISTRATION, SeededEntropy(seed), NOW)

        assert not set(own) & set(ids(path))


def test_before_any_registry_there_is_no_path():
    chooser = PathSelector(Constraints(), GuardSet(), Layer2Guards())

    with pytest.raises(NoPathError):
        chooser.choose_path(Purpose.REGISTRATION, SeededEntropy(1), NOW)


def two_workers():
    return {
        key: NodeRecord(
            key,
            record.onion_key,
            (*record.endpoints, Endpoint("127.0.0.1", record.endpoints[0].port + 500)),
            record.operator,
        )
        for key, record in LOOPBACK.items()
    }


@pytest.mark.parametrize("purpose", DRAWN)
def test_services_are_at_the_first_worker_and_rendezvous_at_any(purpose):
    nodes = two_workers()
    chooser = selector(nodes, 1, Constraints(subnet_rule=False))
    entropy = SeededEntropy(5)
    hops = [chooser.choose_path(purpose, entropy, NOW).hops for _ in range(60)]

    def workers(position):
        return {
            nodes[path[position].node_id].endpoints.index(path[position].endpoints[0])
            for path in hops
        }

    expected = {0} if purpose is Purpose.REGISTRATION else {0, 1}
    assert workers(-1) == expected
    assert workers(0) == workers(1) == {0, 1}


def test_a_last_hop_is_met_at_the_endpoint_that_is_named_if_it_has_it():
    nodes = two_workers()
    chooser = selector(nodes, 1, Constraints(subnet_rule=False))
    last, other = list(nodes)[:2]

    def choose(endpoint, node_id):
        return chooser.choose_path(
            Purpose.RENDEZVOUS_CALLEE,
            SeededEntropy(6),
            NOW,
            last=node_id,
            endpoint=endpoint,
        )

    second = nodes[last].endpoints[1]
    assert choose(second, last).hops[-1].endpoints[0] == second
    for node_id in (other, None):
        with pytest.raises(NoPathError) as caught:
            choose(second, node_id)
        assert caught.value.reason is NoPath.UNKNOWN_ENDPOINT
