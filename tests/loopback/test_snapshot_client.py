"""A client without any endpoint lives on what discovery nodes and partners sign."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from cli.assembly import RelayNode
from cli.demo.founding import found_network, start_chain
from cli.demo.plan import free_ports
from discovery.handover.config import HandOverConfig
from psp.client.api import connect
from psp.client.config import SnapshotConfig
from psp.directory.registry import Source
from psp.runtime.entropy import SystemEntropy
from psp.units import Seconds

pytestmark = pytest.mark.timeout(200)

EPOCH = 24
WITHIN = 150.0


async def until(condition, within=WITHIN):
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - several processes have no event
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running_network(folder):
    """Eight relays in this process, on a chain in its own."""
    founding = await found_network(
        folder,
        free_ports(8),
        ["alice"],
        epoch_length=EPOCH,
        entropy=SystemEntropy(),
        unix_now=time.time(),
    )
    chain = await start_chain(founding)
    nodes = []
    try:
        for relay in founding.plan.relays:
            config = replace(
                relay.config, handover=HandOverConfig(sweep_every=Seconds(1))
            )
            nodes.append(await RelayNode.open(config))
        for node in nodes:
            await node.start()
        yield founding.plan, nodes, chain
    finally:
        for node in nodes:
            await node.stop()
        await chain.stop()


async def test_a_client_without_endpoints_follows_the_signed_list(tmp_path):
    folder = tmp_path / "network"
    folder.mkdir(mode=0o700)
    async with running_network(folder) as (plan, nodes, chain):
        config = plan.client_config("alice")
        alice = plan.users["alice"]
        async with connect(config, identity=alice) as client:
            await client.directory.wait_until_heard()
            first = client.membership.registry.view
            assert client.membership.is_verified

        def handed_over():
            return [
                each.epoch
                for node in nodes
                for each in node.hand_overs.desk.collector.complete()
            ]

        await until(lambda: max(handed_over(), default=0) > first.state.epoch)
        chain.kill()
        cut_off = replace(
            config,
            membership=replace(config.membership, rpc=(), source="chain", file=None),
            snapshot=SnapshotConfig(Seconds(1), Seconds(2)),
        )
        async with connect(cut_off, identity=alice) as client:
            registry = client.membership.registry
            assert registry.source is Source.CACHED
            assert registry.view.height >= first.height

            await until(lambda: registry.source is Source.ELECTED)

            assert registry.view.height > first.height
            assert registry.nodes().keys() == first.nodes.nodes.keys()
            assert len(registry.discovery_nodes()) > 0
            assert not client.membership.is_verified
            assert "handed over" in client.status().registry
            await client.announce()
            found = await client.lookup(client.contact_card)
            assert found.points
