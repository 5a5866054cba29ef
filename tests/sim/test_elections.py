"""No look-up fails because the discovery nodes change, however often they do.

Without hand-over, grace and publications to both lists, 40 % of the look-ups of the
first test come to nothing or to an older record.
"""

import asyncio

import pytest

from psp.testing.simloop import run_simulation
from psp.units import Seconds
from tests.sim.elections import Republic

pytestmark = pytest.mark.timeout(120)


def live_through(seed, *, epochs, epoch, seeks, **election):
    """Return what a republic came to after some epochs, users being sought all along."""

    async def main(hub):
        republic = Republic(seed)
        await republic.settle_down()
        for _ in range(epochs):
            republic.elect(**election)
            await republic.live(epoch, seeks=seeks, announcements=0.1)
        await republic.close()
        return republic

    return run_simulation(main, seed=seed, within=Seconds(100_000.0))


@pytest.mark.parametrize("seed", range(6))
def test_five_wholly_new_lists_in_a_row_fail_no_look_up(seed):
    republic = live_through(
        seed, epochs=5, epoch=60, seeks=1.5, learnt_within=30, dying=3
    )

    assert republic.tally.asked > 350
    assert republic.tally.failed == {}
    assert republic.unpublished == 0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("learnt_within", [3, 30])
def test_twenty_epochs_of_twenty_seconds_fail_no_look_up(seed, learnt_within):
    # At 30 s some hear of an election only after the next one.
    republic = live_through(
        seed, epochs=20, epoch=20, seeks=0.8, learnt_within=learnt_within, dying=2
    )

    assert republic.tally.asked > 250
    assert republic.tally.failed == {}
    assert republic.unpublished == 0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("seats", [5, 8, 16])
def test_lists_that_change_in_part_or_in_size_fail_no_look_up(seed, seats):
    async def main(hub):
        republic = Republic(seed)
        await republic.settle_down()
        for count in (seats, 8, seats):
            republic.elect(learnt_within=30, dying=2, staying=3, seats=count)
            await republic.live(60, seeks=1.5, announcements=0.1)
        await republic.close()
        return republic

    republic = run_simulation(main, seed=seed, within=Seconds(100_000.0))

    assert republic.tally.asked > 200
    assert republic.tally.failed == {}
    assert republic.unpublished == 0


@pytest.mark.parametrize("settled", [0, 60])
def test_a_point_that_has_not_heard_of_the_election_loses_no_publication(settled):
    # It stores on the old list, whose nodes pass on what they get: first publications
    # and renewals, at once and when they have long handed over.
    async def main(hub):
        republic = Republic(1)
        await republic.settle_down()
        old = list(republic.elected)
        point = republic.places[-1]
        republic.elect(learnt_within=1, deaf={point.node_id})
        await asyncio.sleep(settled)
        for number in range(3):
            await republic.announce(number, point)
            await republic.seek(number)
        await asyncio.sleep(10)
        republic.links.dead.update(old)
        for number in range(3):
            await republic.seek(number)
        await republic.close()
        return republic

    republic = run_simulation(main, within=Seconds(100_000.0))

    assert republic.tally.asked >= 6
    assert republic.tally.failed == {}
    assert republic.unpublished == 0


def test_a_day_long_epoch_ends_with_the_old_nodes_empty_and_half_the_messages():
    async def main(hub):
        republic = Republic(1)
        await republic.settle_down()
        old = [republic.place(node) for node in republic.elected]
        republic.elect(learnt_within=60)
        await asyncio.sleep(60)
        in_grace = await republic.messages_per_look_up()
        for _ in range(4):
            await republic.live(400, seeks=0.1, announcements=0.01)
            await republic.announce_all()
        after = await republic.messages_per_look_up()
        held = [len(place.service.records) for place in old]
        await asyncio.sleep(1)
        await republic.close()
        return republic.tally.failed, in_grace, after, held

    failed, in_grace, after, held = run_simulation(main, within=Seconds(100_000.0))

    assert failed == {}
    # One less where the gateway is a member itself.
    assert 15 <= in_grace <= 16
    assert 7 <= after <= 8
    assert held == [0] * 8
