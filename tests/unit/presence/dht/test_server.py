"""Whole networks of members: dead, lying, stale and broken ones among them."""

import asyncio
import random

import msgspec
import pytest
from kademlia.network import Server

from presence.dht.messages import (
    FindValue,
    Nodes,
    Store,
    Stored,
    Value,
    decode_answer,
    decode_request,
    encode,
)
from presence.dht.server import PresenceDht
from psp.directory.dht_id import dht_id
from psp.errors import LocalProtocolError
from psp.netdoc.presence_record import parse, period_at
from psp.netdoc.voice import Question, Voice
from psp.testing.presence import TEST_NETWORK, look_up
from psp.units import Seconds, UnixTime
from psp.wire.lookup import FoundState
from tests.unit.presence.rig import in_simulation


def wan(seed):
    dice = random.Random(seed)
    return lambda: dice.lognormvariate(-3.2, 0.4)


async def publish_all(world, users):
    """Let each user appear at some plain relay; return how often each is stored."""
    return [
        await user.appear(
            (relay := world.plain[i % len(world.plain)]).circuits.open(),
            relay.node_id,
            world.clock(),
        )
        for i, user in enumerate(users)
    ]


async def look_all_up(world, users, gateway):
    """Return how many users are found, at their newest, through one gateway."""
    good = 0
    for user in users:
        found, _ = await look_up(
            [gateway.circuits.open()], user.credential, world.registry, world.clock()
        )
        good += [p.head.sequence for p in found[:1]] == [user.sequence]
    return good


def test_half_the_members_dead_at_once_leaves_99_percent_of_users(new_world):
    # SECURITY F3. No repair, and everybody's tables still list the dead.
    async def main():
        world = new_world(60, 4)
        world.links.latency = wan(1)
        users = [world.user() for _ in range(100)]
        assert min(await publish_all(world, users)) >= 8

        dice = random.Random(2)
        world.links.dead |= {relay.node_id for relay in dice.sample(world.members, 30)}

        assert await look_all_up(world, users, world.plain[-1]) >= 99
        await world.close()

    in_simulation(main)


def test_publishing_past_dead_members_still_reaches_eight(new_world):
    async def main():
        world = new_world(40, 2)
        world.links.latency = wan(1)
        world.links.dead |= {relay.node_id for relay in world.members[::2]}
        users = [world.user() for _ in range(10)]

        stored = await publish_all(world, users)

        assert min(stored) >= 8
        assert await look_all_up(world, users, world.plain[1]) == 10
        await world.close()

    in_simulation(main)


def value(relay, request, record, sequences=(0, 0, 0, 0), nodes=()):
    """Return an answer that a member signs, whatever it claims."""
    question = Question(TEST_NETWORK, request.location, request.nonce)
    voice = Voice.of(relay.identity, question, 0, sequences)
    held = tuple((slot, claim) for slot, claim in enumerate(sequences) if claim)
    return encode(Value(record, held, nodes, voice.time, voice.signature))


def lie(world, liars):
    """Every liar denies all records and names only other liars."""
    ids = tuple(dht_id(relay.node_id, TEST_NETWORK) for relay in liars)[:8]

    def tamper(liar):
        def answer_falsely(peer, request, answer):
            message = decode_request(request)
            match message:
                case FindValue():
                    return value(liar, message, None, nodes=ids)
                case Store():
                    return encode(Stored(""))
                case _:
                    return encode(Nodes(ids))

        return answer_falsely

    for liar in liars:
        world.links.tampers[liar.node_id] = tamper(liar)


@pytest.mark.parametrize(("share", "least"), [(5, 100), (4, 100), (2, 98)])
def test_liars_who_deny_and_name_each_other_hide_nobody(new_world, share, least):
    # 20, 25 and 50 % of the members.
    async def main():
        world = new_world(40, 3)
        users = [world.user() for _ in range(100)]
        lie(world, random.Random(3).sample(world.members, 40 // share))

        await publish_all(world, users)

        assert await look_all_up(world, users, world.plain[-1]) >= least
        await world.close()

    in_simulation(main)


def test_stale_members_never_win_over_one_honest_holder(new_world):
    async def main():
        world = new_world(20, 2)
        users = [world.user() for _ in range(20)]
        await publish_all(world, users)
        stale = world.members[::3]

        def drop_stores(peer, request, answer):
            is_store = isinstance(decode_request(request), Store)
            return encode(Stored("")) if is_store else answer

        old = {r.node_id: r.service.records.raw_records() for r in stale}
        frozen = {}
        for relay in stale:
            by_place = {
                record.location: record.raw
                for raw in old[relay.node_id]
                if (record := parsed(world, raw))
            }
            frozen[relay.node_id] = by_place

            def serve_old(peer, request, answer, relay=relay, by_place=by_place):
                message = decode_request(request)
                if isinstance(message, FindValue):
                    old = by_place.get(message.location)
                    held = int.from_bytes(old[134:142]) if old else 0
                    return value(relay, message, old, (held, 0, 0, 0))
                return drop_stores(peer, request, answer)

            world.links.tampers[relay.node_id] = serve_old
        world.clock.jump(Seconds(60))
        await publish_all(world, users)

        # Six have answered before anything is believed: two honest ones at least.
        assert await look_all_up(world, users, world.plain[0]) == 20
        assert await look_all_up(world, users, world.members[1]) == 20
        await world.close()

    in_simulation(main)


def parsed(world, raw):
    return parse(
        raw,
        network=TEST_NETWORK,
        random_value=world.registry.random_value,
        unix_now=world.clock(),
    )


SHAPES = {
    "empty": b"",
    "map": msgspec.msgpack.encode({}),
    "number": msgspec.msgpack.encode(7),
    "list of lists": msgspec.msgpack.encode([[b"", b""]]),
    "id of 21 bytes": msgspec.msgpack.encode([19, None, [], [bytes(21)], 0, bytes(64)]),
    "nine ids": msgspec.msgpack.encode([19, None, [], [bytes(20)] * 9, 0, bytes(64)]),
    "list as record": msgspec.msgpack.encode([19, [1, 2], [], [], 0, bytes(64)]),
    "short record": msgspec.msgpack.encode([19, bytes(449), [], [], 0, bytes(64)]),
    "junk record": msgspec.msgpack.encode([19, b"\x01" * 450, [], [], 0, bytes(64)]),
    "other kind": encode(Stored("")),
    "invented ids": msgspec.msgpack.encode(
        [19, None, [], [b"x" * 20] * 8, 0, bytes(64)]
    ),
    "too long": bytes(60_000),
    "random": bytes(range(256)) * 4,
    "half": encode(Value(bytes(450), (), (), 0, bytes(64)))[:200],
    "voice of nobody": encode(Value(None, (), (), 0, bytes(64))),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_malformed_answers_break_no_look_up(new_world, shape):
    async def main():
        world = new_world(12, 2)
        users = [world.user() for _ in range(5)]
        await publish_all(world, users)
        for relay in world.members[::2]:
            world.links.tampers[relay.node_id] = lambda *_: SHAPES[shape]

        assert await look_all_up(world, users, world.plain[1]) == 5
        for relay in world.members[1::2]:
            world.links.tampers[relay.node_id] = lambda *_: SHAPES[shape]
        found, states = await look_up(
            [world.plain[0].circuits.open()],
            world.user().credential,
            world.registry,
            world.clock(),
        )
        assert found == []
        assert FoundState.RECORD not in states
        await world.close()

    in_simulation(main)


def test_records_of_other_keys_or_slots_in_an_answer_do_not_count(new_world):
    async def main():
        world = new_world(12, 2)
        alice, mallory = world.user(), world.user()
        await publish_all(world, [alice, mallory])
        today = period_at(world.clock())
        theirs = next(
            raw
            for relay in world.members
            for raw in relay.service.records.raw_records()
            if parsed(world, raw).head.blinded == mallory.day_key(today).blinded
        )

        def substitute(relay):
            def answer_falsely(peer, request, answer):
                message = decode_request(request)
                if isinstance(message, FindValue):
                    return value(relay, message, theirs, (0, 5, 0, 0))
                return answer

            return answer_falsely

        for relay in world.members:
            world.links.tampers[relay.node_id] = substitute(relay)

        gateway = world.plain[1]
        assert await look_all_up(world, [alice], gateway) == 0
        assert gateway.service.stats.records_bad["location"] > 0
        found, _ = await look_up(
            [gateway.circuits.open()],
            mallory.credential,
            world.registry,
            world.clock(),
            slot=1,
        )
        assert found == []
        assert gateway.service.stats.members_blamed["withheld"] > 0
        await world.close()

    in_simulation(main)


def test_answers_and_requests_fit_their_cells(new_world):
    async def main():
        world = new_world(12, 2)
        users = [world.user() for _ in range(3)]
        for slot in range(3):
            for user in users:
                await user.appear(
                    world.plain[0].circuits.open(),
                    world.plain[0].node_id,
                    world.clock(),
                    slot=slot,
                )
        await look_all_up(world, users, world.plain[1])

        assert 450 < world.links.longest <= 1_183
        await world.close()

    in_simulation(main)


def test_look_up_asks_eight_and_publishing_eight(new_world):
    async def main():
        world = new_world(30, 2)
        alice = world.user()
        before = world.links.requests
        await publish_all(world, [alice])
        after = world.links.requests
        assert after - before == 8

        await look_all_up(world, [alice], world.plain[1])
        await asyncio.sleep(1)
        assert world.links.requests - after == 8
        await world.close()

    in_simulation(main)


def test_member_that_is_no_longer_elected_is_left_alone_after_the_grace(new_world):
    async def main():
        world = new_world(12, 2)
        alice, (point, gateway) = world.user(), world.plain
        gone = world.members[0]
        world.registry.elected.discard(gone.node_id)
        world.registry.changed()
        await asyncio.sleep(2_000)

        stored = await alice.appear(point.circuits.open(), point.node_id, world.clock())

        assert stored == 8
        assert await look_all_up(world, [alice], gateway) == 1
        assert gone.service.records.raw_records() == []
        assert gone.service.stats.dht_requests == {}
        answer = await world.links.port(point.node_id).request(
            world.members[0].node_id,
            1,
            encode(FindValue(bytes(20), 255, bytes(16))),
            Seconds(1),
        )
        value = decode_answer(answer)
        assert isinstance(value, Value)
        assert dht_id(gone.node_id, TEST_NETWORK) not in value.nodes
        await world.close()

    in_simulation(main)


class TestAtAnElection:
    """Twelve of forty relays are elected, and twelve others after them."""

    def world(self, new_world):
        world = new_world(12, 28)
        world.old, world.new = world.members, world.plain[:12]
        world.point, world.gateway = world.plain[-2:]
        return world

    @staticmethod
    def elect(world):
        since = UnixTime(int(world.clock()))
        world.registry.elect([relay.node_id for relay in world.new], since)

    @staticmethod
    async def publish(world, user):
        circuit = world.point.circuits.open()
        return await user.appear(circuit, world.point.node_id, world.clock())

    def test_publications_go_to_both_lists_while_it_settles(self, new_world):
        async def main():
            world = self.world(new_world)
            self.elect(world)
            stored = [await self.publish(world, world.user())]
            holders = [len(relay.service.records) for relay in world.relays]
            await asyncio.sleep(180)
            stored.append(await self.publish(world, world.user()))
            await world.close()
            return stored, sum(holders[:12]), sum(holders[12:24])

        assert in_simulation(main) == ([16, 8], 8, 8)

    def test_publication_is_kept_when_no_elected_node_knows_of_it(self, new_world):
        async def main():
            world = self.world(new_world)
            world.links.dead |= {relay.node_id for relay in world.new}
            self.elect(world)
            stored = await self.publish(world, alice := world.user())
            world.links.dead.clear()
            await asyncio.sleep(10)
            world.links.dead |= {relay.node_id for relay in world.old}
            found = await look_all_up(world, [alice], world.gateway)
            await world.close()
            return stored, found

        assert in_simulation(main) == (8, 1)

    def test_look_up_asks_both_lists_for_the_grace(self, new_world):
        async def main():
            world = self.world(new_world)
            alice = world.user()
            await publish_all(world, [alice])
            self.elect(world)
            asked = []
            for pause in (0, 1_100, 200):
                await asyncio.sleep(pause)
                await self.publish(world, alice)
                await asyncio.sleep(21)
                before = world.links.requests
                assert await look_all_up(world, [alice], world.gateway) == 1
                await asyncio.sleep(1)
                asked.append(world.links.requests - before)
            await world.close()
            return asked

        assert in_simulation(main) == [16, 16, 8]

    def test_retiring_nodes_that_are_gone_cost_a_look_up_one_timeout(self, new_world):
        # They are waited for each time: who takes them for dead after an outage of its
        # own would believe those that were elected anew and have an older record.
        async def main():
            world = self.world(new_world)
            alice, loop = world.user(), asyncio.get_running_loop()
            self.elect(world)
            await self.publish(world, alice)
            world.links.dead |= {relay.node_id for relay in world.old}
            took = []
            for _ in range(4):
                start = loop.time()
                assert await look_all_up(world, [alice], world.gateway) == 1
                took.append(loop.time() - start)
                await asyncio.sleep(21)
            await world.close()
            return took

        assert max(in_simulation(main)) < 1.5

    def test_nobody_is_called_absent_whom_the_retiring_nodes_may_know(self, new_world):
        async def main():
            world = self.world(new_world)
            alice, nobody = world.user(), world.user()
            await publish_all(world, [alice])
            world.links.dead |= {relay.node_id for relay in world.old}
            self.elect(world)
            states = []
            for user in (alice, nobody):
                circuit = world.gateway.circuits.open()
                asked = look_up(
                    [circuit], user.credential, world.registry, world.clock()
                )
                states += (await asked)[1]
            world.links.dead.clear()
            circuit = world.gateway.circuits.open()
            asked = look_up([circuit], nobody.credential, world.registry, world.clock())
            states += (await asked)[1]
            await world.close()
            return states

        assert in_simulation(main) == [
            FoundState.COULD_NOT_ASK,
            FoundState.COULD_NOT_ASK,
            FoundState.NO_RECORD,
        ]

    def test_absence_is_known_though_no_elected_node_knows_of_its_election(
        self, new_world
    ):
        async def main():
            world = self.world(new_world)
            world.links.dead |= {relay.node_id for relay in world.new}
            self.elect(world)
            circuit = world.gateway.circuits.open()
            nobody = world.user().credential
            _, states = await look_up([circuit], nobody, world.registry, world.clock())
            await world.close()
            return states

        assert in_simulation(main) == [FoundState.NO_RECORD]


def test_stock_doors_are_shut(new_world):
    async def main():
        world = new_world(1, 1)
        for name in (
            "listen",
            "get",
            "set",
            "set_digest",
            "bootstrap",
            "bootstrap_node",
            "save_state",
            "save_state_regularly",
            "load_state",
            "refresh_table",
        ):
            assert hasattr(Server, name)
            with pytest.raises(LocalProtocolError):
                getattr(PresenceDht, name)(None, b"key", b"value")
        await world.close()

    in_simulation(main)
