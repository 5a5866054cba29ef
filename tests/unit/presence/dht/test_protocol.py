"""What a member answers to whom, and how often (presence/dht/protocol.py)."""

import asyncio

import pytest
from kademlia.node import Node

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
    encode,
)
from psp.errors import LocalProtocolError
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import NOON, PresenceUser, checked
from tests.unit.presence.dht.protocol_rig import (
    NONCE,
    RELAY,
    Setting,
    acquainted,
    simulated,
)


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
async def test_answers_name_listed_members_only_and_never_the_asker():
    setting = await acquainted()
    asker = setting.peer_contact()

    answer = await setting.ask(FindNode(asker.id))

    assert len(answer.nodes) == 8
    assert asker.id not in answer.nodes
    assert all(setting.members.contact(each) for each in answer.nodes)


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
