"""A call through the whole network, in virtual time."""

import asyncio
from pathlib import Path

import pytest

from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Seconds
from tests.sim.rig import town


def call_once(folder: Path, seed: int, weather: Weather) -> list[bytes]:
    """Announce, look up, call, and speak both ways."""

    async def main(hub: SimHub) -> list[bytes]:
        async with town(hub, folder, seed=seed) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            await alice.announce()
            waiting = asyncio.create_task(alice.accept())
            calling = await bob.call(alice.contact_card)
            answering = await waiting
            assert answering.peer == place.plan.users["bob"].user_id
            calling.send_message(b"hello alice")
            answering.send_message(b"hello bob")
            return [await answering.receive_message(), await calling.receive_message()]

    return run_simulation(main, seed=seed, weather=weather)


BAD = Weather(
    latency=Seconds(0.02),
    jitter=Seconds(0.01),
    loss=0.1,
    duplication=0.05,
    reorder=0.05,
)


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.timeout(120)
def test_a_call_comes_about_at_ten_percent_loss(tmp_path, seed):
    assert call_once(tmp_path, seed, BAD) == [b"hello alice", b"hello bob"]


def test_a_call_comes_about_in_fair_weather(tmp_path):
    assert call_once(tmp_path, 1, Weather()) == [b"hello alice", b"hello bob"]
