"""Layer-2 guards (R-PATH-5)."""

from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError
from psp.path.layer2 import (
    COUNT,
    LONGEST_LIFE,
    SHORTEST_LIFE,
    Layer2Guard,
    Layer2Guards,
)
from psp.path.weights import node_weights
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime

NODES = dict(SignedNetwork.build(SeededEntropy(7), nodes=20).registry().nodes())
WEIGHTS = node_weights(NODES.values())


def refreshed(guards=(), now=START, nodes=NODES, avoid=(), seed=1):
    layer2 = Layer2Guards(guards)
    layer2.refresh(nodes, WEIGHTS, now, SeededEntropy(seed), avoid=avoid)
    return layer2


def test_four_are_drawn_and_kept():
    layer2 = refreshed()

    again = refreshed(layer2.guards, START + 3600, seed=2)

    assert len(layer2.node_ids) == COUNT
    assert again.guards == layer2.guards


def test_guards_are_not_layer2_guards():
    avoid = list(NODES)[:16]

    assert refreshed(avoid=avoid).node_ids.isdisjoint(avoid)


def test_lifetimes_are_the_larger_of_two_draws():
    lives = [
        guard.expires - START
        for seed in range(150)
        for guard in refreshed(seed=seed).guards
    ]

    span = LONGEST_LIFE - SHORTEST_LIFE
    assert all(SHORTEST_LIFE <= life <= LONGEST_LIFE for life in lives)
    assert mean(lives) == pytest.approx(SHORTEST_LIFE + span * 2 / 3, rel=0.03)


def test_expired_ones_alone_are_replaced():
    layer2 = refreshed()
    first = min(guard.expires for guard in layer2.guards)

    later = refreshed(layer2.guards, first, seed=3)

    kept = {guard for guard in layer2.guards if guard.expires > first}
    assert kept < set(later.guards)
    assert len(later.guards) == COUNT


def test_unlisted_ones_are_replaced():
    layer2 = refreshed()
    gone = layer2.guards[0].node_id
    nodes = {key: node for key, node in NODES.items() if key != gone}

    assert gone not in refreshed(layer2.guards, nodes=nodes).node_ids


def test_a_clock_set_back_does_not_keep_one_for_ever():
    forever = Layer2Guard(next(iter(NODES)), UnixTime(START + 1000 * LONGEST_LIFE))

    assert forever not in refreshed([forever]).guards


def test_a_small_network_keeps_relays_for_last_hops():
    nodes = dict(list(NODES.items())[:6])

    layer2 = refreshed(nodes=nodes, avoid=list(nodes)[:3])

    assert len(layer2.guards) == 1


def test_an_empty_network_gives_none():
    assert refreshed(nodes={}).guards == ()


def test_refresh_tells_whether_to_write():
    layer2 = Layer2Guards()
    entropy = SeededEntropy(4)

    assert layer2.refresh(NODES, WEIGHTS, START, entropy)
    assert not layer2.refresh(NODES, WEIGHTS, START, entropy)


def test_state_survives_the_round_trip():
    layer2 = refreshed()

    assert Layer2Guards.decode(layer2.encode()).guards == layer2.guards


@given(st.binary(max_size=200))
def test_any_bytes_give_a_state_or_decode_error(data):
    with pytest.raises(DecodeError):
        Layer2Guards.decode(data)


def test_a_guard_twice_is_refused():
    guard = refreshed().guards[0]

    with pytest.raises(DecodeError, match="twice"):
        Layer2Guards.decode(Layer2Guards([guard, guard]).encode())
