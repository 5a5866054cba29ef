"""A whole network in virtual time: real relays, real clients, simulated wires."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cli.assembly import RelayNode
from cli.demo.plan import NetworkPlan, make_plan
from cli.node_config import NodeConfig
from cli.workers.members import Members, members_message
from cli.workers.node import WorkerNode
from psp.client.api import Client, connect
from psp.client.config import ClientConfig
from psp.ids import NodeId
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from relay.config import RelayConfig
from tests.worker_plan import with_workers

PORTS = list(range(9001, 9013))
HOST = "127.0.0.1"


@dataclass
class Town:
    """The network of one simulation."""

    hub: SimHub
    plan: NetworkPlan
    relays: list[RelayNode]
    clients: dict[str, Client]
    workers: dict[NodeId, list[WorkerNode]] = field(default_factory=dict)


@asynccontextmanager
async def town(
    hub: SimHub,
    folder: Path,
    *,
    seed: int,
    relays: int = 12,
    users=("alice", "bob"),
    workers: int = 1,
    configure: Callable[[ClientConfig], ClientConfig] = lambda config: config,
    relay_config: RelayConfig | None = None,
) -> AsyncIterator[Town]:
    """Start every relay and every client; stop them at the end.

    Args:
        hub: Their network.
        folder: For their files.
        seed: Of everything random.
        relays: How many.
        users: Names of the clients.
        workers: Processes of each relay, the first included.
        configure: Changes the settings of each client.
        relay_config: Limits of each relay; None for the plan's.
    """
    entropy = SeededEntropy(seed)
    plan = make_plan(
        folder,
        PORTS[:relays],
        list(users),
        discovery=4,
        entropy=entropy.child("plan"),
        unix_now=hub.unix_time(),
    )
    if workers > 1:
        ports = [[port + 100 * n for n in range(workers)] for port in PORTS[:relays]]
        plan = with_workers(plan, ports)
    async with AsyncExitStack() as stack:
        nodes, further = [], {}
        for number, planned in enumerate(plan.relays):
            address = (HOST, planned.config.listen.port)
            config = planned.config
            if relay_config is not None:
                config = replace(config, relay=relay_config)
            node = RelayNode(
                config,
                udp=hub.socket(address),
                unix_time=hub.unix_time,
                entropy=entropy.child(f"relay {number}"),
            )
            await node.start()
            stack.push_async_callback(node.stop)
            nodes.append(node)
            further[node.node_id] = [
                await stack.enter_async_context(
                    _worker(hub, node, planned.config, worker, entropy)
                )
                for worker in range(1, workers)
            ]
        clients = {}
        for number, name in enumerate(users):
            settings = configure(replace(plan.client_config(name), port=0))
            clients[name] = await stack.enter_async_context(
                connect(
                    settings,
                    identity=plan.users[name],
                    udp=hub.socket((HOST, 7001 + number)),
                    entropy=entropy.child(name),
                    unix_time=hub.unix_time,
                )
            )
        yield Town(hub, plan, nodes, clients, further)


@asynccontextmanager
async def _worker(
    hub: SimHub,
    node: RelayNode,
    config: NodeConfig,
    number: int,
    entropy: SeededEntropy,
) -> AsyncIterator[WorkerNode]:
    port = config.listen.port + 100 * number
    worker = WorkerNode(
        config,
        number,
        Members.from_message(members_message(node.registry.nodes())),
        udp=hub.socket((HOST, port)),
        unix_time=hub.unix_time,
        entropy=entropy.child(f"worker {port}"),
    )
    worker.start()
    yield worker
    await worker.stop()
