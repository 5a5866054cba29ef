"""Costs that must not grow with the network."""

import pytest

from tests.chain.chains import ETHER
from tests.chain.deployment import Deployment, record, signature, word
from tests.chain.elections import elect_at_once, elect_one_by_one, register_crowd

SEATS = 32
ALONE = 4
FEW, MANY = 100, 1_000


@pytest.mark.timeout(120)
def test_election_costs_the_same_with_ten_times_the_nodes(chain):
    """For 10,000 see README.md of the contracts, and measure_gas.py."""
    deployed = Deployment.deploy(chain, seats=SEATS)
    register_crowd(deployed, FEW)
    elect_at_once(deployed, SEATS)  # the words of this list are written from now on
    costs = []
    for _ in (FEW, MANY):
        deployed.next_epoch(3)  # so that each list has the same place in the ring
        singly = elect_one_by_one(deployed, ALONE)
        deployed.next_epoch(3)
        costs.append((max(singly), elect_at_once(deployed, SEATS)))
        register_crowd(deployed, MANY - deployed.book.functions.node_count().call())

    assert deployed.book.functions.node_count().call() == MANY
    for few, many in zip(*costs, strict=True):
        assert abs(many - few) < 0.05 * few, costs


def test_work_on_one_node_stays_below_a_ceiling(deployed):
    """Some per cent above what README.md of the contracts says."""
    deployed.register("first", stake=9 * ETHER)
    operator = deployed.chain.accounts[4]
    ceilings = {
        "register": 225_000,
        "update": 90_000,
        "rotate_onion": 66_000,
        "set_operator": 60_000,
        "vote": 62_000,
        "unvote": 80_000,
        "move_vote": 80_000,
        "retire": 90_000,
    }

    def gas(name, *args, **options):
        return deployed.send(name, *args, **options)["gasUsed"]

    used = {
        "register": gas("register", *record("b"), value=ETHER),
        "update": gas("update", 2, *record("c")),
        "rotate_onion": gas("rotate_onion", 2, word("d"), signature("d")),
        "set_operator": gas("set_operator", 2, operator),
        "vote": gas("vote", 2, sender=3, value=5 * ETHER),
        "unvote": gas("unvote", 2, ETHER, sender=3),
        "move_vote": gas("move_vote", 2, 1, ETHER, sender=3),
        "retire": gas("retire", 2),
    }

    assert {name for name in used if used[name] > ceilings[name]} == set(), used
