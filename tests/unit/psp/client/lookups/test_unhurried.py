"""Look-ups that nobody waits for (psp/client/lookups/unhurried.py)."""

import asyncio
from typing import TYPE_CHECKING, cast

from psp.client.lookups.lookup import Lookup
from psp.client.lookups.spare_circuits import SpareCircuits, SpareConfig
from psp.client.lookups.unhurried import UnhurriedCircuits, unhurried_queue
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.testing.client_circuits import MemoryBuilder, client_context
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import MemoryRegistry
from psp.testing.simloop import run_simulation

if TYPE_CHECKING:
    from psp.client.directory import Directory


class Sources:
    def __init__(self, ids: list[NodeId]) -> None:
        self._ids = ids

    def sources(self, count: int, besides) -> list[NodeId]:
        return [node for node in self._ids if node not in besides][:count]

    def record(self, node_id: NodeId, *, is_good: bool) -> None:
        pass


async def _silent(circuit, command, data) -> bytes:
    raise AssertionError("nothing is asked here")


def in_simulation(main) -> None:
    async def run(hub):
        keys = [SigningKey.generate(SeededEntropy(n)) for n in range(6)]
        ids = [NodeId(key.public) for key in keys]
        registry = MemoryRegistry(ids, ids)
        builder = MemoryBuilder(registry, _silent)
        context = client_context(hub, registry)
        directory = cast("Directory", Sources(ids))
        config = SpareConfig(per_second=1.0, burst=8)
        parts = (context, builder.as_builder(), directory)
        spares = SpareCircuits(*parts, config)
        await main(builder, spares, parts)
        await spares.close()

    run_simulation(run)


def test_they_take_no_circuit_that_stands_ready_and_wake_nobody():
    async def main(builder, spares, parts):
        spares.start()
        await spares.wait_until_ready(4)
        ready = list(builder.opened)
        await asyncio.sleep(2_000)  # all have ended by their age, none is built anew
        assert not any(circuit.is_open for circuit in ready[:4])
        built = len(builder.opened)

        cold = UnhurriedCircuits(*parts, spares)
        gateway = cold.pick([])
        assert gateway is not None
        circuit = await cold.open(gateway)
        await asyncio.sleep(600)

        assert circuit.path[-1].node_id == gateway
        assert len(builder.opened) == built + 1
        circuit.close()

    in_simulation(main)


def test_they_keep_the_pace_of_all_look_ups():
    async def main(builder, spares, parts):
        cold = UnhurriedCircuits(*parts, spares)
        loop = asyncio.get_running_loop()
        start = loop.time()
        gateway = cold.pick([])
        assert gateway is not None
        for _ in range(10):
            (await spares.open(gateway)).close()
            (await cold.open(gateway)).close()

        # Eight of the twenty are the burst, the rest go one a second.
        assert 11 <= loop.time() - start <= 13

    in_simulation(main)


def test_what_one_look_up_has_seen_binds_the_other():
    async def main(_builder, spares, parts):
        context, circuits, directory = parts
        lookup = Lookup(context, spares, directory)
        queue = unhurried_queue(context, circuits, directory, spares, lookup)

        assert queue._lookup.highest is lookup.highest
        assert queue._lookup.stats is lookup.stats

    in_simulation(main)
