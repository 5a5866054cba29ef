"""A past election, computed again (discovery/replay/draw.py)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.election import draw_key, elect, number_of, seed_of
from discovery.replay.draw import (
    MAX_FAULTS,
    Drawing,
    Nomination,
    Rules,
    Vote,
    recompute,
)

ETHER = 10**18
RULES = Rules(b"\xab" * 20, 9, seats=3, min_stake=ETHER, sortition=True)
RANDOM, PARENT = b"\x01" * 32, b"\x02" * 32
SEED = seed_of(RANDOM, PARENT, RULES.epoch, RULES.registry)
DRAWING = Drawing(70, RANDOM, PARENT, SEED)
STAKES = {number: number * ETHER for number in range(1, 8)}


def stakes(weights=STAKES, epoch=7):
    """Votes made long before."""
    return [Vote((1, n), n, wei, epoch) for n, wei in weights.items()]


def nominate(weights=STAKES, *, seed=SEED, sortition=True):
    """Nominations as the contract reports them, the first in block 71."""
    return [
        Nomination((71, n), n, weight, draw_key(seed, n, weight, sortition=sortition))
        for n, weight in weights.items()
    ]


def ring(weights=STAKES, seats=3):
    """Keys of the list, in no order."""
    keys = {draw_key(SEED, n, w, sortition=True) for n, w in weights.items()}
    return list(reversed(sorted(keys)[:seats]))


def test_a_list_as_the_rules_make_it_matches():
    done = recompute(RULES, DRAWING, stakes(), nominate(), held=ring())

    assert done.matches
    assert done.faults == ()
    assert list(done.elected) == elect(SEED, STAKES, 3, sortition=True)
    assert done.stored == done.elected
    assert done.weights == STAKES
    assert (done.seed, done.seed_height) == (SEED, 70)
    assert len(done.places) == len(STAKES)
    assert [place.is_elected for place in done.places] == [True] * 3 + [False] * 4


def test_a_list_that_is_overwritten_is_taken_from_its_events():
    done = recompute(RULES, DRAWING, stakes(), nominate(), held=None)

    assert done.matches
    assert not done.is_held


def test_an_election_without_nominations_has_an_empty_list():
    done = recompute(RULES, None, [], [], held=None, is_final=False)

    assert done.matches
    assert done.elected == done.stored == ()
    assert done.seed == b""
    assert not done.is_final


def test_without_a_draw_the_largest_weights_win():
    rules = replace(RULES, sortition=False)
    events = nominate(sortition=False)

    done = recompute(rules, None, stakes(), events, held=None)

    assert done.matches
    assert done.elected == (7, 6, 5)


def test_votes_of_the_same_epoch_do_not_count_yet():
    late = Vote((60, 0), 1, 50 * ETHER, RULES.epoch - 1)

    done = recompute(RULES, DRAWING, [*stakes(), late], nominate(), held=ring())

    assert done.matches
    assert done.weights[1] == ETHER


def test_what_was_taken_away_before_the_nomination_counts_no_more():
    taken = Vote((60, 0), 7, -5 * ETHER, RULES.epoch - 1)
    weights = STAKES | {7: 2 * ETHER}

    done = recompute(
        RULES, DRAWING, [*stakes(), taken], nominate(weights), held=ring(weights)
    )

    assert done.matches
    assert done.weights[7] == 7 * ETHER
    assert {p.number: p.weight for p in done.places}[7] == 2 * ETHER


def test_what_was_taken_away_after_the_nomination_still_counted():
    taken = Vote((72, 0), 7, -5 * ETHER, RULES.epoch - 1)

    done = recompute(RULES, DRAWING, [*stakes(), taken], nominate(), held=ring())

    assert done.matches


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"drawing": replace(DRAWING, prevrandao=PARENT)},
            "block 70 gives another seed than the contract reported",
        ),
        ({"drawing": None}, "nodes were nominated without a seed"),
        (
            {"votes": stakes(STAKES | {2: 9 * ETHER})},
            f"node 2 has {9 * ETHER} wei by its votes, the contract counted {2 * ETHER}",
        ),
        (
            {"nominations": [*nominate(), replace(nominate()[3], position=(80, 1))]},
            "node 4 was nominated twice",
        ),
        (
            {"rules": replace(RULES, min_stake=2 * ETHER)},
            f"node 1 has {ETHER} wei, less than the smallest stake",
        ),
        (
            {"nominations": [replace(nominate()[0], key=5), *nominate()[1:]]},
            "the contract drew another key for node 1",
        ),
        (
            {"votes": []},
            f"node 1 has 0 wei by its votes, the contract counted {ETHER}",
        ),
    ],
)
def test_whatever_does_not_fit_is_said(changed, sentence):
    given = {
        "rules": RULES,
        "drawing": DRAWING,
        "votes": stakes(),
        "nominations": nominate(),
    } | changed

    done = recompute(*given.values(), held=ring())

    assert not done.matches
    assert sentence in done.faults


def test_a_bent_list_is_named():
    best = elect(SEED, STAKES, 4, sortition=True)
    keys = {number_of(key): key for key in ring(seats=4)}
    bent = [keys[best[0]], keys[best[1]], keys[best[3]]]

    done = recompute(RULES, DRAWING, stakes(), nominate(), held=bent)

    assert not done.matches
    assert done.stored != done.elected
    (fault,) = done.faults
    assert fault.startswith("the contract's list is another: ")
    assert fault.endswith(f"node {best[2]} should be on it, node {best[3]} should not")


def test_a_list_with_other_keys_is_no_match():
    held = ring()
    bent = [held[0] + (1 << 32), *held[1:]]

    done = recompute(RULES, DRAWING, stakes(), nominate(), held=bent)

    assert set(done.stored) == set(done.elected)
    assert not done.matches
    assert "other keys" in done.faults[0]


def test_sentences_are_bounded():
    weights = dict.fromkeys(range(1, 100), ETHER)

    done = recompute(RULES, DRAWING, [], nominate(weights), held=None)

    assert len(done.faults) == MAX_FAULTS


@given(
    st.dictionaries(st.integers(1, 2**32 - 1), st.integers(ETHER, 2**90), max_size=20),
    st.integers(1, 30),
)
def test_it_elects_whom_the_election_elects(weights, seats):
    rules = replace(RULES, seats=seats)

    done = recompute(rules, DRAWING, stakes(weights), nominate(weights), held=None)

    assert done.matches
    assert list(done.elected) == elect(SEED, weights, seats, sortition=True)
