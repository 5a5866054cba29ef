from collections import Counter

import pytest

from discovery.backend import ElectedList, Standing
from discovery.election import elect, seed_of
from discovery.symbol.answers import Block, Importance
from discovery.symbol.draw import Candidate, draw, judged
from psp.ids import NodeId

EPOCH, START = 2, 1440
SEED = Block(1500, bytes(32), bytes([7]) * 32)


def identity(number):
    return NodeId(number.to_bytes(32))


def target(number):
    """An account whose first four bytes are a number."""
    return number.to_bytes(4) + bytes(16)


def candidate(number, value=10**9, height=START):
    return Candidate(identity(number), target(number), Importance(value, height))


def seed(byte):
    return Block(1500, bytes(32), byte.to_bytes(32))


def test_the_draw_is_that_of_the_evm_contract(symbol):
    weights = {number: 10**9 * number for number in range(1, 40)}
    candidates = [candidate(number, value) for number, value in weights.items()]
    config = symbol.config
    mixed = seed_of(
        SEED.generation_hash, config.generation_hash, EPOCH, config.partners
    )

    found = draw(config, EPOCH, SEED, candidates)

    elected = elect(mixed, weights, config.seats, sortition=True)
    assert found == tuple(sorted(identity(number) for number in elected))


def test_seats_go_by_importance(symbol):
    candidates = [candidate(1, 8 * 10**9), candidate(2), candidate(3), candidate(4)]

    seats = Counter(
        node
        for byte in range(400)
        for node in draw(symbol.config, EPOCH, seed(byte), candidates)
    )

    assert seats[identity(1)] > 370
    assert all(90 < seats[identity(number)] < 190 for number in (2, 3, 4))


def test_the_seed_of_one_epoch_or_network_is_no_seed_of_another(symbol, sirius):
    candidates = [candidate(number) for number in range(1, 30)]
    later = [candidate(number, height=START + 720) for number in range(1, 30)]

    lists = {
        draw(symbol.config, EPOCH, SEED, candidates),
        draw(symbol.config, EPOCH + 1, SEED, later),
        draw(sirius.config, EPOCH, SEED, candidates),
        draw(symbol.config, EPOCH, seed(8), candidates),
    }

    assert len(lists) == 4


@pytest.mark.parametrize(
    "other",
    [candidate(9, value=0), candidate(9, 0, 0), candidate(9, 10**15, START - 720)],
    ids=["none", "not qualified", "left over from before"],
)
def test_importance_counts_only_at_the_fixed_height(symbol, other):
    candidates = [candidate(1), candidate(2)]

    with_other = draw(symbol.config, EPOCH, SEED, [*candidates, other])

    assert with_other == (identity(1), identity(2))


def test_once_newer_importances_are_shown_nothing_can_be_told(symbol):
    candidates = [candidate(1), candidate(2, height=START + 720)]

    assert draw(symbol.config, EPOCH, SEED, candidates) is None


def test_an_identity_made_to_suit_a_known_seed_does_not_help(symbol):
    fixed = [candidate(number) for number in range(1, 6)]
    winners = {
        draw(
            symbol.config,
            EPOCH,
            SEED,
            [*fixed, Candidate(identity(grind), target(6), Importance(10**9, START))],
        )
        for grind in range(100, 140)
    }

    in_seats = {identity(grind) in won for won in winners for grind in range(100, 140)}
    assert len(in_seats & {True}) in {0, 1}
    assert len({len(won) for won in winners}) == 1
    assert len({frozenset(won) & ids(1, 2, 3, 4, 5) for won in winners}) == 1


def ids(*numbers):
    return frozenset(identity(number) for number in numbers)


def tuple_of(*numbers):
    return tuple(identity(number) for number in numbers)


@pytest.mark.parametrize(
    ("published", "computed", "standing", "nodes"),
    [
        (None, None, Standing.UNKNOWN, ()),
        ((1, 2), None, Standing.PUBLISHED, (1, 2)),
        (None, (1, 2), Standing.COMPUTED, (1, 2)),
        ((1, 2), (1, 2), Standing.RECOMPUTED, (1, 2)),
        ((1, 3), (1, 2), Standing.DISPUTED, (1,)),
        ((3, 4), (1, 2), Standing.DISPUTED, ()),
        ((), (1, 2), Standing.DISPUTED, ()),
        ((1, 9), None, Standing.PUBLISHED, (1,)),
        ((), (), Standing.RECOMPUTED, ()),
    ],
)
def test_a_list_says_what_it_rests_on(published, computed, standing, nodes):
    given_lists = {
        "published": None if published is None else tuple_of(*published),
        "computed": None if computed is None else tuple_of(*computed),
    }

    found = judged(EPOCH, active=ids(1, 2, 3, 4), **given_lists)

    assert found == ElectedList(
        EPOCH,
        tuple_of(*nodes),
        standing,
        tuple_of(*(published or ())),
        tuple_of(*(computed or ())),
    )
