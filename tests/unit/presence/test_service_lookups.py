"""Look-ups at a presence service: their limits, their nonces and their time."""

import asyncio
import random

import pytest

from presence.config import GatewayConfig, PresenceConfig
from psp.runtime.ports import RefusedError
from psp.wire.cell import Reason
from psp.wire.lookup import ANY_SLOT, Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand
from tests.unit.presence.rig import NONCE, appear, find, in_simulation


def test_malformed_look_up_is_refused(new_world):
    async def main():
        world = new_world(3, 1)
        circuit = world.plain[0].circuits.open()

        for data in (b"", bytes(20), bytes(20) + b"\x03", bytes(22)):
            with pytest.raises(RefusedError) as caught:
                await circuit.request(RelayCommand.LOOKUP, data)
            assert caught.value.reason is Reason.PROTOCOL

        assert world.plain[0].service.stats.requests_bad == 4
        await world.close()

    in_simulation(main)


def test_circuit_that_looks_up_too_often_is_refused_until_it_closes(new_world):
    async def main():
        limits = GatewayConfig(lookups_per_circuit=2)
        world = new_world(3, 1, config=PresenceConfig(gateway=limits))
        circuit = world.plain[0].circuits.open()
        request = LookupRequest(bytes(20), ANY_SLOT, NONCE).encode()

        for _ in range(2):
            await circuit.request(RelayCommand.LOOKUP, request)
        with pytest.raises(RefusedError) as caught:
            await circuit.request(RelayCommand.LOOKUP, request)

        assert caught.value.reason is Reason.RESOURCE_LIMIT
        await world.close()

    in_simulation(main)


def test_look_ups_under_way_are_bounded_and_shared(new_world):
    async def main():
        limits = GatewayConfig(max_lookups=1)
        world = new_world(3, 1, config=PresenceConfig(gateway=limits))
        world.links.latency = lambda: 0.05
        one, other = (world.plain[0].circuits.open() for _ in range(2))
        ask = [
            circuit.request(
                RelayCommand.LOOKUP, LookupRequest(bytes(20), ANY_SLOT, NONCE).encode()
            )
            for circuit in (one, one, other)
        ]

        answers = await asyncio.gather(*ask, return_exceptions=True)

        assert [type(answer) for answer in answers] == [bytes, bytes, RefusedError]
        assert world.links.requests == 3
        await world.close()

    in_simulation(main)


def test_every_nonce_is_looked_up_anew(new_world):
    async def main():
        world = new_world()
        alice, gateway = world.user(), world.plain[1]
        await appear(world, alice, world.plain[0])

        await find(world, alice, gateway)
        asked = world.links.requests
        await alice.appear(
            world.plain[0].circuits.open(), world.plain[0].node_id, world.clock()
        )
        found, _ = await find(world, alice, gateway)

        assert found[0].head.sequence == alice.sequence
        assert world.links.requests >= asked + 8
        await world.close()

    in_simulation(main)


def test_requests_of_one_circuit_under_one_nonce_are_one_search(new_world):
    async def main():
        world = new_world()
        alice = world.user()
        for slot in range(3):
            await appear(world, alice, world.plain[0], slot=slot)
        circuit = world.plain[1].circuits.open()
        where = world.where(alice)
        asked = world.links.requests

        answers = [
            Found.decode(
                await circuit.request(
                    RelayCommand.LOOKUP, LookupRequest(where, slot, NONCE).encode()
                )
            )
            for slot in (ANY_SLOT, 0, 1, 2, 3)
        ]

        slots = [answer.record[1] for answer in answers[:4]]
        assert slots == [2, 0, 1, 2]
        assert answers[4].state is FoundState.NO_RECORD
        # A crawl, and two members for each further slot that voices claim.
        assert world.links.requests == asked + 8 + 2 * 2
        await world.close()

    in_simulation(main)


def test_first_answer_does_not_wait_for_slow_members(new_world):
    async def main():
        world = new_world(20, 2)
        alice = world.user()
        await appear(world, alice, world.plain[0])
        dice = random.Random(1)
        world.links.latency = lambda: dice.choice([0.02] * 12 + [0.4])

        loop = asyncio.get_running_loop()
        times = []
        for _ in range(20):
            await asyncio.sleep(30)
            start = loop.time()
            found, _ = await find(world, alice, world.plain[1])
            assert len(found) == 1
            times.append(loop.time() - start)

        assert sorted(times)[10] < 0.4
        assert max(times) <= 2.5
        await world.close()

    in_simulation(main)


def test_everything_slow_is_answered_before_the_asker_gives_up(new_world):
    async def main():
        world = new_world(20, 2)
        world.links.latency = lambda: 0.6
        loop = asyncio.get_running_loop()
        start = loop.time()

        _, states = await find(world, world.user(), world.plain[1])

        assert states == [FoundState.COULD_NOT_ASK]
        assert loop.time() - start <= 2.5
        await world.close()

    in_simulation(main)
