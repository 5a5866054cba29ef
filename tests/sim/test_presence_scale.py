"""A thousand discovery nodes and a million records: does it still hold?

The nodes are real presence services on links in memory, the reader is the client's own
look-up; only circuits are left out. Services are made for those nodes that somebody
will ask: the others are in the registry and hold no record that matters here.
"""

import asyncio
import functools
import os
import random
from collections import Counter
from typing import Any, cast

import pytest

from cli.testbed.bad_relay import BadRelay
from cli.testbed.behaviours import Behaviour, League
from presence.config import PresenceConfig, StoreConfig
from presence.record_store import HeldRecord, RecordStore
from presence.service import PresenceService
from psp.client.context import ClientContext
from psp.client.lookups.lookup import Lookup, PresenceState
from psp.crypto.keys import SigningKey
from psp.directory.circle import Circle
from psp.directory.dht_id import REPLICAS, dht_id
from psp.ids import NodeId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_record import locations_at
from psp.runtime.logs import logger
from psp.testing.clock import WallClock
from psp.testing.entropy import SeededEntropy
from psp.testing.memory_ports import MemoryCircuits, MemoryLinks
from psp.testing.presence import TEST_NETWORK, MemoryRegistry, PresenceUser
from psp.testing.simloop import run_simulation
from psp.units import Seconds

NODES = 1_000
NEIGHBOURS = 16
"""Of each location that get a service: the eight that hold, and who replaces them."""
GATEWAYS = 40
NOON = 43_200
IS_LONG = bool(int(os.environ.get("PSP_PRESENCE_TRIALS", "0")))
USERS = 200 if IS_LONG else 30
RECORDS = 1_000_000 if IS_LONG else 100_000
LOOK_UPS = 10 if IS_LONG else 4
"""Of each user."""

pytestmark = pytest.mark.timeout(60 if not IS_LONG else 1_800)


class Relay:
    def __init__(self, key: SigningKey, world: "World") -> None:
        self.key = key
        self.circuits = MemoryCircuits()
        self.links = world.links.port(NodeId(key.public))
        self.service = PresenceService(
            PresenceConfig(),
            identity=key,
            registry=world.registry,
            circuits=self.circuits,
            links=self.links,
            unix_time=world.clock,
        )
        self.service.start()


class World:
    """Everybody who matters, made as they are asked for."""

    def __init__(self, seed: int) -> None:
        self.entropy = SeededEntropy(seed)
        self.dice = random.Random(seed)
        self.keys = {
            NodeId(key.public): key
            for key in (SigningKey.generate(self.entropy) for _ in range(NODES))
        }
        self.registry = MemoryRegistry(self.keys, self.keys)
        self.links = MemoryLinks()
        self.links.latency = lambda: self.dice.lognormvariate(-3.7, 0.5)
        self.clock = WallClock(asyncio.get_running_loop().time)
        self.clock.jump(Seconds(NOON))
        self.relays: dict[NodeId, Relay] = {}
        self.league = League()
        self._nodes = {dht_id(node, TEST_NETWORK): node for node in self.keys}
        self._circle = Circle(self._nodes)
        self.gateways = [self.relay(node) for node in self.some(GATEWAYS)]

    def some(self, count: int) -> list[NodeId]:
        return self.dice.sample(sorted(self.keys), count)

    def relay(self, node: NodeId) -> Relay:
        if node not in self.relays:
            self.relays[node] = Relay(self.keys[node], self)
        return self.relays[node]

    def near(self, location: bytes, count: int) -> list[NodeId]:
        return [self._nodes[each] for each in self._circle.nearest(location, count)]

    def location(self, user: PresenceUser) -> bytes:
        (place,) = locations_at(
            user.credential, self.clock(), self.registry.random_value
        ).values()
        return place

    async def publish(self, user: PresenceUser) -> int:
        """Publish through a gateway that is honest; return the sequence."""
        place = self.location(user)
        for node in self.near(place, NEIGHBOURS):
            self.relay(node)
        honest = [
            g
            for g in self.gateways
            if NodeId(g.key.public) not in self.league.members
            and NodeId(g.key.public) not in self.links.dead
        ]
        relay = self.dice.choice(honest)
        raw = user.agreed_record(relay.key, self.clock())
        await relay.service.dht.publish(place, raw).crawl
        return HeldRecord(raw, NodeId(relay.key.public), None).sequence

    def corrupt(self, share: float, mix) -> None:
        """Turn a share of all nodes bad, whether or not anybody asks them."""
        for number, node in enumerate(self.some(int(NODES * share))):
            relay = self.relays.get(node)
            if relay is None:
                self.league.members[node] = self.keys[node]
                continue
            BadRelay(
                relay.service,
                relay.circuits,
                relay.links,
                behaviour=mix[number % len(mix)],
                league=self.league,
                entropy=self.entropy,
            ).corrupt()

    def reader(self) -> Lookup:
        context = ClientContext(
            self.registry,
            self.entropy,
            self.clock,
            logger("reader"),
        )
        return Lookup(context, cast(Any, Spares(self)), cast(Any, Nobody()))

    async def close(self) -> None:
        for relay in self.relays.values():
            await relay.service.close()


class Spares:
    """Circuits that were built ahead, so they end at gateways that live."""

    is_pacing = False

    def __init__(self, world: World) -> None:
        self._world = world

    def pick(self, besides) -> NodeId | None:
        ids = [NodeId(gateway.key.public) for gateway in self._world.gateways]
        left = [n for n in ids if n not in besides and n not in self._world.links.dead]
        return self._world.dice.choice(left) if left else None

    async def open(self, gateway: NodeId):
        return self._world.relays[gateway].circuits.open()


class Nobody:
    """A directory that notes nothing."""

    def record(self, node_id: NodeId, *, is_good: bool) -> None: ...


CONDITIONS = {
    "all well": (0.0, ()),
    "30 % dead": (0.3, ()),
    "20 % malicious": (
        0.2,
        (
            Behaviour.STALE,
            Behaviour.LIE,
            Behaviour.GARBAGE,
            Behaviour.WITHHOLD,
            Behaviour.BOAST,
        ),
    ),
    "20 % show the past": (0.2, (Behaviour.STALE,)),
}


@pytest.fixture(autouse=True, scope="module")
def _ids_are_known():
    # All nodes are in one process here: each reckons the ids of all others.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("presence.dht.members.dht_id", functools.cache(dht_id))
        yield


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_newest_is_found_among_a_thousand_nodes(condition):
    share, mix = CONDITIONS[condition]
    outcomes: Counter[str] = Counter()

    async def main(hub) -> float:
        world = World(seed=7)
        users = [PresenceUser(world.entropy) for _ in range(USERS)]
        world.registry.users |= {user.user_id for user in users}
        await asyncio.gather(*(world.publish(user) for user in users))
        for user in users:
            place = world.location(user)
            for node in world.near(place, REPLICAS):
                held = world.relays[node].service.records.held(place, world.clock())
                world.league.remember(place, held)
        if mix:
            world.corrupt(share, mix)
        await asyncio.sleep(90)
        newest = dict(
            zip(
                users,
                await asyncio.gather(*(world.publish(user) for user in users)),
                strict=True,
            )
        )
        if share and not mix:
            world.links.dead.update(world.some(int(NODES * share)))
        asked = sum(r.service.stats.dht_asked for r in world.relays.values())

        async def look_up(user: PresenceUser) -> None:
            card = ContactCard(TEST_NETWORK, user.user_id, user.secret, "")
            found = await world.reader().find(card)
            if not found.points:
                outcomes[found.state] += 1
                return
            is_newest = found.points[0].head.sequence == newest[user]
            outcomes["newest" if is_newest else "older"] += 1

        for user in users * LOOK_UPS:
            await look_up(user)
        asked = sum(r.service.stats.dht_asked for r in world.relays.values()) - asked
        await world.close()
        return asked / (USERS * LOOK_UPS)

    requests = run_simulation(main, seed=7)

    trials = outcomes.total()
    assert trials == USERS * LOOK_UPS
    assert outcomes[PresenceState.OFFLINE] == 0, outcomes
    assert outcomes["newest"] >= 0.999 * trials, outcomes
    # Two gateways, eight replicas each, and some for those who answer late; many more
    # only where something is wrong.
    assert requests <= (18 if not share else 60), requests


def test_a_million_records_spread_evenly_over_a_thousand_nodes():
    """No node comes near its limits, and no relay's share of a node does."""
    dice = random.Random(11)
    circle = Circle(dice.randbytes(20) for _ in range(NODES))
    load: Counter[bytes] = Counter()

    for _ in range(RECORDS):
        load.update(circle.nearest(dice.randbytes(20), REPLICAS))

    mean = RECORDS * REPLICAS / NODES
    limits = StoreConfig()
    scale = 1_000_000 / RECORDS
    assert sum(load.values()) == RECORDS * REPLICAS
    assert max(load.values()) < 5 * mean
    assert max(load.values()) * scale < limits.max_records
    assert len(load) == NODES


def test_a_full_store_refuses_and_keeps_what_it_has():
    """A node that somebody fills goes on serving what it held before."""
    limits = StoreConfig(max_records=500, max_per_publisher=100)
    world_of = random.Random(3)
    store = RecordStore(limits, lambda raw, place, now, certified: None)
    first = [(world_of.randbytes(20), raw_record(world_of)) for _ in range(20)]
    honest = NodeId(world_of.randbytes(32))
    for place, raw in first:
        assert store.put(place, raw, honest, 0.0) is None

    refusals = Counter(
        store.put(
            world_of.randbytes(20),
            raw_record(world_of),
            NodeId(bytes([number % 7]) * 32),
            0.0,
        )
        for number in range(2_000)
    )

    assert len(store) == limits.max_records
    assert refusals[None] == limits.max_records - len(first)
    assert all(store.held(place, 0.0)[0].raw == raw for place, raw in first)


def raw_record(dice: random.Random) -> bytes:
    """Return 450 bytes of the right form that live for half an hour from 0."""
    raw = bytearray(dice.randbytes(450))
    raw[0:2] = b"\1\0"
    raw[142:154] = (0).to_bytes(8) + (1_800).to_bytes(4)
    return bytes(raw)
