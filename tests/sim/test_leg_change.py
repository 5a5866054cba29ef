"""A relay dies without a word: how soon each end sends over the other leg.

Counted from the last block that came over the dead leg, as nobody can know earlier. Also
what must not happen: that an end leaves a leg that is well.
"""

import asyncio
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from psp.endpoint.session import Session
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Seconds
from tests.sim.calls import Talk, talking

pytestmark = pytest.mark.timeout(120)

SOON = 0.3
NEAR = Weather(latency=Seconds(0.0))
FAR = Weather(latency=Seconds(0.04), jitter=Seconds(0.01), loss=0.01)
PATH = 7 * 0.05
"""Seconds at most from one end to the other in that weather, without losses."""


def sessions(talk: Talk) -> list[Session]:
    """Return both ends' machines."""
    found = [
        side.legs.network.machine.session(side.session.key)
        for side in (talk.caller, talk.callee)
    ]
    return [session for session in found if session is not None]


def kill_one_of_the_leg_in_use(talk: Talk, seed: int) -> None:
    (leg,) = sessions(talk)[0].legs.to_use(talk.caller.legs.network.now())
    (other,) = (each for each in talk.both_legs() if each != leg)
    on_it, spared = (
        {*talk.path(talk.caller, number), *talk.path(talk.callee, number)}
        for number in (leg, other)
    )
    talk.kill([Random(seed).choice(sorted(on_it - spared))])


def silences_after_a_death(folder: Path, seed: int, weather: Weather) -> list[float]:
    """Return the longest silence at each end, with changes of leg before counted."""

    async def main(hub: SimHub) -> list[float]:
        async with talking(hub, folder, seed=seed) as talk:
            before = [session.stats.leg_changes for session in sessions(talk)]
            await asyncio.sleep(10)
            assert [each.stats.leg_changes for each in sessions(talk)] == before
            start = asyncio.get_running_loop().time()
            kill_one_of_the_leg_in_use(talk, seed)
            await asyncio.sleep(3)
            assert talk.is_alive
            heard = [
                [moment for moment in times if moment > start - 1]
                for times in talk.heard.values()
            ]
            return [max(b - a for a, b in pairwise(times)) for times in heard]

    return run_simulation(main, seed=seed, weather=weather)


@pytest.mark.parametrize("seed", range(3))
def test_where_light_needs_no_time_nobody_is_silent_for_long(tmp_path, seed):
    assert max(silences_after_a_death(tmp_path, seed, NEAR)) <= SOON


@pytest.mark.parametrize("seed", range(3))
def test_over_bad_links_the_way_itself_comes_on_top_and_nobody_moves_before(
    tmp_path, seed
):
    silences = silences_after_a_death(tmp_path, seed, FAR)

    # The last words and the first over the other leg are a way of 7 links apart, for
    # one end as much less as for the other more.
    assert sum(silences) / 2 <= SOON + PATH
