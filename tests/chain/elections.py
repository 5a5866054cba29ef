"""Whole elections with many nodes, and what they cost."""

from discovery.election import draw_key
from tests.chain.chains import ETHER
from tests.chain.deployment import Deployment
from tests.chain.sources import helper

CROWD = 60
"""Nodes registered by one transaction, some 13,000,000 gas."""

BATCH = 64


def register_crowd(deployed: Deployment, nodes: int):
    """Register so many more nodes of the same stake."""
    crowd = deployed.chain.deploy_code(*helper("Crowd"))
    while nodes > 0:
        n = min(nodes, CROWD)
        call = crowd.functions.register(deployed.relays.address, n)
        deployed.chain.send(call, value=n * ETHER)
        nodes -= n


def best(deployed: Deployment, seats: int):
    """Return the numbers that win the draw that is open, best first."""
    seed = deployed.read("seed_of", deployed.epoch() + 1)[1]
    count = deployed.book.functions.node_count().call()
    keys = [
        draw_key(seed, number, ETHER, sortition=True) for number in range(1, count + 1)
    ]
    return sorted(range(1, count + 1), key=lambda number: keys[number - 1])[:seats]


def nominate_all(deployed: Deployment, numbers):
    """Nominate in batches; return the gas of all."""
    return sum(
        deployed.send("nominate_many", numbers[n : n + BATCH])["gasUsed"]
        for n in range(0, len(numbers), BATCH)
    )


def elect_one_by_one(deployed: Deployment, seats: int):
    """Draw, then nominate so many winners singly, worst first; return each one's gas."""
    deployed.next_epoch()
    deployed.draw()
    return [
        deployed.send("nominate", number)["gasUsed"]
        for number in reversed(best(deployed, seats))
    ]


def elect_at_once(deployed: Deployment, seats: int):
    """Draw, then nominate the winners together, worst first; return the gas."""
    deployed.next_epoch()
    deployed.draw()
    return nominate_all(deployed, best(deployed, seats)[::-1])
