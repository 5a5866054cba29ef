"""Calls and presence live on when relays die, whichever they are and without a word.

A dead relay here is silent for ever: nothing is closed, nothing is refused, no kernel
says that a port is gone. That is the worst way to die.
"""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from psp.client.lookups.lookup import PresenceState
from psp.directory.fallback import Tier
from psp.ids import NodeId
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Seconds
from tests.sim.calls import Talk, address_of, talking, until
from tests.sim.rig import town

pytestmark = pytest.mark.timeout(120)

WEATHER = Weather(latency=Seconds(0.02), jitter=Seconds(0.005), loss=0.01)
SILENCE_WITH_A_LEG = 1.0
"""Seconds without a word, either way, while another leg is well."""
SILENCE_WITHOUT = 3.5
"""The same when no leg is left and both must build to a reserve. With 12 relays one may
stand on the caller's part of one leg and on the callee's of the other: neither can
know. Mostly 1.4 to 2.2; longer when the first build meets a dead relay, too."""

Choice = Callable[[Talk], Collection[NodeId]]

ROLES: dict[str, Choice] = {
    "entry": lambda talk: talk.path(talk.caller)[:1],
    "middle": lambda talk: talk.path(talk.caller)[1:2],
    "rendezvous": lambda talk: talk.path(talk.caller)[-1:],
    "guard of callee": lambda talk: talk.path(talk.callee)[:1],
    "layer 2 of callee": lambda talk: talk.path(talk.callee)[1:2],
    "middle of callee": lambda talk: talk.path(talk.callee)[2:3],
    "presence point": lambda talk: [talk.caller.presence_point or NodeId(b"")],
}


def every_rendezvous(talk: Talk) -> list[NodeId]:
    return [talk.path(talk.caller, leg)[-1] for leg in talk.both_legs()]


def check_survival(folder: Path, seed: int, choice: Choice) -> None:
    """Kill relays in a call: the call must live and soon be heard again."""

    async def main(hub: SimHub) -> None:
        async with talking(hub, folder, seed=seed) as talk:
            victims = choice(talk)
            has_leg = bool(talk.survivors(victims))
            talk.kill(victims)
            silence = await talk.longest_silence(6)
            assert talk.is_alive
            assert silence <= (SILENCE_WITH_A_LEG if has_leg else SILENCE_WITHOUT)
            assert len(talk.both_legs()) > 1
            assert talk.both_legs() == talk.survivors(victims)

    run_simulation(main, seed=seed, weather=WEATHER)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_call_survives_the_death_of_any_relay(tmp_path, seed, role):
    check_survival(tmp_path, seed, ROLES[role])


@pytest.mark.parametrize("role", ["rendezvous", "guard of callee"])
@pytest.mark.parametrize("seed", range(10, 20))
def test_a_call_survives_in_many_networks(tmp_path, seed, role):
    check_survival(tmp_path, seed, ROLES[role])


@pytest.mark.parametrize("seed", range(20, 30))
def test_a_reserve_takes_over_when_all_legs_die_at_once(tmp_path, seed):
    check_survival(tmp_path, seed, every_rendezvous)


@pytest.mark.parametrize("seed", range(3))
def test_a_user_is_announced_elsewhere_within_30_s(tmp_path, seed):
    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=seed) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            await alice.announce(3)
            announcer = alice.announcer
            assert announcer is not None
            victim = announcer.points()[0].node_id
            hub.sky.kill(address_of(place, victim))

            def has_moved() -> bool:
                points = {point.node_id for point in announcer.points()}
                return len(points) == 3 and victim not in points

            await until(has_moved, within=30)
            found = await bob.lookup(alice.contact_card)
            waiting = asyncio.create_task(alice.accept())
            await bob.call(alice.contact_card, found=found)
            assert (await waiting).peer == place.plan.users["bob"].user_id
            assert victim not in [point.place.node_id for point in found.points]

    run_simulation(main, seed=seed, weather=WEATHER)


def test_the_end_of_discovery_does_not_touch_a_running_call(tmp_path):
    """The services end, their relays go on: a call may stand on them."""

    async def main(hub: SimHub) -> None:
        async with talking(hub, tmp_path, seed=1) as talk:
            for relay in talk.place.relays:
                if relay.is_discovery_node:
                    await relay.discovery.close()
                    await relay.presence.close()
            legs = talk.both_legs()
            assert await talk.longest_silence(10) < 0.2
            assert talk.both_legs() == legs

    run_simulation(main, seed=1, weather=WEATHER)


def test_without_any_discovery_node_a_look_up_says_that_it_does_not_know(tmp_path):
    """Other nodes are asked instead, and serve the directory; records died with DHT."""

    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=2) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            await alice.announce(3)
            await bob.directory.wait_until_heard()
            for node_id in place.plan.discovery_nodes:
                hub.sky.kill(address_of(place, node_id))

            first = await bob.lookup(alice.contact_card)
            second = await bob.lookup(alice.contact_card)
            await bob.directory.refresh()

            assert first.state is second.state is PresenceState.UNKNOWN
            assert second.answers > 0
            assert f"asking {Tier.KNOWN}" in bob.status().directory
            assert bob.directory.is_complete

    run_simulation(main, seed=2, weather=WEATHER)


@pytest.mark.parametrize("seed", range(3))
def test_one_discovery_node_of_four_is_enough_to_be_called(tmp_path, seed):
    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=seed) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            await alice.announce(3)
            for node_id in place.plan.discovery_nodes[1:]:
                hub.sky.kill(address_of(place, node_id))

            found = await bob.lookup(alice.contact_card)

            assert found.state is PresenceState.ONLINE

    run_simulation(main, seed=seed, weather=WEATHER)
