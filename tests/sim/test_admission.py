"""Relays that promise bandwidth to calls, and refuse when they have none left."""

import asyncio
from collections.abc import Collection

import pytest

from cli.assembly import RelayNode
from psp.bandwidth import Bandwidth
from psp.client.api import Client
from psp.client.circuit import Circuit, CircuitError
from psp.client.errors import UnreachableError
from psp.netdoc.node_record import NodeRecord
from psp.path.selection import Purpose
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from relay.config import RelayConfig
from tests.sim.calls import address_of, until
from tests.sim.rig import Town, town

VOICE = Bandwidth(480, 480)
TWO_CALLS = RelayConfig(media_kbit_per_s=960)


def granted(node: RelayNode) -> int:
    """Return what a relay has promised, in kbit/s; see that its tables agree."""
    assert node.relay.machine.audit()
    return int(node.relay.machine.gauges()["media_granted_kbit_per_s"])


async def fill(
    client: Client, records: Collection[NodeRecord], times: int
) -> list[Circuit]:
    """Take the whole budget of relays, with circuits of one hop."""
    network = client._parts.network
    circuits = [
        network.open([record], [VOICE]) for _ in range(times) for record in records
    ]
    await asyncio.gather(*(circuit.built for circuit in circuits))
    return circuits


def stranger(place: Town, *users: str) -> NodeRecord:
    """Return a relay that is no guard of these users."""
    guards = {
        guard
        for user in users
        for guard in place.clients[user].circuits._selector.guards.primary()
    }
    nodes = place.clients[users[0]].circuits._context.registry.nodes()
    return next(node for key, node in nodes.items() if key not in guards)


def test_a_relay_bears_two_calls_and_the_third_goes_elsewhere(tmp_path):
    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=3, relay_config=TWO_CALLS) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            meeting = stranger(place, "alice", "bob")
            (node,) = [n for n in place.relays if n.node_id == meeting.node_id]
            (first,) = await fill(alice, [meeting], times=1)
            (second,) = await fill(bob, [meeting], times=1)
            assert [first.granted, second.granted, granted(node)] == [480, 480, 960]

            with pytest.raises(CircuitError, match="bandwidth"):
                await fill(bob, [meeting], times=1)
            third = [
                await bob.circuits.open(Purpose.RENDEZVOUS_CALLER) for _ in range(2)
            ]
            for circuit in third:
                assert meeting.node_id not in {relay.node_id for relay in circuit.path}
                assert circuit.granted == 480

            first.close()
            await until(lambda: granted(node) == 480, within=5)
            (again,) = await fill(bob, [meeting], times=1)
            assert again.granted == 480
            for circuit in (second, again, *third):
                circuit.close()
            await until(lambda: not any(map(granted, place.relays)), within=5)

    run_simulation(main, seed=3)


def test_a_call_goes_around_relays_that_are_full(tmp_path):
    async def main(hub: SimHub) -> None:
        config = RelayConfig(media_kbit_per_s=4800)
        users = ("alice", "bob", "carol")
        async with town(
            hub, tmp_path, seed=5, users=users, relay_config=config
        ) as place:
            alice, bob, carol = (place.clients[user] for user in users)
            full = stranger(place, "alice", "bob")
            await fill(carol, [full], times=10)
            await alice.announce(3)

            waiting = asyncio.create_task(alice.accept_call())
            caller = await bob.establish(alice.contact_card)
            callee = await waiting

            await until(lambda: len(caller.legs.legs) > 1, within=30)
            relays = {
                node.node_id
                for side in (caller, callee)
                for circuit in side.legs.legs.values()
                for node in circuit.path
            }
            assert full.node_id not in relays
            assert min(caller.granted.values()) >= 480

    run_simulation(main, seed=5)


def test_when_all_relays_are_full_a_call_says_so_and_later_calls_come_about(tmp_path):
    async def main(hub: SimHub) -> None:
        users = ("alice", "bob", "carol")
        async with town(
            hub,
            tmp_path,
            seed=7,
            users=users,
            relay_config=RelayConfig(media_kbit_per_s=1440),
        ) as place:
            alice, bob, carol = (place.clients[user] for user in users)
            await alice.announce(3)
            records = list(bob.circuits._context.registry.nodes().values())
            holding = await fill(carol, records, times=3)

            with pytest.raises(
                UnreachableError,
                match="no rendezvous: no relay on the path grants 480 kbit/s",
            ):
                await bob.call(alice.contact_card)

            for circuit in holding:
                circuit.close()
            await until(lambda: not any(map(granted, place.relays)), within=5)
            waiting = asyncio.create_task(alice.accept())
            session = await bob.call(alice.contact_card)
            session.send_message(b"hello")
            assert await (await waiting).receive_message() == b"hello"

    run_simulation(main, seed=7)


def test_what_a_vanished_client_held_comes_back_when_its_circuits_are_idle(tmp_path):
    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=9, relay_config=TWO_CALLS) as place:
            bob = place.clients["bob"]
            circuit = await bob.circuits.open(Purpose.RENDEZVOUS_CALLER)
            last = circuit.path[-1].node_id
            (node,) = [n for n in place.relays if n.node_id == last]
            assert granted(node) == 480

            # Nobody is left to send a DESTROY, nor a hop to pass one on.
            hub.sky.kill(address_of(place, circuit.path[0].node_id))
            hub.sky.kill(address_of(place, circuit.path[1].node_id))
            circuit.close()

            await until(lambda: granted(node) == 0, within=300)

    run_simulation(main, seed=9)
