"""A whole network in virtual time: real relays, real clients, simulated wires."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cli.assembly import RelayNode
from cli.demo.plan import NetworkPlan, make_plan
from psp.client.api import Client, connect
from psp.client.config import ClientConfig
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub

PORTS = list(range(9001, 9013))
HOST = "127.0.0.1"


@dataclass
class Town:
    """The network of one simulation."""

    hub: SimHub
    plan: NetworkPlan
    relays: list[RelayNode]
    clients: dict[str, Client]


@asynccontextmanager
async def town(
    hub: SimHub,
    folder: Path,
    *,
    seed: int,
    relays: int = 12,
    users=("alice", "bob"),
    configure: Callable[[ClientConfig], ClientConfig] = lambda config: config,
) -> AsyncIterator[Town]:
    """Start every relay and every client; stop them at the end.

    Args:
        hub: Their network.
        folder: For their files.
        seed: Of everything random.
        relays: How many.
        users: Names of the clients.
        configure: Changes the settings of each client.
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
    async with AsyncExitStack() as stack:
        nodes = []
        for number, planned in enumerate(plan.relays):
            address = (HOST, planned.config.listen.port)
            node = RelayNode(
                planned.config,
                udp=hub.socket(address),
                unix_time=hub.unix_time,
                entropy=entropy.child(f"relay {number}"),
            )
            await node.start()
            stack.push_async_callback(node.stop)
            nodes.append(node)
        clients = {}
        for number, name in enumerate(users):
            config = configure(replace(plan.client_config(name), port=0))
            clients[name] = await stack.enter_async_context(
                connect(
                    config,
                    identity=plan.users[name],
                    udp=hub.socket((HOST, 7001 + number)),
                    entropy=entropy.child(name),
                    unix_time=hub.unix_time,
                )
            )
        yield Town(hub, plan, nodes, clients)
