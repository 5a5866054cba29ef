"""Both ends of the DHT messages: who may, how often, and who is remembered."""

import asyncio
import functools

import pytest
from kademlia.node import Node

from presence.config import DhtConfig, StoreConfig
from presence.dht.members import Members
from presence.dht.messages import (
    FindNode,
    FindValue,
    HandOver,
    Nodes,
    Offer,
    Ping,
    Pong,
    Refused,
    Store,
    Stored,
    Value,
    Wanted,
    decode_answer,
    encode,
)
from presence.dht.protocol import PresenceProtocol
from presence.record_store import RecordStore
from presence.stats import PresenceStats
from psp.crypto.keys import SigningKey
from psp.errors import LocalProtocolError
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


@simulated
async def test_member_answers_each_kind_with_its_own():
    setting = Setting()
    outer = setting.record_near()

    assert await setting.ask(Ping()) == Pong()
    assert isinstance(await setting.ask(FindNode(outer.location)), Nodes)
    assert await setting.ask(Store(outer.location, outer.raw)) == Stored("")
    value = await setting.ask(FindValue(outer.location, 255, NONCE))
    assert isinstance(value, Value)
    assert value.record == outer.raw
    assert value.held == ((0, outer.head.sequence),)
    assert (await setting.ask(FindValue(outer.location, 0, NONCE))).record == outer.raw
    assert (await setting.ask(FindValue(outer.location, 1, NONCE))).record is None


@simulated
async def test_relay_that_is_not_elected_says_so_and_stores_nothing():
    setting = Setting(own_is_elected=False)
    outer = checked(
        PresenceUser(SeededEntropy(1)).agreed_record(RELAY, NOON), None, NOON, b""
    )
    offered = ((outer.location, ((0, 1),)),)

    for request in (
        Ping(),
        FindNode(outer.location),
        FindValue(outer.location, 0, NONCE),
        Store(outer.location, outer.raw),
        Offer(offered),
        HandOver(outer.location, outer.raw, RELAY.public),
        b"junk",
    ):
        assert await setting.ask(request) == Refused("not_member")

    assert setting.stats.dht_dropped == {"not_member": 7}
    assert len(setting.records) == 0


@simulated
async def test_malformed_requests_get_no_answer():
    setting = Setting()

    for data in (b"", b"\x00", b"\xff" * 1_183, bytes(2_000), encode(Pong())):
        assert await setting.ask(data) is None

    assert setting.stats.dht_dropped == {"malformed": 5}


@simulated
async def test_one_relay_cannot_ask_without_end_and_hinders_nobody_else():
    setting = Setting(requests_per_second=1.0, request_burst=5.0)

    answers = [await setting.ask(Ping()) for _ in range(8)]

    assert answers == [Pong()] * 5 + [None] * 3
    assert await setting.ask(Ping(), setting.ids[2]) == Pong()
    await asyncio.sleep(1)
    assert await setting.ask(Ping()) == Pong()


@simulated
async def test_registered_relay_may_store_and_strangers_may_not():
    setting = Setting()
    outer = setting.record_near()
    request = Store(outer.location, outer.raw)

    assert await setting.ask(request, b"x" * 32) == Stored("publisher")
    assert setting.records.raw_records() == []
    assert await setting.ask(request, setting.relay) == Stored("")


@simulated
async def test_records_that_belong_elsewhere_are_refused_unread():
    setting = Setting()
    outer = setting.record_near(is_near=False)

    refused = await setting.ask(Store(outer.location, outer.raw))

    assert refused == Stored("far")
    assert len(setting.records) == 0


@simulated
async def test_forged_record_is_refused_with_the_reason():
    setting = Setting()
    outer = setting.record_near()
    forged = outer.raw[:-1] + bytes([outer.raw[-1] ^ 1])

    assert await setting.ask(Store(outer.location, forged)) == Stored("signature")
    assert setting.stats.stores == {"signature": 1}


@simulated
async def test_stores_have_a_rate_of_their_own():
    setting = Setting(stores_per_minute=2.0)
    outer = setting.record_near()
    request = Store(outer.location, outer.raw)

    answers = [await setting.ask(request) for _ in range(3)]

    assert answers == [Stored(""), Stored(""), Stored("too_often")]
    assert await setting.ask(request, setting.relay) == Stored("")


@simulated
async def test_only_elected_askers_enter_the_table():
    setting = Setting()
    entropy = SeededEntropy("invented")

    for _ in range(300):
        await setting.ask(Ping(), entropy.token(32))
    await setting.ask(Ping(), setting.relay)
    assert setting.contacts() == set()

    await setting.ask(Ping(), setting.peer)
    assert setting.contacts() == {setting.peer_contact().id}


@simulated
async def test_answers_name_listed_members_only_and_never_the_asker():
    setting = await acquainted()
    asker = setting.peer_contact()

    answer = await setting.ask(FindNode(asker.id))

    assert len(answer.nodes) == 8
    assert asker.id not in answer.nodes
    assert all(setting.members.contact(each) for each in answer.nodes)


@simulated
async def test_one_lost_answer_is_not_death_but_two_are():
    setting = await acquainted()
    contact = setting.peer_contact()

    assert await setting.protocol.request(contact, Ping()) is None
    assert contact.id in setting.contacts()
    assert await setting.protocol.request(contact, Ping()) is None
    assert contact.id not in setting.contacts()
    assert setting.stats.dht_failed == setting.stats.dht_asked == 2


@simulated
async def test_answer_between_two_losses_clears_the_first():
    setting = await acquainted()
    contact = setting.peer_contact()

    async def pong(peer, data):
        return encode(Pong())

    await setting.protocol.request(contact, Ping())
    setting.links.serve(setting.peer, 1, pong)
    assert await setting.protocol.request(contact, Ping()) == Pong()
    setting.links.dead.add(setting.peer)
    await setting.protocol.request(contact, Ping())

    assert contact.id in setting.contacts()


@simulated
async def test_malformed_answer_counts_as_none():
    setting = Setting()
    contact = setting.peer_contact()

    async def junk(peer, data):
        return b"\xff" * 5_000

    setting.links.serve(setting.peer, 1, junk)

    assert await setting.protocol.request(contact, Ping()) is None
    assert setting.stats.dht_failed == 1


@simulated
async def test_node_that_is_not_elected_is_not_even_asked():
    setting = Setting()

    assert await setting.protocol.request(Node(bytes(20)), Ping()) is None
    assert setting.links.requests == 0


@simulated
async def test_contact_is_checked_once_a_minute_at_most():
    setting = Setting()
    contact = setting.peer_contact()

    for _ in range(10):
        setting.protocol.check_contact(contact)
        await setting.protocol.call_ping(contact)
    await asyncio.sleep(30)
    assert setting.links.requests == 1
    await asyncio.sleep(31)
    setting.protocol.check_contact(contact)
    await asyncio.sleep(2)
    assert setting.links.requests == 2


@simulated
async def test_table_follows_the_registry():
    setting = await acquainted()
    before = setting.contacts()
    gone = setting.peer_contact().id

    setting.elect(*(node for node in setting.ids if node != setting.peer))
    setting.protocol.sync()
    assert setting.contacts() == before
    setting.now += 1_200
    setting.protocol.sync()

    assert before - setting.contacts() == {gone}


@simulated
async def test_one_who_does_not_know_yet_that_it_is_elected_keeps_its_place():
    setting = await acquainted()
    contact = setting.peer_contact()

    async def refuse(peer, data):
        return encode(Refused("not_member"))

    setting.links.serve(setting.peer, 1, refuse)
    for _ in range(3):
        answer = await setting.protocol.request(contact, Ping())
        assert answer == Refused("not_member")

    assert contact.id in setting.contacts()
    assert setting.stats.dht_failed == 0


@simulated
async def test_soft_timeout_follows_the_round_trips_within_its_bounds():
    setting = Setting()
    setting.links.latency = lambda: 0.01
    contact = setting.peer_contact()

    async def pong(peer, data):
        return encode(Pong())

    setting.links.serve(setting.peer, 1, pong)
    at_first = setting.protocol.soft_timeout
    for _ in range(60):
        await setting.protocol.request(contact, Ping())
    fast = setting.protocol.soft_timeout
    setting.links.latency = lambda: 0.49
    for _ in range(60):
        await setting.protocol.request(contact, Ping())

    assert 0.05 <= fast < at_first
    assert 0.9 < setting.protocol.soft_timeout <= 1.0


@simulated
async def test_misspelt_name_is_no_remote_call():
    setting = Setting()

    with pytest.raises(AttributeError):
        setting.protocol.fnid_node  # noqa: B018 - stock would return a callable
    with pytest.raises(AttributeError):
        await setting.protocol.call_find_value(Node(bytes(20)), Node(bytes(20)))
    with pytest.raises(LocalProtocolError):
        setting.protocol.datagram_received(b"", ("192.0.2.1", 1))


@simulated
async def test_closing_ends_what_was_spawned():
    setting = Setting()
    contact = setting.peer_contact()
    task = setting.protocol.spawn(setting.protocol.request(contact, Ping()))

    await setting.protocol.close()

    assert task.cancelled()


class TestRetiring:
    """This node is not on the new list; others of its list are."""

    @staticmethod
    def setting(**limits):
        setting = Setting(**limits)
        setting.elect(*setting.ids[1:40], setting.relay)
        return setting

    @simulated
    async def test_it_still_answers_and_stores(self):
        setting = self.setting()
        outer = setting.own_record_near()

        assert await setting.ask(Ping()) == Pong()
        assert isinstance(await setting.ask(FindNode(outer.location)), Nodes)
        stored = await setting.ask(Store(outer.location, outer.raw))
        assert stored == Stored("")
        value = await setting.ask(FindValue(outer.location, 255, NONCE))
        assert value.record == outer.raw
        assert list(setting.protocol.misplaced) == [outer.location]

    @simulated
    async def test_it_still_refuses_what_never_was_its_own(self):
        setting = self.setting()
        outer = setting.own_record_near(is_near=False)

        refused = await setting.ask(Store(outer.location, outer.raw))

        assert refused == Stored("far")
        assert setting.protocol.misplaced == {}

    @simulated
    async def test_when_its_time_is_over_it_is_nobody(self):
        setting = self.setting()
        setting.members.lay_down()

        assert await setting.ask(Ping()) == Refused("not_member")


class TestTakingOver:
    """A new list is in force; the peer is retiring, this node is elected."""

    @staticmethod
    def setting(**limits):
        setting = Setting(**limits)
        setting.peer = setting.ids[79]
        setting.elect(*setting.ids[:40])
        return setting

    @simulated
    async def test_offer_is_answered_with_what_is_lacking(self):
        setting = self.setting()
        outer = setting.record_near()
        far = setting.record_near(is_near=False)
        sequence = outer.head.sequence
        await setting.ask(Store(outer.location, outer.raw))

        answer = await setting.ask(
            Offer(
                (
                    (outer.location, ((0, sequence), (1, 5))),
                    (far.location, ((0, 5),)),
                    (outer.location, ((0, sequence + 1), (2, 0))),
                )
            )
        )

        assert answer == Wanted((1, 8, 10))

    @simulated
    async def test_record_is_kept_in_the_name_of_its_publisher(self):
        setting = self.setting()
        outer = setting.record_near()

        answer = await setting.ask(HandOver(outer.location, outer.raw, setting.relay))

        assert answer == Stored("")
        (held,) = setting.records.held(outer.location, NOON)
        assert held.raw == outer.raw
        assert (held.publisher, held.bringer) == (setting.relay, setting.peer)
        assert setting.stats.records_taken_over == {"stored": 1}
        assert setting.stats.stores == {}

    @pytest.mark.parametrize("brings", ["forged", "far", "stranger's"])
    @simulated
    async def test_records_are_checked_as_any_other(self, brings):
        setting = self.setting()
        outer = setting.record_near(is_near=brings != "far")
        raw, publisher, refusal = outer.raw, setting.relay, "far"
        if brings == "forged":
            raw, refusal = raw[:-1] + bytes([raw[-1] ^ 1]), "signature"
        elif brings == "stranger's":
            publisher, refusal = NodeId(b"x" * 32), "publisher"

        answer = await setting.ask(HandOver(outer.location, raw, publisher))

        assert answer == Stored(refusal)
        assert setting.stats.records_taken_over == {refusal: 1}
        assert len(setting.records) == 0

    @simulated
    async def test_who_was_never_elected_may_not_hand_over(self):
        setting = self.setting()
        outer = setting.record_near()
        requests = [
            Offer(((outer.location, ((0, 5),)),)),
            HandOver(outer.location, outer.raw, setting.relay),
        ]

        for stranger in (setting.relay, NodeId(b"x" * 32)):
            for request in requests:
                answer = await setting.ask(request, stranger)
                assert answer == Refused("stranger")

        assert len(setting.records) == 0

    @simulated
    async def test_nobody_may_when_no_list_has_changed(self):
        setting = Setting()
        outer = setting.record_near()

        answer = await setting.ask(HandOver(outer.location, outer.raw, setting.relay))
        assert answer == Refused("stranger")
        setting = self.setting()
        setting.now += 1_200 + 300
        answer = await setting.ask(Offer(()))
        assert answer == Refused("stranger")

    @simulated
    async def test_one_bringer_cannot_hand_over_without_end(self):
        setting = self.setting(handovers_per_second=2.0)

        answers = [await setting.ask(Offer(())) for _ in range(5)]

        assert answers == [Wanted(())] * 4 + [Refused("too_often")]
        assert await setting.ask(Ping()) == Pong()

    @simulated
    async def test_more_than_a_publisher_may_bring_at_once_comes_from_many(self):
        # 240 stores a minute are one publisher's; a bringer brings what many published.
        setting = self.setting(stores_per_minute=1.0)
        outer = setting.record_near()
        request = HandOver(outer.location, outer.raw, setting.relay)

        answers = [await setting.ask(request) for _ in range(5)]

        assert answers == [Stored("")] * 5

    @simulated
    async def test_what_belongs_to_us_is_not_passed_on(self):
        setting = self.setting(replicas=40)
        outer = setting.record_near()

        await setting.ask(Store(outer.location, outer.raw))

        assert setting.protocol.misplaced == {}
