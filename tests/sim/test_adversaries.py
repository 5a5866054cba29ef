"""Look-ups among discovery nodes of which many are dead or malicious.

By the rules of `psp.client.lookups.evidence` the malicious win in 1 of 12,000 look-ups
(tests/unit/psp/client/lookups/test_evidence.py works it out): two in 2,025 would be bad luck.
"""

import asyncio

import pytest

from psp.client.lookups.lookup import PresenceState
from psp.client.lookups.replicas import ReplicaFinder
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import MemoryRegistry, PresenceUser
from psp.testing.simloop import run_simulation
from psp.units import Seconds, UnixTime
from tests.sim.adversaries import Town, trials

pytestmark = pytest.mark.timeout(120)


def live_through(seed, count, *, dead=0, evil=0, behaviour="mixed"):
    """Return what went wrong in so many look-ups, and what the client's counters say."""

    async def main(hub):
        town = Town(seed)
        await town.publish_all()
        chosen = town.dice.sample(town.discovery, dead + evil)
        town.corrupt(chosen[:evil], behaviour)
        town.clock.jump(Seconds(120))
        await town.publish_all()
        town.clock.jump(Seconds(90))
        town.links.dead.update(chosen[evil:])
        problems = await trials(town, count)
        await town.close()
        return problems, town.lookup.stats

    return run_simulation(main, seed=seed, within=Seconds(100_000.0))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("behaviour", ["garbage", "stale", "refuse", "lie", "mixed"])
def test_a_fifth_of_malicious_nodes_hide_nothing(seed, behaviour):
    problems, stats = live_through(seed, 135, evil=6, behaviour=behaviour)

    assert problems.total() <= 1
    assert stats.made == 135
    assert stats.confirmed > 100


def test_the_same_trials_see_what_goes_wrong_without_voices(monkeypatch):
    monkeypatch.setattr("psp.client.lookups.evidence.voices_wanted", lambda *_: 0)

    problems, _ = live_through(100, 200, evil=6, behaviour="stale")

    assert problems["older"] > 1


@pytest.mark.parametrize("seed", range(2))
def test_a_third_of_dead_nodes_hide_nothing(seed):
    problems, stats = live_through(seed, 160, dead=10)

    assert problems.total() == 0
    assert stats.made == 160


def test_a_wholly_new_list_leaves_readers_sure():
    # At once, when the newcomers have been brought everything, with a quarter of the
    # retiring nodes dead, and when only the new ones are asked.
    async def main(hub):
        town = Town(5, others=36, users=12)
        await town.publish_all()
        town.registry.elect(list(town.places)[36:], UnixTime(int(town.clock())))
        retiring = sorted(town.registry.retiring)
        problems = await trials(town, 12)
        await asyncio.sleep(30)
        town.links.dead.update(town.dice.sample(retiring, 8))
        problems += await trials(town, 12)
        await asyncio.sleep(1_320)
        problems += await trials(town, 12)
        absent = await town.look_up(PresenceUser(SeededEntropy("nobody")))
        await town.close()
        return problems, town.lookup.stats, absent

    problems, stats, absent = run_simulation(main, within=Seconds(100_000.0))

    assert problems.total() == 0
    assert stats.confirmed == stats.made == 37
    assert absent.state is PresenceState.OFFLINE


def test_a_reader_with_the_list_before_is_sure_all_the_same():
    # Half of the voices are of members that it does not know.
    async def main(hub):
        town = Town(5, others=36, users=12)
        before = MemoryRegistry(town.places, list(town.places)[:32])
        await town.publish_all()
        town.registry.elect(list(town.places)[36:], UnixTime(int(town.clock())))
        town.lookup._replicas = ReplicaFinder(before)
        await asyncio.sleep(30)
        problems = await trials(town, 24)
        absent = await town.look_up(PresenceUser(SeededEntropy("nobody")))
        await town.close()
        return problems, town.lookup.stats, absent

    problems, stats, absent = run_simulation(main, within=Seconds(100_000.0))

    assert problems.total() == 0
    assert stats.confirmed == stats.made == 25
    assert absent.state is PresenceState.OFFLINE
