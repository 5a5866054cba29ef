"""One member of the DHT, whose neighbours a test plays."""

import functools

from presence.config import DhtConfig, StoreConfig
from presence.dht.members import Members
from presence.dht.messages import Ping, decode_answer, encode
from presence.dht.protocol import PresenceProtocol
from presence.record_store import RecordStore
from presence.stats import PresenceStats
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.testing.entropy import SeededEntropy
from psp.testing.memory_ports import MemoryLinks
from psp.testing.presence import (
    NOON,
    TEST_NETWORK,
    MemoryRegistry,
    PresenceUser,
    checked,
)
from psp.testing.simloop import run_simulation

NONCE = b"n" * 16
RELAY = SigningKey.generate(SeededEntropy("relay"))


class Setting:
    """One member among many, whose neighbours a test plays."""

    def __init__(self, members=80, *, own_is_elected=True, **limits):
        entropy = SeededEntropy(1)
        self.now = NOON
        self.identity = SigningKey.generate(entropy)
        others = [NodeId(entropy.token(32)) for _ in range(members - 1)]
        self.ids = [NodeId(self.identity.public), *others]
        self.own, self.peer = self.ids[0], self.ids[1]
        self.relay = NodeId(entropy.token(32))
        elected = self.ids if own_is_elected else self.ids[1:]
        self.registry = MemoryRegistry([*self.ids, self.relay], elected)
        self.links = MemoryLinks()
        self.stats = PresenceStats()
        self.records = RecordStore(StoreConfig(), checked)
        self.members = Members(self.registry, self.own, DhtConfig(), lambda: self.now)
        self.protocol = PresenceProtocol(
            DhtConfig(**limits),
            identity=self.identity,
            network=TEST_NETWORK,
            members=self.members,
            links=self.links.port(self.own),
            records=self.records,
            stats=self.stats,
            unix_time=lambda: self.now,
        )

    async def ask(self, request, peer=None):
        data = request if isinstance(request, bytes) else encode(request)
        answer = await self.protocol.answer(peer or self.peer, data)
        return None if answer is None else decode_answer(answer)

    def record_near(self, *, is_near=True):
        """Return a record that belongs, or does not belong, to this member."""
        for seed in range(200):
            raw = PresenceUser(SeededEntropy(seed)).agreed_record(RELAY, NOON)
            outer = checked(raw)
            if self.members.is_among_nearest(outer.location, 32) is is_near:
                return outer
        raise AssertionError("no such record")

    def own_record_near(self, *, is_near=True):
        """Return a record that belonged, or did not belong, to us in our own time."""
        for seed in range(200):
            raw = PresenceUser(SeededEntropy(seed)).agreed_record(RELAY, NOON)
            outer = checked(raw)
            if self.members.was_among_nearest(outer.location, 32) is is_near:
                return outer
        raise AssertionError("no such record")

    def elect(self, *nodes):
        """Put a new list in force, and let this node know it."""
        assert self.members.version == 0
        self.registry.elect(nodes, NOON)
        assert self.members.version == 1

    def peer_contact(self):
        return self.members.contact_of(self.peer)

    def contacts(self):
        return {node.id for node in self.protocol.router.contacts()}


async def acquainted():
    """Return a setting in which every other member has asked us something."""
    setting = Setting()
    for member in setting.ids[1:]:
        await setting.ask(Ping(), member)
    return setting


def simulated(test):
    """Run a test in virtual time."""

    @functools.wraps(test)
    def run(*args, **settings):
        async def main(hub):
            await test(*args, **settings)

        run_simulation(main)

    return run
