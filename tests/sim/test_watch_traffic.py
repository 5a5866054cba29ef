"""Watching costs at most one twentieth of asking again every 30 seconds.

Counted are cells of the client's links, both ways, padding apart, beyond those of a client
that does nothing: in the same hour, in the same network. One contact is the
dearest case, as the circuit to the watch point serves all: 219 cells an hour against
4,800 are 4.6 %. With handles left over three hops, not four, it was 170 (3.5 %), for 10
contacts 1,323 (2.5 %), for 50 6,607 (2.5 %); most of it is the first look-up and handles.
"""

import asyncio
from dataclasses import replace

import pytest

from psp.client.api import Client
from psp.client.config import ClientConfig
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Seconds
from tests.sim.rig import town
from tests.sim.watching import watching

pytestmark = pytest.mark.timeout(180)

HOUR = 3_600.0
POLLED = 300.0
"""Seconds of asking every 30 s: each look-up costs the same."""
MOST = 0.05


def cells(client: Client) -> int:
    stats = client._parts.network.machine.links.stats
    return stats.sent_cells + stats.received_cells


async def poll(client: Client, card) -> None:
    while True:
        await client.lookup(card)
        await asyncio.sleep(30)


def seldom_pinging(config: ClientConfig) -> ClientConfig:
    """A user's own signs of life are not what is measured, and slow to simulate."""
    presence = replace(config.presence, ping_every=Seconds(60.0))
    return replace(config, presence=presence)


def test_an_hour_of_watching_one_contact_costs_a_twentieth_of_polling(tmp_path):
    async def main(hub):
        users = ("alice", "watcher", "poller", "idler")
        async with town(
            hub, tmp_path, seed=3, users=users, configure=seldom_pinging
        ) as place:
            alice, watcher, poller, idler = place.clients.values()
            await alice.announce(3)
            for client in place.clients.values():
                await client.directory.wait_until_heard()
            await asyncio.sleep(60)
            start = [cells(client) for client in (watcher, poller, idler)]
            async with watching(watcher, [alice.contact_card]) as witness:
                polling = asyncio.create_task(poll(poller, alice.contact_card))
                await asyncio.sleep(POLLED)
                polled = cells(poller) - start[1] - (cells(idler) - start[2])
                polling.cancel()
                await asyncio.sleep(HOUR - POLLED)
                assert witness.status().handles == 2
                watched = cells(watcher) - start[0] - (cells(idler) - start[2])
            return watched, polled * HOUR / POLLED

    weather = Weather(latency=Seconds(0.02), jitter=Seconds(0.005))
    watched, polled = run_simulation(main, seed=3, weather=weather)

    assert polled > 2_000
    assert 0 < watched <= MOST * polled
