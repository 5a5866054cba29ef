"""A network of presence services in a simulation; a presence point by itself."""

import asyncio
from dataclasses import dataclass, field

import pytest

from presence.config import PresenceConfig
from presence.service import PresenceService
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.presence_record import locations_at
from psp.testing.clock import WallClock
from psp.testing.entropy import SeededEntropy
from psp.testing.memory_ports import MemoryCircuits, MemoryLinks
from psp.testing.presence import MemoryRegistry, PresenceUser
from psp.units import Seconds
from tests.unit.presence.point_rig import Setting

NOON = 43_200
"""Seconds after midnight: tests that do not care stay away from the change of period."""


@dataclass
class Relay:
    identity: SigningKey
    circuits: MemoryCircuits
    service: PresenceService

    @property
    def node_id(self):
        return NodeId(self.identity.public)


@dataclass
class World:
    entropy: SeededEntropy
    links: MemoryLinks
    registry: MemoryRegistry
    clock: WallClock
    relays: list[Relay] = field(default_factory=list)

    @property
    def members(self):
        return [r for r in self.relays if r.node_id in self.registry.elected]

    @property
    def plain(self):
        return [r for r in self.relays if r.node_id not in self.registry.elected]

    def user(self, **settings):
        user = PresenceUser(self.entropy, **settings)
        self.registry.users.add(user.user_id)
        return user

    def where(self, user):
        """Return where a user's records lie now."""
        places = locations_at(user.credential, self.clock(), self.registry.random_value)
        (location,) = places.values()
        return location

    def relay(self, node_id):
        return next(r for r in self.relays if r.node_id == node_id)

    async def close(self):
        for relay in self.relays:
            await relay.service.close()


def build_world(members=10, plain=3, *, seed=1, config=None):
    loop = asyncio.get_running_loop()
    entropy = SeededEntropy(seed)
    keys = [SigningKey.generate(entropy) for _ in range(members + plain)]
    ids = [NodeId(key.public) for key in keys]
    world = World(
        entropy,
        MemoryLinks(),
        MemoryRegistry(ids, ids[:members]),
        WallClock(loop.time),
    )
    world.clock.jump(Seconds(NOON))
    for key in keys:
        circuits = MemoryCircuits()
        service = PresenceService(
            config or PresenceConfig(),
            identity=key,
            registry=world.registry,
            circuits=circuits,
            links=world.links.port(NodeId(key.public)),
            unix_time=world.clock,
        )
        service.start()
        world.relays.append(Relay(key, circuits, service))
    return world


@pytest.fixture
def new_world():
    return build_world


@pytest.fixture
def setting():
    """Return a presence point and its users."""
    return Setting()
