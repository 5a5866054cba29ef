"""A relay that drops cells is found and left (R-TAG-6), bad weather is not blamed."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from psp.ids import LinkId
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Monotonic, Seconds
from psp.wire.cell import CellCommand
from tests.sim.calls import Talk, talking

pytestmark = pytest.mark.timeout(120)

FAIR = Weather(latency=Seconds(0.01))


def make_lossy(talk: Talk, share: float, seed: int) -> None:
    """Let the caller's middle relay drop cells that it has already opened."""
    node_id = talk.path(talk.caller)[1]
    (relay,) = (node for node in talk.place.relays if node.node_id == node_id)
    links = relay.relay.machine.links
    send, dice = links.send, Random(seed)

    def drop(link: LinkId, cells: list[bytes], now: Monotonic) -> None:
        kept = [
            cell
            for cell in cells
            if cell[4] != CellCommand.RELAY or dice.random() >= share
        ]
        send(link, kept, now)

    links.send = drop  # type: ignore[assignment, method-assign]  # the attacker


def legs_left_within(folder: Path, seed: int, share: float, weather: Weather) -> int:
    """Return how many legs the caller gave up in a minute."""

    async def main(hub: SimHub) -> int:
        async with talking(hub, folder, seed=seed) as talk:
            make_lossy(talk, share, seed)
            await asyncio.sleep(60)
            assert talk.is_alive
            return talk.caller.legs.lost + talk.callee.legs.lost

    return run_simulation(main, seed=seed, weather=weather)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_relay_that_drops_every_twelfth_cell_is_left_within_a_minute(tmp_path, seed):
    assert legs_left_within(tmp_path, seed, 0.08, FAIR) > 0


def test_loss_everywhere_makes_nobody_move(tmp_path):
    weather = Weather(latency=Seconds(0.01), loss=0.05)

    assert legs_left_within(tmp_path, 1, 0.0, weather) == 0
