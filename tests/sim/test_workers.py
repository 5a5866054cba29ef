"""A network of relays that have two workers each, in virtual time."""

import asyncio
from pathlib import Path

import pytest

from psp.client.circuit import RequestError
from psp.client.lookups.lookup_result import PresenceState
from psp.ids import NodeId
from psp.path.selection import Purpose
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand
from relay.stats import RelayStats
from tests.sim.rig import Town, town


def first(place: Town, node_id: NodeId) -> RelayStats:
    (node,) = (relay for relay in place.relays if relay.node_id == node_id)
    return node.relay.machine.stats


def second(place: Town, node_id: NodeId) -> RelayStats:
    return place.workers[node_id][0].relay.machine.stats


def test_everything_works_when_all_relays_have_two_workers(tmp_path: Path):
    """Announcing and look-ups at first workers, circuits and meetings at either."""

    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=7, workers=2) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            await alice.announce(3)
            found = await bob.lookup(alice.contact_card)
            waiting = asyncio.create_task(alice.accept())
            calling = await bob.call(alice.contact_card)
            answering = await waiting
            calling.send_message(b"hello alice")
            assert await answering.receive_message() == b"hello alice"

            counts = [
                sum(of(place, relay.node_id).circuits_created for relay in place.relays)
                for of in (first, second)
            ]
            assert found.state is PresenceState.ONLINE
            assert min(counts) > sum(counts) / 4
            served = sum(second(place, r.node_id).services_served for r in place.relays)
            assert served == 0

    run_simulation(main, seed=7)


def test_a_call_meets_at_whichever_worker_the_caller_has_chosen(tmp_path: Path):
    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=8, workers=2) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            await alice.announce(3)
            for _ in range(6):
                waiting = asyncio.create_task(alice.accept())
                calling = await bob.call(alice.contact_card)
                await waiting
                calling.close()
            joined = [
                sum(of(place, relay.node_id).cookies_joined for relay in place.relays)
                for of in (first, second)
            ]
            assert all(joined)
            assert sum(joined) >= 6

    run_simulation(main, seed=8)


def test_a_dead_worker_costs_its_own_circuits_only(tmp_path: Path):
    """What ran over it breaks and is built anew; who else the relay serves is served."""

    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=9, workers=2) as place:
            circuits = place.clients["bob"].circuits
            last = place.relays[0].node_id
            record = place.relays[0].registry.node(last)
            assert record is not None
            at_first, at_second = [
                await circuits.open(
                    Purpose.RENDEZVOUS_CALLEE, last=last, endpoint=endpoint
                )
                for endpoint in record.endpoints
            ]

            hub.sky.kill(record.endpoints[1].address)
            for _ in range(6):  # circuits of calls that say nothing end by themselves
                await asyncio.sleep(20.0)
                assert await at_first.ping(4, Seconds(2.0)) is not None

            assert not at_second.is_open
            await circuits.open(Purpose.LOOKUP, last=last)

    run_simulation(main, seed=9)


def test_a_further_worker_does_not_serve_what_the_node_is_asked(tmp_path: Path):
    async def main(hub: SimHub) -> None:
        async with town(hub, tmp_path, seed=10, workers=2, users=("bob",)) as place:
            circuits = place.clients["bob"].circuits
            last = place.relays[0].node_id
            record = place.relays[0].registry.node(last)
            assert record is not None
            circuit = await circuits.open(
                Purpose.RENDEZVOUS_CALLEE, last=last, endpoint=record.endpoints[1]
            )
            assert second(place, last).circuits_created

            for command in (RelayCommand.LOOKUP, RelayCommand.REGISTER):
                with pytest.raises(RequestError) as caught:
                    await circuit.request(command, bytes(600))
                assert caught.value.reason is Reason.REFUSED

    run_simulation(main, seed=10)
