"""Elected, else trusted, else any."""

from collections import Counter

import pytest

from psp.directory.fallback import Health, Tier, decide
from psp.ids import NodeId
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic

NOW = Monotonic(0.0)

E, T, K = ([NodeId(bytes([n, i]) * 16) for i in range(4)] for n in (1, 2, 3))


def down(*groups):
    health = Health()
    for group in groups:
        for node_id in group:
            health.record_failure(node_id, NOW)
    return health


def choose(health, elected=E, trusted=T, known=K, now=1.0):
    return decide(
        elected, trusted, known, health=health, now=now, entropy=SeededEntropy(1)
    )


TABLE = [
    # elected, trusted, known, failing, tier, candidates
    (E, T, K, (), Tier.ELECTED, E),
    (E, T, K, (E[:3],), Tier.ELECTED, E[3:]),
    (E, T, K, (E,), Tier.TRUSTED, T),
    (E, T, K, (E, T[:1]), Tier.TRUSTED, T[1:]),
    (E, T, K, (E, T), Tier.KNOWN, K),
    ([], T, K, (), Tier.TRUSTED, T),
    ([], [], K, (), Tier.KNOWN, K),
    (E, [], K, (E,), Tier.KNOWN, K),
    (E, T, K, (E, T, K), Tier.ELECTED, E),
    ([], T, K, (T, K), Tier.TRUSTED, T),
    ([], [], K, (K,), Tier.KNOWN, K),
    ([], [], [], (), Tier.KNOWN, []),
]


@pytest.mark.parametrize("row", TABLE)
def test_order_of_use(row):
    elected, trusted, known, failing, tier, candidates = row

    decision = choose(down(*failing), elected, trusted, known)

    assert decision.tier is tier
    assert sorted(decision.candidates) == sorted(candidates)


@pytest.mark.parametrize(
    ("failing", "text"),
    [
        ((), "asking elected discovery nodes: 4 of 4 can be tried"),
        (
            (E,),
            "none of 4 elected discovery nodes can be reached",
        ),
        (
            (E,),
            "asking nodes of trusted partners: 4 of 4 can be tried",
        ),
        ((E, T, K), "trying elected discovery nodes again all the same"),
    ],
)
def test_the_choice_explains_itself(failing, text):
    assert text in choose(down(*failing)).explanation


def test_no_elected_nodes_at_all_is_said():
    decision = choose(Health(), elected=[])

    assert decision.explanation.startswith("there are no elected discovery nodes")


def test_the_elected_are_back_as_soon_as_one_may_be_tried():
    health = down(E)

    assert choose(health, now=29.0).tier is Tier.TRUSTED
    assert choose(health, now=30.0).tier is Tier.ELECTED


def test_a_node_that_keeps_failing_waits_longer_up_to_an_hour():
    health, waits, now = Health(), [], NOW
    for _ in range(10):
        health.record_failure(E[0], now)
        wait = next(
            w for w in range(1, 4000) if not health.is_waiting(E[0], Monotonic(now + w))
        )
        waits.append(wait)
        now = Monotonic(now + wait)

    assert waits[:4] == [30, 60, 120, 240]
    assert waits[-1] == 3600


def test_a_good_answer_forgives():
    health = down(E)

    health.record_success(E[0])

    assert choose(health).candidates == (E[0],)


def test_those_who_left_the_registry_are_forgotten():
    health = down(E)

    health.trim(E[1:])

    assert not health.is_waiting(E[0], Monotonic(1.0))
    assert health.is_waiting(E[1], Monotonic(1.0))


def test_every_candidate_comes_first_equally_often():
    entropy = SeededEntropy(2)
    firsts = Counter(
        decide(E, T, K, health=Health(), now=NOW, entropy=entropy).candidates[0]
        for _ in range(4000)
    )

    assert len(firsts) == 4
    assert sum((n - 1000) ** 2 / 1000 for n in firsts.values()) < 16.27
