"""What looking at a directory of 10,000 relays costs a client, in bytes of messages.

Descriptors, keys, signatures and the servers' answers are real; circuits are not.
"""

import asyncio

import pytest

from discovery.config import ServerConfig
from discovery.descriptor_store import DescriptorStore, Offer
from discovery.server import DirectoryServer
from discovery.stats import DiscoveryStats
from psp.client.directory import Directory
from psp.crypto.keys import SigningKey
from psp.directory.registry import NodeRecord
from psp.ids import NodeId
from psp.netdoc.descriptor import Descriptor, Role
from psp.path.constraints import Constraints
from psp.path.guards import GuardSet
from psp.path.layer2 import Layer2Guards
from psp.path.selection import PathSelector
from psp.testing.client_circuits import MemoryBuilder, client_context
from psp.testing.clock import EPOCH
from psp.testing.directory import LOOPBACK
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation
from psp.units import Monotonic, Seconds, UnixTime
from psp.wire.endpoint import Endpoint

RELAYS = 10_000
DISCOVERY = 5
DAY = 86_400


class Registry:
    """10,000 relays, the first five of them elected; nothing about them is signed."""

    network = LOOPBACK
    sequence = 1

    def __init__(self, entropy):
        self.keys = [SigningKey(entropy.token(32)) for _ in range(RELAYS)]
        self._nodes = {
            NodeId(key.public): NodeRecord(
                NodeId(key.public),
                bytes(32),
                (Endpoint(f"{10 + i // 256}.{i % 256}.0.1", 443),),
                i.to_bytes(20),
            )
            for i, key in enumerate(self.keys)
        }
        self._elected = tuple(self._nodes)[:DISCOVERY]

    def nodes(self):
        return self._nodes

    def node(self, node_id):
        return self._nodes.get(node_id)

    def discovery_nodes(self):
        return self._elected

    def trusted_nodes(self):
        return ()


class World:
    """The relays, who renew their descriptors every hour, and the client."""

    def __init__(self, hub, cache):
        self.hub = hub
        self.registry = REGISTRY
        self.store = DescriptorStore(ServerConfig(), LOOPBACK)
        self.store.retain(self.registry.nodes().keys())
        self.server = DirectoryServer(
            ServerConfig(pages_per_minute=1_000_000),
            own_id=self.registry.discovery_nodes()[0],
            registry=self.registry,
            store=self.store,
            registry_file=lambda: None,
            stats=DiscoveryStats(),
        )
        self.bytes = self.messages = 0
        builder = MemoryBuilder(self.registry, self._answer)
        context = client_context(hub, self.registry)
        selector = PathSelector(Constraints(), GuardSet(), Layer2Guards())
        selector.update(self.registry.nodes(), EPOCH, context.entropy)
        self.directory = Directory(context, builder.as_builder(), selector, cache)
        self.renewed = -1

    async def _answer(self, circuit, command, data):
        await asyncio.sleep(0.1)
        self.renew()
        now = Monotonic(asyncio.get_running_loop().time())
        answer = self.server.fetch(id(circuit), data, now)
        self.messages += 1
        self.bytes += len(data) + len(answer)
        return answer

    def renew(self):
        """Have each relay publish, once an hour, when somebody looks."""
        hour = int(self.hub.unix_time()) // 3_600
        if hour == self.renewed:
            return
        self.renewed = hour
        now = UnixTime(int(self.hub.unix_time()))
        self.store.expire(now)
        for key in self.registry.keys:
            node_id = NodeId(key.public)
            descriptor = Descriptor(node_id, hour, now, 10_800, roles=Role.PRESENCE)
            element = descriptor.signed(LOOPBACK, key).encode()
            assert self.store.offer(element, now) is Offer.STORED

    def spent(self):
        spent = self.bytes, self.messages
        self.bytes = self.messages = 0
        return spent


REGISTRY = Registry(SeededEntropy("traffic"))


@pytest.mark.timeout(60)
def test_ten_thousand_relays_cost_little(tmp_path, record_property):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)

    async def main(hub):
        world = World(hub, folder / "directory")
        await world.directory.refresh()
        bootstrap = world.spent()
        await world.directory.refresh()
        nothing_new = world.spent()
        interval = world.directory.interval
        await asyncio.sleep(interval)
        await world.directory.refresh()
        return bootstrap, nothing_new, world.spent(), interval, world.directory

    bootstrap, nothing_new, look, interval, directory = run_simulation(
        main, within=Seconds(3.0 * DAY)
    )

    day = look[0] * DAY / interval
    record_property("bootstrap_bytes", bootstrap[0])
    record_property("bootstrap_requests", bootstrap[1])
    record_property("day_bytes", round(day))
    assert f"3 answered, {RELAYS} of {RELAYS} relays described" in directory.explanation
    assert bootstrap[0] <= 1_600_000  # measured: 1,503,750 in 1,350 requests
    assert nothing_new[0] <= 250_000  # 245,550
    assert look[0] <= 1_600_000  # 1,503,750, every 18.2 hours
    assert day <= 2_000_000  # 1,986,329
    assert interval < DAY - 3_600
