"""A worker of a node but the first (cli/workers/node.py)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cli.demo.plan import HOST, NetworkPlan, make_plan
from cli.node_config import NodeConfig
from cli.workers.members import Member, Members
from cli.workers.node import WorkerNode
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.wire.endpoint import Endpoint

STRANGER = NodeId(b"s" * 32)


@pytest.fixture
def plan(tmp_path: Path) -> NetworkPlan:
    return make_plan(
        tmp_path / "network",
        [9001, 9101],
        [],
        discovery=1,
        entropy=SeededEntropy(1),
        unix_now=EPOCH,
        workers=3,
    )


def members(plan: NetworkPlan) -> Members:
    return Members(
        {relay.node_id: Member(relay.signed.record.endpoints) for relay in plan.relays}
    )


def work(
    config: NodeConfig, number: int, told: Members, *later: Members
) -> tuple[int, set[NodeId]]:
    """Run a worker for a while; return its port and whom it knows in the end."""

    async def main(hub: SimHub) -> tuple[int, set[NodeId]]:
        worker = WorkerNode(
            config,
            number,
            told,
            udp=hub.socket((HOST, 9999)),
            unix_time=hub.unix_time,
            entropy=SeededEntropy(2),
        )
        worker.start()
        for newer in later:
            worker.take_members(newer)
        await asyncio.sleep(100.0)
        everybody = {worker.node_id, *told}
        known = {node_id for node_id in everybody if worker._node(node_id) is not None}
        await worker.stop()
        return worker.port, known

    return run_simulation(main)


def test_each_worker_has_its_port_of_the_record_and_a_file_of_its_own(plan):
    config = plan.relays[0].config

    ports = [work(config, number, members(plan))[0] for number in (1, 2)]

    assert ports == [9002, 9003]
    assert (config.state_dir / "relay-1.json").exists()
    assert (config.state_dir / "relay-2.json").exists()
    assert not (config.state_dir / "relay.json").exists()
    work(config, 1, members(plan))


def test_a_worker_goes_by_the_membership_it_was_told_last(plan):
    own, other = (relay.node_id for relay in plan.relays)
    record = plan.relays[0].signed.record
    alone = Members({own: Member(record.endpoints)})

    assert work(plan.relays[0].config, 1, members(plan))[1] == {own, other}
    assert work(plan.relays[0].config, 1, members(plan), alone)[1] == {own}


def test_a_worker_that_the_registry_does_not_list_does_not_start(plan):
    config, own = plan.relays[0].config, plan.relays[0].node_id

    with pytest.raises(ConfigError, match="not in the registry any more"):
        work(config, 1, Members({STRANGER: Member((Endpoint(HOST, 1),))}))
    with pytest.raises(ConfigError, match="workers is 3, the registry has 1 port"):
        work(config, 1, Members({own: Member((Endpoint(HOST, 9001),))}))


def test_damaged_handshake_times_are_named(plan):
    config = plan.relays[0].config
    work(config, 1, members(plan))
    file = config.state_dir / "relay-1.json"
    file.write_text(file.read_text()[:-20])

    with pytest.raises(ConfigError, match=r"relay-1\.json"):
        work(config, 1, members(plan))
    work(replace(config, workers=3), 2, members(plan))
