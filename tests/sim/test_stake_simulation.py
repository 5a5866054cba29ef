"""What a share of the stake buys: seats in proportion in a draw, all of them without one.

1,000 honest nodes, and an adversary who spreads his stake over as many nodes as it pays.
"""

import statistics

import pytest

from discovery.election import elect

NODES = 1_000
SEATS = 32
EPOCHS = 40
MIN_STAKE = 10**18


def equal_stakes():
    return [10 * MIN_STAKE] * NODES


def pareto_stakes():
    """Few hold most: index 1.16 is the 80 to 20 rule. Its quantiles, not a sample."""
    ranks = [(n - 0.5) / NODES for n in range(1, NODES + 1)]
    return [int(MIN_STAKE * rank ** (-1 / 1.16)) for rank in ranks]


HONEST = {"equal": equal_stakes(), "pareto": pareto_stakes()}


def with_adversary(honest, share, *, nodes):
    """Add nodes of equal stake that make up this share of all."""
    stake = int(sum(honest) * share / (1 - share)) // nodes
    weights = dict(enumerate(honest, start=1))
    weights |= {NODES + n: stake for n in range(1, nodes + 1)}
    return weights


def adversary_seats(weights, epochs, *, sortition):
    """Return how many seats the adversary wins in each epoch."""
    lists = [
        elect(epoch.to_bytes(32, "big"), weights, SEATS, sortition=sortition)
        for epoch in range(epochs)
    ]
    return [sum(number > NODES for number in elected) for elected in lists]


@pytest.mark.parametrize("share", [0.10, 0.20, 0.33])
@pytest.mark.parametrize("honest", HONEST)
def test_draw_gives_seats_in_proportion_to_stake(honest, share):
    weights = with_adversary(HONEST[honest], share, nodes=200)

    seats = adversary_seats(weights, EPOCHS, sortition=True)

    # four standard errors of the mean of binomial draws below; above, as much of a gain
    # as many small nodes have over large honest ones, which can be drawn only once
    error = (SEATS * share * (1 - share) / EPOCHS) ** 0.5
    most = 1.3 if honest == "pareto" else 1.0
    assert SEATS * share - 4 * error < statistics.mean(seats)
    assert statistics.mean(seats) < most * SEATS * share + 4 * error
    assert max(seats) < SEATS * 0.75


def test_splitting_stake_wins_nothing_in_a_draw():
    split, whole = (
        with_adversary(HONEST["equal"], 0.20, nodes=nodes) for nodes in (400, 250)
    )

    seats = [
        statistics.mean(adversary_seats(weights, EPOCHS, sortition=True))
        for weights in (split, whole)
    ]

    error = (SEATS * 0.2 * 0.8 / EPOCHS) ** 0.5
    assert abs(seats[0] - seats[1]) < 4 * 2**0.5 * error


@pytest.mark.parametrize(
    ("honest", "share", "nodes"),
    [("equal", 0.0175, 17), ("equal", 0.032, SEATS), ("pareto", 0.11, 17)],
)
def test_largest_weights_fall_to_little_stake(honest, share, nodes):
    weights = with_adversary(HONEST[honest], share, nodes=nodes)

    assert adversary_seats(weights, 1, sortition=False) == [nodes]
    drawn = statistics.mean(adversary_seats(weights, EPOCHS, sortition=True))
    assert drawn < SEATS * share * 1.5
