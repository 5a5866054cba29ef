"""Lists of discovery nodes: who gets on one, and that anybody can recompute it."""

import random

import pytest

from discovery.election import (
    MAX_WEIGHT,
    draw_key,
    effective_weight,
    elect,
    number_of,
)
from tests.chain.chains import ETHER
from tests.chain.deployment import SEATS, Deployment
from tests.chain.elections import nominate_all, register_crowd

DRAWN = 28_134_377_698_159_064_743_835_575_208_902_663
COUNTED = 340_282_366_908_053_561_575_374_607_427_473_244_167


@pytest.fixture(params=[True, False], ids=["draw", "count"])
def either(request, chain):
    """A registry that draws, and one where the largest weights win."""
    return Deployment.deploy(chain, sortition=request.param)


def is_drawn(deployed):
    return deployed.read("parameters")[6]


def opened(deployed):
    """Go where nodes can be nominated; return the list's epoch and seed."""
    if is_drawn(deployed):
        deployed.draw()
    epoch = deployed.epoch() + 1
    return epoch, deployed.read("seed_of", epoch)[1]


def elected(deployed, epoch):
    """Return the numbers of a list, best first."""
    return [number_of(key) for key in sorted(deployed.read("elected", epoch))]


def test_keys_are_recomputed_to_the_last_bit(either):
    source = random.Random(7)
    sortition = is_drawn(either)
    points = [
        (
            source.randbytes(32),
            source.randint(1, 2**32 - 1),
            source.getrandbits(bits) | 1,
        )
        for bits in (1, 20, 60, 64, 80, 95, 96)
        for _ in range(4)
    ]
    points += [(bytes(32), 0, MAX_WEIGHT), (b"\xff" * 32, 2**32 - 1, 1)]

    for seed, number, weight in points:
        key = draw_key(seed, number, weight, sortition=sortition)
        assert either.read("key_of", seed, number, weight) == key
    for wrong in [(bytes(32), 1, 0), (bytes(32), 2**32, 1), (bytes(32), 1, 2**96)]:
        assert either.refusal("key_of", *wrong) == "range"


def test_known_keys_are_those_of_the_unit_test(deployed, counted):
    """Those in tests/unit/discovery/test_election.py: there the mirror is held to them."""
    point = (bytes(range(32)), 7, 3 * ETHER)

    assert deployed.read("key_of", *point) == DRAWN
    assert counted.read("key_of", *point) == COUNTED


def test_best_of_all_nominated_are_elected(either):
    """In any order, in batches, with repeats: the list is the replay's."""
    source = random.Random(5)
    stakes = [ETHER * source.randint(1, 50) for _ in range(30)]
    either.register_many(stakes)
    either.next_epoch()
    epoch, seed = opened(either)
    order = [*range(1, 31), *range(1, 31)]
    source.shuffle(order)
    while order:
        either.send("nominate_many", [order.pop() for _ in range(12)])

    weights = dict(enumerate(stakes, start=1))
    best = elect(seed, weights, SEATS, sortition=is_drawn(either))
    assert elected(either, epoch) == best
    keys = either.read("elected", epoch)
    for place, key in enumerate(keys[1:], start=1):
        assert keys[(place - 1) // 2] > key  # a heap, the worst on top
    either.next_epoch()
    assert either.read("discovery") == [epoch, [number_of(key) for key in keys]]


@pytest.mark.parametrize("seats", [1, 2, 3, 6, 7, 256])
def test_list_has_as_many_places_as_seats(chain, seats):
    deployed = Deployment.deploy(chain, seats=seats, sortition=False)
    stakes = [ETHER * (n % 5 + 1) for n in range(min(seats + 4, 12))]
    deployed.register_many(stakes)
    deployed.next_epoch()
    for number in range(1, len(stakes) + 1):
        deployed.send("nominate_many", [number])

    weights = dict(enumerate(stakes, start=1))
    best = elect(bytes(32), weights, seats, sortition=False)
    assert elected(deployed, deployed.epoch() + 1) == best


@pytest.mark.timeout(120)
def test_longest_list_is_right_at_every_depth(chain):
    seats, nodes = 256, 290
    deployed = Deployment.deploy(chain, seats=seats)
    register_crowd(deployed, nodes)
    deployed.next_epoch()
    epoch, seed = opened(deployed)
    order = list(range(1, nodes + 1))
    random.Random(11).shuffle(order)

    nominate_all(deployed, order)

    weights = dict.fromkeys(order, ETHER)
    best = elect(seed, weights, seats, sortition=True)
    assert elected(deployed, epoch) == best
    keys = deployed.read("elected", epoch)
    assert all(keys[(n - 1) // 2] > keys[n] for n in range(1, seats))


def test_nomination_tells_what_it_counted(either):
    number = either.register("a", stake=5 * ETHER)
    either.next_epoch()
    epoch, seed = opened(either)

    receipt = either.send("nominate", number)

    key = draw_key(seed, number, 5 * ETHER, sortition=is_drawn(either))
    assert either.events("Nominated", receipt) == [
        {"epoch": epoch, "number": number, "weight": 5 * ETHER, "key": key}
    ]
    assert either.read("weights", number, 1)[0] >> 224 == epoch
    assert either.refusal("nominate", number) == "refused"
    assert either.send("nominate_many", [number])["logs"] == []
    assert either.read("elected", epoch) == [key]


def test_node_is_not_elected_in_the_epoch_it_came(counted):
    number = counted.register("a")

    assert counted.refusal("nominate", number) == "refused"
    counted.next_epoch()
    counted.send("nominate", number)


def test_nomination_counts_the_smaller_of_then_and_now(counted):
    voter = 2
    risen, fallen, moved = (counted.register(n, stake=2 * ETHER) for n in range(3))
    for number in (fallen, moved):
        counted.send("vote", number, sender=voter, value=9 * ETHER)
    counted.next_epoch()
    counted.send("vote", risen, sender=voter, value=9 * ETHER)
    counted.send("unvote", fallen, 4 * ETHER, sender=voter)
    counted.send("nominate", moved)
    counted.send("move_vote", moved, risen, 9 * ETHER, sender=voter)

    receipts = [counted.send("nominate", number) for number in (risen, fallen)]

    nominated = [counted.events("Nominated", receipt)[0] for receipt in receipts]
    assert [event["weight"] for event in nominated] == [2 * ETHER, 7 * ETHER]
    words = counted.read("weights", 1, 3)
    epoch = counted.epoch()
    assert [effective_weight(word, epoch) for word in words[:2]] == [
        2 * ETHER,
        7 * ETHER,
    ]


def test_ended_and_unknown_nodes_are_passed_over(either):
    numbers = [either.register(n, stake=(9 - n) * ETHER) for n in range(4)]
    either.next_epoch()
    epoch, _ = opened(either)
    either.send("retire", 1)
    either.send("revoke", 2)

    for number in (0, 1, 2, 5, 2**32 + 3, 2**256 - 1):
        assert either.refusal("nominate", number) == "refused"
    either.send("nominate_many", [0, *numbers, 5, 2**32 + 3, 2**256 - 1, *numbers])

    assert sorted(elected(either, epoch)) == [3, 4]


def test_node_that_is_revoked_after_its_nomination_is_on_the_list_as_revoked(either):
    number = either.register("a")
    either.next_epoch()
    opened(either)
    either.send("nominate", number)

    either.send("revoke", number)

    either.next_epoch()
    assert either.read("discovery")[1] == [number]
    assert either.head(number).status == 3


def test_weight_below_the_smallest_stake_is_not_elected(counted):
    """An owner's stake cannot sink so far, the sum of an ended node's votes can."""
    number = counted.register("a")
    counted.send("vote", number, sender=2, value=ETHER)
    counted.next_epoch()
    counted.send("retire", number)

    assert counted.refusal("nominate", number) == "refused"


def test_worse_than_all_in_a_full_list_is_refused(counted):
    counted.register_many([2 * ETHER] * SEATS + [ETHER])
    counted.next_epoch()
    counted.send("nominate_many", list(range(1, SEATS + 1)))
    last = SEATS + 1

    assert counted.refusal("nominate", last) == "outbid"
    assert counted.send("nominate_many", [last])["logs"] == []
    assert counted.read("weights", last, 1)[0] >> 224 == 0


def test_better_one_takes_the_place_of_the_worst(counted):
    counted.register_many([2 * ETHER] * (SEATS - 1) + [ETHER, 3 * ETHER])
    counted.next_epoch()
    epoch = counted.epoch() + 1
    counted.send("nominate_many", list(range(1, SEATS + 1)))
    assert SEATS in elected(counted, epoch)

    counted.send("nominate", SEATS + 1)

    assert elected(counted, epoch) == [SEATS + 1, *range(1, SEATS)]
    # who was pushed out is worse than all that are left
    assert counted.refusal("nominate", SEATS) == "refused"


def test_list_before_stays_in_force_while_there_is_no_newer(counted):
    numbers = [counted.register(n) for n in range(3)]
    counted.next_epoch()
    assert counted.read("discovery") == [0, []]
    counted.send("nominate_many", numbers)
    made = counted.epoch() + 1
    assert counted.read("discovery") == [0, []]

    for _ in range(3):
        counted.next_epoch()
        assert counted.read("discovery")[0] == made
        assert sorted(counted.read("discovery")[1]) == numbers
    counted.next_epoch()
    assert counted.read("discovery") == [0, []]
    assert counted.read("elected", made) != []  # until its place in the ring is needed


def test_lists_of_four_epochs_are_kept(counted):
    counted.register_many([ETHER] * 6)
    made = []
    counted.next_epoch()
    for number in range(1, 7):
        counted.send("nominate", number)
        made.append(counted.epoch() + 1)
        counted.next_epoch()

    kept = [elected(counted, epoch) for epoch in made]
    assert kept == [[], [], [3], [4], [5], [6]]
    assert counted.read("discovery") == [made[-1], [6]]
    assert counted.read("elected", 2**256 - 1) == []


def test_shorter_list_is_not_filled_up_from_an_older_one(counted):
    counted.register_many([ETHER] * SEATS)
    counted.next_epoch()
    counted.send("nominate_many", list(range(1, SEATS + 1)))
    counted.next_epoch(4)
    counted.send("nominate_many", [1, 2])

    assert elected(counted, counted.epoch() + 1) == [1, 2]


def test_only_owner_and_operator_nominate_where_that_is_asked(chain):
    deployed = Deployment.deploy(chain, self_only=True, sortition=False)
    for number, owner in enumerate((1, 2, 1), start=1):
        deployed.register(number, sender=owner)
    deployed.send("set_operator", 2, chain.accounts[4], sender=2)
    deployed.next_epoch()

    assert deployed.refusal("nominate", 1, sender=4) == "refused"
    deployed.send("nominate_many", [1, 2, 3], sender=4)
    assert elected(deployed, deployed.epoch() + 1) == [2]
    deployed.send("nominate_many", [1, 2, 3], sender=1)
    assert elected(deployed, deployed.epoch() + 1) == [1, 2, 3]


def test_batch_is_bounded(counted):
    assert counted.refusal("nominate_many", [1] * 65) == ""


def test_epochs_run_with_time(deployed):
    start = deployed.epoch()
    assert start == 4
    assert deployed.next_epoch() == deployed.epoch() == 5
    deployed.chain.go_to(deployed.genesis + 10 * deployed.epoch_length - 60)
    assert deployed.epoch() == 13
    assert deployed.next_epoch() == deployed.epoch() == 14
