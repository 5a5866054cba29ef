"""Whom a member asks, and whom it remembers for their answers."""

import asyncio

from kademlia.node import Node

from presence.dht.messages import Ping, Pong, Refused, encode
from psp.testing.entropy import SeededEntropy
from tests.unit.presence.dht.protocol_rig import Setting, acquainted, simulated


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
