"""Who is found, by whom and when, in a whole network in virtual time."""

import asyncio

import pytest

import psp.testing
from psp.client.announcing.visibility import Visibility
from psp.client.api import Client
from psp.client.errors import ClockError
from psp.client.identities.delegation import DelegatedIdentity
from psp.client.lookups.lookup import PresenceState
from psp.netdoc.contact_card import ContactCard
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.testing.testbed import LocalNetwork
from psp.wire.network import Network

MIDNIGHT = EPOCH + 86_400


def set_clock(hub: SimHub, unix_now: float) -> None:
    """Let everybody's clock show a time."""
    offset = unix_now - hub.unix_time()
    right = hub.unix_time
    hub.unix_time = lambda: right() + offset  # type: ignore[method-assign]


def network_of(net: LocalNetwork) -> Network:
    return net.config("alice").membership.anchor().network


async def state_of(client: Client, card: ContactCard) -> PresenceState:
    return (await client.lookup(card)).state


def test_a_host_without_the_identity_key_is_found_is_called_and_calls():
    async def main(hub: SimHub) -> None:
        async with psp.testing.network(hub=hub) as net:
            alice = net.identity("alice")
            made = DelegatedIdentity.make(
                alice, network_of(net), hub.unix_time(), 7, SeededEntropy("made ahead")
            )
            # All that the host has is what was written to the file.
            keys = DelegatedIdentity.decode(made.encode())
            bob = await net.client("bob")
            await bob.announce()
            async with net.connect("alice", identity=keys) as host:
                await host.announce()
                found = await bob.lookup(alice.contact_card(network_of(net)))
                assert found.state is PresenceState.ONLINE

                waiting = asyncio.create_task(host.accept())
                calling = await bob.call(alice.contact_card(network_of(net)))
                answering = await waiting
                assert answering.peer == net.identity("bob").user_id
                calling.send_message(b"hello host")
                assert await answering.receive_message() == b"hello host"

                waiting = asyncio.create_task(bob.accept())
                calling = await host.call(bob.contact_card)
                answering = await waiting
                assert answering.peer == alice.user_id
                calling.send_message(b"hello bob")
                assert await answering.receive_message() == b"hello bob"

    run_simulation(main)


def test_the_state_that_a_host_keeps_opens_where_the_identity_is(tmp_path):
    async def main(hub: SimHub) -> None:
        async with psp.testing.network(hub=hub, folder=tmp_path) as net:
            alice = net.identity("alice")
            keys = DelegatedIdentity.make(
                alice, network_of(net), hub.unix_time(), 1, SeededEntropy(1)
            )
            async with net.connect("alice", identity=keys) as host:
                await host.announce()
            async with net.connect("alice") as home:
                await home.announce()

    run_simulation(main)


def test_public_presence_is_found_by_anybody_and_by_contacts():
    async def main(hub: SimHub) -> None:
        async with psp.testing.network(hub=hub) as net:
            alice, bob = await net.client("alice"), await net.client("bob")
            await alice.announce()
            announcer = alice.announcer
            assert announcer is not None
            public = ContactCard(network_of(net), alice.contact_card.identity)
            assert await state_of(bob, public) is not PresenceState.ONLINE

            await announcer.announce_as(Visibility.PUBLIC)
            await asyncio.sleep(2.0)

            for card in (public, alice.contact_card, public):
                assert await state_of(bob, card) is PresenceState.ONLINE
            waiting = asyncio.create_task(alice.accept())
            calling = await bob.call(public)
            assert (await waiting).peer == net.identity("bob").user_id
            assert calling.peer == alice.contact_card.identity

    run_simulation(main)


def test_a_changed_status_is_found_at_once_by_contacts_and_never_an_older_one():
    async def main(hub: SimHub) -> None:
        async with psp.testing.network(hub=hub) as net:
            alice, bob = await net.client("alice"), await net.client("bob")
            await alice.announce(3)
            announcer = alice.announcer
            assert announcer is not None
            sequences = []
            for text in ("at lunch", "back", ""):
                changed = hub.unix_time()
                await announcer.set_status(text, ["audio"] if text else [])
                found = await bob.lookup(alice.contact_card)
                assert hub.unix_time() - changed <= 3.0
                assert (found.state, found.status) == (PresenceState.ONLINE, text)
                assert found.capabilities == ({"audio"} if text else frozenset())
                sequences.append(found.status_sequence)
            assert sequences == sorted(set(sequences))

            stranger = ContactCard(network_of(net), alice.contact_card.identity)
            assert (await bob.lookup(stranger)).status == ""

    run_simulation(main)


def test_a_status_says_nothing_about_a_user_who_has_left():
    async def main(hub: SimHub) -> None:
        async with psp.testing.network(hub=hub) as net:
            alice, bob = await net.client("alice"), await net.client("bob")
            await alice.announce(3)
            announcer = alice.announcer
            assert announcer is not None
            await announcer.set_status("here")
            await announcer.stop()

            found = await bob.lookup(alice.contact_card)

            assert (found.state, found.status) == (PresenceState.OFFLINE, "")

    run_simulation(main)


@pytest.mark.parametrize("off", [86_400.0, 3_600.0])
def test_a_clock_that_is_far_off_is_told_to_who_would_announce(off):
    async def main(hub: SimHub) -> None:
        async with psp.testing.network(hub=hub) as net:
            net.skew("alice", off)
            alice, bob = await net.client("alice"), await net.client("bob")
            with pytest.raises(ClockError, match="fast"):
                await alice.announce()
            assert await state_of(bob, alice.contact_card) is not PresenceState.ONLINE

            net.skew("alice", 0.0)
            await alice.announce()
            assert await state_of(bob, alice.contact_card) is PresenceState.ONLINE

    run_simulation(main)


def test_the_ways_to_the_points_have_as_little_in_common_as_can_be():
    async def main(hub: SimHub) -> None:
        async with psp.testing.network(relays=16, hub=hub) as net:
            alice = await net.client("alice")
            await alice.announce(3)
            announcer = alice.announcer
            assert announcer is not None
            registrations = announcer.registrations.values()
            paths = [registration.circuit.path for registration in registrations]

            behind_guards = [node.node_id for path in paths for node in path[1:]]
            assert len(set(behind_guards)) == len(behind_guards) == 6
            assert len({path[0].node_id for path in paths}) == 2

    run_simulation(main)


def test_over_the_change_of_day_a_user_is_found_by_clocks_that_differ():
    async def main(hub: SimHub) -> None:
        set_clock(hub, MIDNIGHT - 300)
        users = ("alice", "early", "late")
        async with psp.testing.network(hub=hub, users=users) as net:
            net.skew("early", 100.0)
            net.skew("late", -100.0)
            alice = await net.client("alice")
            readers = [await net.client(name) for name in users[1:]]
            await alice.announce(3)
            for at in (-200, -60, 30, 130):
                await asyncio.sleep(MIDNIGHT + at - hub.unix_time())
                for reader in readers:
                    found = await reader.lookup(alice.contact_card)
                    assert found.state is PresenceState.ONLINE, at

    run_simulation(main)
