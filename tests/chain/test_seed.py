"""The seed of a list and the beacon of a day: when they are drawn, and from what."""

import pytest

from discovery.election import beacon_of, seed_of
from tests.chain.deployment import EPOCH, SEED_DELAY, ZERO, Deployment

DAY = 86_400


def recomputed(deployed, receipt, epoch):
    """Return the seed that the block of a receipt gives."""
    block = deployed.chain.w3.eth.get_block(receipt["blockNumber"])
    registry = bytes.fromhex(deployed.relays.address[2:])
    return seed_of(block["mixHash"], block["parentHash"], epoch, registry)


def test_seed_is_drawn_in_the_second_half_behind_the_named_block(deployed):
    chain = deployed.chain
    epoch = deployed.next_epoch() + 1
    chain.wait(EPOCH // 2 - 60)
    assert deployed.refusal("reveal_seed") == "request"
    assert deployed.refusal("request_seed") == "early"
    deployed.second_half()

    receipt = deployed.send("request_seed", sender=5)

    target = receipt["blockNumber"] + SEED_DELAY
    event = {"epoch": epoch, "target": target}
    assert deployed.events("SeedRequested", receipt) == [event]
    assert deployed.refusal("request_seed") == "set"
    assert deployed.read("seed_of", epoch) == [target, ZERO]
    # anvil calls in the block at the head, the embedded chain does too
    chain.mine(SEED_DELAY)
    assert chain.w3.eth.block_number == target
    assert deployed.refusal("reveal_seed") == "seed"

    receipt = deployed.send("reveal_seed", sender=6)

    seed = recomputed(deployed, receipt, epoch)
    assert receipt["blockNumber"] == target + 1
    assert deployed.read("seed_of", epoch) == [target, seed]
    assert deployed.events("Seed", receipt) == [{"epoch": epoch, "seed": seed}]
    again = deployed.send("reveal_seed")
    assert again["logs"] == []
    assert deployed.read("seed_of", epoch) == [target, seed]
    assert deployed.refusal("request_seed") == "set"


def test_first_nomination_draws_the_seed(deployed):
    number = deployed.register("a")
    epoch = deployed.next_epoch() + 1
    assert deployed.refusal("nominate", number) == "request"
    assert deployed.refusal("nominate_many", [number]) == "request"
    deployed.second_half()
    deployed.send("request_seed")
    assert deployed.refusal("nominate", number) == "seed"
    deployed.chain.mine(SEED_DELAY)

    receipt = deployed.send("nominate", number)

    assert deployed.read("seed_of", epoch)[1] == recomputed(deployed, receipt, epoch)


def test_seed_that_nobody_drew_is_lost_with_its_epoch(deployed):
    deployed.next_epoch()
    deployed.second_half()
    deployed.send("request_seed")
    epoch = deployed.next_epoch()

    assert deployed.refusal("reveal_seed") == "request"
    assert deployed.read("seed_of", epoch)[1] == ZERO
    deployed.draw()
    assert deployed.read("seed_of", epoch + 1)[1] != ZERO


def test_seeds_of_three_epochs_are_kept(deployed):
    seeds = {}
    for _ in range(5):
        epoch = deployed.next_epoch()
        deployed.draw()
        seeds[epoch + 1] = deployed.read("seed_of", epoch + 1)

    assert len(set(map(tuple, seeds.values()))) == 5
    held = [epoch for epoch in seeds if deployed.read("seed_of", epoch) == seeds[epoch]]
    assert held == list(seeds)[1:]
    assert deployed.read("seed_of", min(seeds)) == [0, ZERO]
    assert deployed.read("seed_of", 2**255) == [0, ZERO]


def test_seed_makes_the_beacon_of_the_next_day(deployed):
    chain = deployed.chain
    today = chain.now() // DAY
    chain.go_to((today + 2) * DAY + 100)  # beacons of the first two days are past
    deployed.next_epoch()

    receipt = deployed.draw()

    day = chain.now() // DAY + 1
    (seed,) = deployed.events("Seed", receipt)
    value = beacon_of(seed["seed"], day)
    assert deployed.events("BeaconSet", receipt) == [{"day": day, "value": value}]
    assert deployed.read("beacon", day) == value
    deployed.next_epoch()
    later = deployed.draw()
    assert chain.now() // DAY + 1 == day
    assert deployed.events("BeaconSet", later) == []
    assert deployed.read("beacon", day) == value


@pytest.mark.parametrize("sortition", [True, False])
def test_seed_is_drawn_with_and_without_a_draw_of_nodes(chain, sortition):
    """Where the largest weights win, it still makes the beacons."""
    deployed = Deployment.deploy(chain, sortition=sortition)
    epoch = deployed.next_epoch() + 1

    receipt = deployed.draw()

    assert deployed.read("seed_of", epoch)[1] == recomputed(deployed, receipt, epoch)
