"""Reading what the driver must know (discovery/epochs/state_source.py)."""

from dataclasses import replace

import pytest

from discovery.epochs.observation import Node
from discovery.epochs.state_source import BUSY_GAS, StateSource
from discovery.transactions.errors import ChainUnreachableError
from discovery.transactions.fees import GWEI, FeeLimits
from psp.testing.simloop import run_simulation
from tests.unit.discovery.epochs.registry_chain import (
    ETHER,
    LENGTH,
    RELAYS,
    SEED,
    WALLET,
    RegistryChain,
)

WORD = 5 * ETHER | 5 * ETHER << 96


def source(chain, **limits):
    return StateSource(chain.endpoints, RELAYS, WALLET.address, FeeLimits(**limits))


def observe(chain, number=7, **limits):
    async def main(_):
        return await source(chain, **limits).observe(number)

    return run_simulation(main)


def test_everything_is_read_at_one_block():
    chain = RegistryChain()
    for _ in range(5):
        chain.payments.mine()
    chain.values.update(seed_of=(4, SEED), elected=([1, 2],))

    seen = observe(chain)

    assert (seen.height, seen.timestamp) == (5, chain.payments.blocks[5].timestamp)
    assert (seen.epoch, seen.target, seen.seed) == (4, 4, SEED)
    assert (seen.keys, seen.nodes) == ((1, 2), 9)
    assert seen.node == Node(7, is_active=True, is_ours=True, weight_word=WORD)
    assert (seen.balance, seen.stake) == (ETHER, ETHER)
    assert seen.cost == BUSY_GAS * (2 * GWEI + GWEI // 10)
    assert (seen.parameters.seats, seen.parameters.min_stake) == (3, ETHER)
    # What never changes is read from the newest block.
    assert chain.blocks_asked == {"latest", "0x5"}


def test_what_hardly_changes_is_read_once_an_epoch_unless_asked_for():
    chain = RegistryChain()

    async def main(_):
        reader = source(chain)
        await reader.observe(7)
        chain.values["weights"] = ([1],)
        asked = len(chain.endpoint.asked)
        old = await reader.observe(7)
        assert old.node.weight_word == WORD
        assert len(chain.endpoint.asked) == asked + 2

        assert (await reader.observe(7, is_fresh=True)).node.weight_word == 1
        chain.values["weights"] = ([4],)
        reader.forget()
        assert (await reader.observe(7)).node.weight_word == 4
        assert (await reader.observe(None)).node is None
        chain.values["weights"] = ([2],)
        assert (await reader.observe(7)).node.weight_word == 2
        chain.values["weights"] = ([3],)
        chain.payments.blocks[-1].timestamp += LENGTH
        assert (await reader.observe(7)).node.weight_word == 3

    chain.payments.mine()
    run_simulation(main)


def test_list_is_read_when_it_is_being_made():
    chain = RegistryChain()
    chain.values["elected"] = ([1, 2],)
    assert observe(chain).keys == ()

    parameters = list(chain.values["parameters"])
    parameters[6] = False
    chain.values["parameters"] = tuple(parameters)

    assert observe(chain).keys == (1, 2)


def test_seed_that_is_not_drawn_is_none():
    assert observe(RegistryChain()).seed is None


@pytest.mark.parametrize(
    ("head", "operator", "is_active", "is_ours"),
    [
        (int.from_bytes(WALLET.address) | 1 << 160, bytes(20), True, True),
        (int.from_bytes(b"o" * 20) | 1 << 160, bytes(20), True, False),
        (int.from_bytes(WALLET.address) | 2 << 160, bytes(20), False, True),
        (int.from_bytes(WALLET.address) | 3 << 160, bytes(20), False, True),
    ],
)
def test_whose_node_it_is_and_whether_it_is_active(head, operator, is_active, is_ours):
    chain = RegistryChain()
    chain.values.update(head=(head,), operators=(operator,))

    node = observe(chain).node

    assert (node.is_active, node.is_ours) == (is_active, is_ours)


def test_node_that_is_not_registered_is_none():
    chain = RegistryChain()
    chain.values["weights"] = ([],)

    assert observe(chain).node is None
    assert observe(chain, number=None).node is None


def test_fees_above_the_limits_have_no_cost():
    assert observe(RegistryChain(), max_fee_per_gas=GWEI).cost is None


def test_epoch_alone_takes_one_question():
    chain = RegistryChain()

    async def main(_):
        reader = source(chain)
        assert await reader.epoch() == 4
        chain.payments.blocks[-1].timestamp += LENGTH
        asked = len(chain.endpoint.asked)
        assert await reader.epoch() == 5
        assert len(chain.endpoint.asked) == asked + 1

    chain.payments.mine()
    run_simulation(main)


@pytest.mark.parametrize("place", [0, 1, 3, 4])
def test_impossible_parameters_are_refused(place):
    chain = RegistryChain()
    values = list(chain.values["parameters"])
    values[place] = 0
    chain.values["parameters"] = tuple(values)

    with pytest.raises(ChainUnreachableError, match="impossible"):
        observe(chain)


def test_observations_compare_by_what_was_seen():
    chain = RegistryChain()

    assert observe(chain) == replace(observe(chain))
