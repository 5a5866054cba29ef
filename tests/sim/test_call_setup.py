"""How long it takes from calling to a session, over links of 40 ms one way.

Both clients have been on line for half a minute, so that circuits stand ready. Six
relays lie between them; light in glass needs 280 ms one way. The floor::

     320  look-up: three links and back, and once between a gateway and its neighbours
     240  the circuit to the presence point gets its last hop
     240  the introduction rings at the callee's
     320  the callee's circuit to the rendezvous gets its fourth hop
     280  JOIN, and message 2 right behind it, reach the caller
    1400
"""

import asyncio
from pathlib import Path
from statistics import median

import pytest

from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Seconds
from tests.sim.rig import town

pytestmark = pytest.mark.timeout(120)

LATENCY = Seconds(0.04)
FLOOR = 1.4
NEW_LINK = 0.16
"""Two relays that have not talked before agree on keys first."""
CALLS = 4


def times_to_call(folder: Path, seed: int, loss: float) -> list[float]:
    """Return how long the caller waited for a session, call by call."""

    async def main(hub: SimHub) -> list[float]:
        loop = asyncio.get_running_loop()
        async with town(hub, folder, seed=seed) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            await alice.announce(3)
            await asyncio.sleep(30)
            times = []
            for _ in range(CALLS):
                waiting = asyncio.create_task(alice.accept())
                start = loop.time()
                session = await bob.call(alice.me)
                times.append(loop.time() - start)
                (await waiting).close()
                session.close()
                await asyncio.sleep(10)
            return times

    return run_simulation(main, seed=seed, weather=Weather(LATENCY, loss=loss))


def test_a_call_takes_no_round_trip_that_it_could_do_without(tmp_path):
    times = [
        time
        for seed in range(3)
        for time in times_to_call(tmp_path / str(seed), seed, 0.0)
    ]

    assert min(times) < FLOOR + 0.01
    assert median(times) < FLOOR + NEW_LINK + 0.01


def test_losses_cost_a_call_a_repetition_or_two(tmp_path):
    times = [
        time
        for seed in range(3)
        for time in times_to_call(tmp_path / str(seed), seed, 0.01)
    ]

    assert median(times) < FLOOR + 0.65
