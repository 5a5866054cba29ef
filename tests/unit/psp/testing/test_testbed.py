"""The whole network in one line (psp/testing/testbed.py, cli/testbed)."""

import asyncio
from dataclasses import replace

import pytest

import psp.testing
from psp.client.errors import ClockError
from psp.client.lookups.lookup import PresenceState
from psp.errors import ConfigError
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Seconds

ONLINE = PresenceState.ONLINE


def simulate(main, **settings):
    """Run ``main(net)`` in virtual time."""

    async def inside(hub: SimHub):
        async with psp.testing.network(hub=hub, **settings) as net:
            return await main(net)

    return run_simulation(inside)


@pytest.mark.parametrize("loopback", [False, True], ids=["memory", "loopback"])
async def test_two_users_call_each_other_on_any_loop(loopback):
    async with psp.testing.network(loopback=loopback) as net:
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce()
        found = await bob.lookup(alice.contact_card)
        waiting = asyncio.create_task(alice.accept())
        calling = await bob.call(alice.contact_card)
        answering = await waiting
        calling.send_message(b"hello")
        assert found.state is ONLINE
        assert await answering.receive_message() == b"hello"
        assert len(net.relays) == 12
        assert set(net.discovery_nodes) <= set(net.relays)
        folder = net.folder
        assert folder.is_dir()
    assert not folder.exists(), "a temporary folder was left behind"


async def test_a_user_has_files_for_a_program_of_its_own():
    async with psp.testing.network(loopback=True) as net:
        settings, key = net.files("alice")
        async with psp.connect(settings, identity=key) as alice:
            assert alice.me.identity == net.identity("alice").user_id
            assert alice.status().nodes == 12
        assert net.files("alice") == (settings, key)
        with pytest.raises(ConfigError, match="no user 'mallory'"):
            net.files("mallory")


def test_a_network_in_memory_has_no_files_for_other_processes():
    async def main(net):
        with pytest.raises(ConfigError, match="loopback=True"):
            net.files("alice")

    simulate(main)


def test_the_same_seed_is_the_same_network():
    async def main(net):
        await net.client("alice")
        return [*net.relays, net.identity("alice").user_id]

    assert simulate(main, seed=5) == simulate(main, seed=5)
    assert simulate(main, seed=5) != simulate(main, seed=6)


def test_a_killed_relay_is_silent_and_a_restarted_one_serves():
    async def main(net):
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce()
        for victim in net.discovery_nodes:
            await net.kill(victim)
            await net.kill(victim)  # harmless
            with pytest.raises(ConfigError, match="dead"):
                net.node(victim)
        assert (await bob.lookup(alice.contact_card)).state is not ONLINE
        for victim in net.discovery_nodes:
            await net.restart(victim)
            assert net.node(victim).is_discovery_node
        await net.close_client("alice")
        alice = await net.client("alice")
        await alice.announce()
        assert (await bob.lookup(alice.contact_card)).state is ONLINE

    simulate(main, seed=2)


def test_a_power_cut_leaves_on_disk_what_lay_there():
    async def main(net):
        victim = net.relays[-1]
        home = net.plan.relays[-1].config.state_dir
        before = {path.name: path.read_bytes() for path in home.iterdir()}
        await net.kill(victim)
        assert {path.name: path.read_bytes() for path in home.iterdir()} == before
        await net.restart(victim)
        assert net.node(victim).node_id == victim

    simulate(main)


def test_a_bad_relay_misbehaves_until_it_is_reformed():
    async def main(net):
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce()
        for node in net.discovery_nodes:
            await net.corrupt(node, "lie")
        assert (await bob.lookup(alice.contact_card)).state is not ONLINE
        for node in net.discovery_nodes:
            await net.reform(node)
        assert (await bob.lookup(alice.contact_card)).state is ONLINE
        with pytest.raises(ConfigError, match="behaviour"):
            await net.corrupt(net.relays[0], "sing")

    simulate(main, discovery=3)


def test_one_users_clock_may_be_off():
    async def main(net):
        alice = await net.client("alice")
        await alice.announce()
        bob = await net.client("bob")
        for skew in (86_400, -86_400):
            net.skew("bob", skew)
            with pytest.raises(ClockError):
                await bob.lookup(alice.contact_card)
        for skew in (100, -100, 0):
            net.skew("bob", skew)
            assert (await bob.lookup(alice.contact_card)).state is ONLINE

    simulate(main)


def test_the_weather_changes_at_any_time():
    async def main(net):
        loop = asyncio.get_running_loop()
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce()
        times = []
        for latency in (0.01, 0.2):
            net.weather = replace(net.weather, latency=Seconds(latency))
            start = loop.time()
            await bob.lookup(alice.contact_card)
            times.append(loop.time() - start)
        assert times[1] > 2 * times[0]

    simulate(main, weather=Weather(latency=Seconds(0.01)))


async def test_loopback_has_no_weather():
    async with psp.testing.network(2, discovery=1, users=(), loopback=True) as net:
        with pytest.raises(ConfigError, match="weather"):
            net.weather = Weather()
    with pytest.raises(ConfigError, match="weather"):
        async with psp.testing.network(loopback=True, weather=Weather()):
            pytest.fail("it started")


def test_clients_come_and_go():
    async def main(net):
        bob = await net.client("bob")
        assert await net.client("bob") is bob
        await net.close_client("bob")
        assert await net.client("bob") is not bob
        async with net.connect("guest", anonymous=True) as guest:
            with pytest.raises(ConfigError, match="identity"):
                _ = guest.contact_card
        with pytest.raises(ConfigError, match="alice, bob"):
            await net.client("mallory")

    simulate(main)


async def test_numbers_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="13 of 12"):
        async with psp.testing.network(discovery=13):
            pytest.fail("it started")


def test_settings_of_relays_and_clients_may_be_changed():
    async def main(net):
        assert net.node(net.relays[0])._config.presence.point.max_tags == 7
        assert net.config("bob").presence.slots == 1

    def relay_config(config):
        point = replace(config.presence.point, max_tags=7)
        return replace(config, presence=replace(config.presence, point=point))

    def client_config(config):
        return replace(config, presence=replace(config.presence, slots=1))

    simulate(main, relay_config=relay_config, client_config=client_config)


def test_the_name_is_the_network_and_no_other_is_made_up():
    assert callable(psp.testing.network)
    with pytest.raises(AttributeError):
        _ = psp.testing.internet
