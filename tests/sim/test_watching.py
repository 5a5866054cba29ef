"""Watching in whole networks: what is noticed, how soon, and what happens when it breaks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from psp.client.api import Client
from psp.client.lookups.lookup import PresenceState
from psp.client.watching.presence_event import WatchReason
from psp.client.watching.watch_config import WatcherConfig
from psp.ids import NodeId
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Seconds
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import Change
from tests.sim.calls import address_of, until
from tests.sim.rig import Town, town
from tests.sim.watching import Witness, watching

pytestmark = pytest.mark.timeout(120)

WEATHER = Weather(latency=Seconds(0.02), jitter=Seconds(0.005), loss=0.01)
STORM = replace(WEATHER, loss=0.1, duplication=0.05, reorder=0.05)
ONLINE, OFFLINE, UNKNOWN = PresenceState
ALICE, BOB = ("127.0.0.1", 7001), ("127.0.0.1", 7002)
SOON = 5.0
"""Seconds: a change is looked up 0.5 to 3 s after it was told."""
SILENCE = 30.0
"""Seconds until a point calls a circuit silent that is pinged every 5 s."""


@dataclass
class Scene:
    """Bob watches Alice, who is on line at three points."""

    place: Town
    alice: Client
    bob: Client
    witness: Witness

    def points(self) -> list[NodeId]:
        """Return Alice's points by slot; Bob's handles lie at the first two."""
        assert self.alice.announcer is not None
        return [node.node_id for node in self.alice.announcer.points()]

    def kill(self, node: NodeId) -> None:
        """Let a relay fall silent for ever."""
        self.place.hub.sky.kill(address_of(self.place, node))

    def watch_points(self) -> list[NodeId]:
        """Return the relays that hold cookies of Bob's."""
        return [
            relay.node_id for relay in self.place.relays if relay.presence.watch.cookies
        ]


def play(
    folder: Path,
    seed: int,
    scene: Callable[[Scene], Awaitable[None]],
    config: WatcherConfig | None = None,
    *,
    weather: Weather | None = None,
) -> None:
    """Run a scene that begins with Alice on line and Bob watching her."""

    async def main(hub):
        async with town(hub, folder, seed=seed) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            await alice.announce(3)
            card = alice.contact_card
            async with watching(bob, [card], config) as witness:
                await witness.hears(ONLINE, within=2 * SOON)
                await witness.rests(2)
                await scene(Scene(place, alice, bob, witness))

    run_simulation(main, seed=seed, weather=weather or WEATHER)


@pytest.mark.parametrize("seed", range(2))
def test_who_says_goodbye_is_off_line_within_seconds(tmp_path, seed):
    async def scene(it: Scene) -> None:
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=SOON)
        await it.witness.rests(2)  # at the mailboxes

    play(tmp_path, seed, scene)


@pytest.mark.parametrize("seed", range(2))
def test_who_comes_back_is_on_line_within_seconds(tmp_path, seed):
    async def scene(it: Scene) -> None:
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=SOON)
        await it.witness.rests(2)
        await asyncio.sleep(120)
        await it.alice.announce(1)
        await it.witness.hears(ONLINE, within=30)

    play(tmp_path, seed, scene)


def test_a_new_status_is_read_within_seconds_and_a_renewal_wakes_nobody(tmp_path):
    async def scene(it: Scene) -> None:
        for text in ("at lunch", "back at work"):
            await it.alice.set_status(text)
            await it.witness.hears(ONLINE, within=SOON, status=text)
            await it.witness.rests(2)
        told = _told(it)
        await asyncio.sleep(700)  # the status and the records are renewed
        assert _told(it) == told

    play(tmp_path, 1, scene)


@pytest.mark.parametrize("seed", range(2))
def test_who_vanishes_is_unknown_soon_and_on_line_when_heard_again(tmp_path, seed):
    """As a host that is cut off for a minute: its circuits live on."""

    async def scene(it: Scene) -> None:
        await asyncio.sleep(60)
        it.place.hub.sky.kill(ALICE)
        await it.witness.hears(UNKNOWN, within=SILENCE)
        assert it.witness.last is not None
        assert it.witness.last.reason is WatchReason.GONE
        await asyncio.sleep(30)
        it.place.hub.sky.revive(ALICE)
        await it.witness.hears(ONLINE, within=60)
        await asyncio.sleep(60)
        assert it.witness.last.state is ONLINE

    play(tmp_path, seed, scene)


@pytest.mark.parametrize("seed", range(2))
def test_a_presence_point_that_dies_hides_nothing(tmp_path, seed):
    async def scene(it: Scene) -> None:
        victim = it.points()[0]
        it.kill(victim)

        def has_moved() -> bool:
            return len(it.points()) == 3 and victim not in it.points()

        await until(has_moved, within=30)
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=SOON)
        assert [event.state for _, event in it.witness.events] == [ONLINE, OFFLINE]

    play(tmp_path, seed, scene)


@pytest.mark.parametrize("seed", range(2))
def test_a_point_whose_circuit_ends_is_replaced_by_another(tmp_path, seed):
    """The user moves: the old point tells, and the new one gets a handle."""

    async def scene(it: Scene) -> None:
        assert it.alice.announcer is not None
        for slot in (0, 1):
            tag = _tag_at(it, slot)
            it.alice.announcer.registrations[slot].circuit.close()
            await until(partial(_has_moved, it, slot, tag), within=30)
            await asyncio.sleep(20)
            assert it.witness.status().handles == 2
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=SOON)

    play(tmp_path, seed, scene)


@pytest.mark.parametrize("seed", range(2))
def test_a_watch_point_that_dies_is_replaced(tmp_path, seed):
    async def scene(it: Scene) -> None:
        (dead,) = it.watch_points()
        it.kill(dead)
        # The relay before it needs up to 100 s to be sure.
        await until(lambda: bool(set(it.watch_points()) - {dead}), within=200)
        await asyncio.sleep(20)
        assert it.witness.status().watch_points == 1
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=SOON)

    play(tmp_path, seed, scene)


@pytest.mark.parametrize("lie", [Change.STATUS, Change.GONE])
def test_a_point_that_tells_at_once_gets_few_handles_and_no_belief(tmp_path, lie):
    async def scene(it: Scene) -> None:
        liar = next(
            relay for relay in it.place.relays if relay.node_id == it.points()[0]
        )
        service = liar.presence.watch
        real = service._on_watch

        async def lying(peer, data):
            answer = await real(peer, data)
            loop = asyncio.get_running_loop()
            loop.call_later(0.2, service.changed, data[:16], lie, 2**40)
            return answer

        liar.relay.circuits.serve(RelayCommand.WATCH, lying)
        service.changed(_tag_at(it, 0), lie, 2**40)
        await asyncio.sleep(900)
        assert service.stats.handles["here"] <= 12
        assert {event.state for _, event in it.witness.events} == {ONLINE}
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=SOON)

    play(tmp_path, 1, scene)


def test_points_that_never_tell_are_found_out_by_a_look_up(tmp_path):
    config = WatcherConfig(check=(200.0, 300.0))

    async def scene(it: Scene) -> None:
        for relay in it.place.relays:
            relay.presence.point.on_tag_changed = lambda *_: None
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=310)

    play(tmp_path, 1, scene, config)


def test_after_an_outage_of_its_own_a_watcher_catches_up(tmp_path):
    """Bob's host sleeps for some minutes, in which Alice leaves."""

    async def scene(it: Scene) -> None:
        it.place.hub.sky.kill(BOB)
        await it.witness.hears(UNKNOWN, within=900)
        await it.alice.withdraw()
        await asyncio.sleep(300)
        it.place.hub.sky.revive(BOB)
        await it.witness.hears(OFFLINE, within=800)
        await it.witness.rests(2)

    play(tmp_path, 1, scene)


def test_all_is_noticed_at_ten_percent_loss(tmp_path):
    async def scene(it: Scene) -> None:
        await it.alice.set_status("at sea")
        await it.witness.hears(ONLINE, within=15, status="at sea")
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=15)
        await asyncio.sleep(60)
        await it.alice.announce(1)
        await it.witness.hears(ONLINE, within=20)

    play(tmp_path, 1, scene, weather=STORM)


def test_without_any_watch_point_presence_is_looked_up(tmp_path):
    """No relay holds a cookie: what is left is looking up, less and less often."""

    async def scene(it: Scene) -> None:
        for relay in it.place.relays:
            del relay.relay.circuits._handlers[RelayCommand.HOLD]
        (point,) = it.watch_points()
        it.kill(point)
        await asyncio.sleep(300)
        assert it.witness.status().handles == 0
        await it.alice.withdraw()
        await it.witness.hears(OFFLINE, within=1_200)

    play(tmp_path, 1, scene)


def test_who_appears_for_the_first_time_is_looked_up_within_minutes(tmp_path):
    async def main(hub):
        async with town(hub, tmp_path, seed=1) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            async with watching(bob, [alice.contact_card]) as witness:
                await witness.hears(OFFLINE, within=SOON)
                await alice.announce(1)
                await witness.hears(ONLINE, within=160)
                await witness.rests(1)

    run_simulation(main, seed=1, weather=WEATHER)


def _told(it: Scene) -> int:
    """Return how many messages presence points have sent."""
    return sum(relay.presence.watch.stats.messages.total() for relay in it.place.relays)


def _has_moved(it: Scene, slot: int, tag: bytes) -> bool:
    assert it.alice.announcer is not None
    registration = it.alice.announcer.registrations.get(slot)
    return registration is not None and registration.tag != tag


def _tag_at(it: Scene, slot: int) -> bytes:
    assert it.alice.announcer is not None
    return it.alice.announcer.registrations[slot].tag
