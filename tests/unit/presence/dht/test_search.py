"""A look-up for a reader: voices, further slots, blame, paths (presence/dht/search.py)."""

import pytest

from presence.dht.findings import LookupResult
from presence.dht.messages import (
    FindValue,
    Refused,
    Value,
    decode_answer,
    decode_request,
    encode,
)
from presence.dht.reputation import Fault
from psp.netdoc import presence_record
from psp.netdoc.voice import Question, Voice
from psp.testing.presence import TEST_NETWORK
from psp.units import Seconds, UnixTime
from psp.wire.lookup import ANY_SLOT
from tests.unit.presence.rig import in_simulation

NONCE = b"n" * 16
LONG = Seconds(10.0)


async def appear(world, user, *slots):
    for slot in slots or (0,):
        relay = world.plain[slot]
        circuit = relay.circuits.open()
        await user.appear(circuit, relay.node_id, world.clock(), slot=slot)


def search_of(world, user, gateway=None):
    gateway = gateway or world.plain[-1]
    return gateway.service.dht.search(world.where(user), NONCE)


async def crawled(world, user, gateway=None) -> LookupResult:
    search = search_of(world, user, gateway)
    result: LookupResult = await search.crawl
    return result


def blamed(gateway):
    return dict(gateway.service.stats.members_blamed)


def holders(world, user):
    location = world.where(user)
    return [
        relay
        for relay in world.members
        if relay.service.records.held(location, world.clock())
    ]


def tell(world, relay, change):
    """Let a member answer FIND VALUE as ``change(message, honest value)`` says."""

    def tamper(asker, data, answer):
        message = decode_request(data)
        if not isinstance(message, FindValue):
            return answer
        return encode(change(message, decode_answer(answer)))

    world.links.tampers[relay.node_id] = tamper


def signed(relay, message, record, *claims):
    sequences = (*claims, 0, 0, 0, 0)[:4]
    question = Question(TEST_NETWORK, message.location, message.nonce)
    voice = Voice.of(relay.identity, question, 0, sequences)
    held = tuple((slot, claim) for slot, claim in enumerate(sequences) if claim)
    return Value(record, held, (), voice.time, voice.signature)


def test_eight_members_speak_and_every_voice_is_genuine(new_world):
    async def main():
        world = new_world(12, 4)
        alice = world.user()
        await appear(world, alice)

        result = await crawled(world, alice)

        question = Question(TEST_NETWORK, world.where(alice), NONCE)
        assert len(result.testimonies) == 8
        speakers = {r.node_id[:8]: r.node_id for r in world.members}
        for each in result.testimonies:
            node = speakers[each.voice.short_id]
            assert each.voice.is_of(node, question)
            assert each.voice.sequences == (alice.sequence, 0, 0, 0)
            assert each.record.head.sequence == alice.sequence
        await world.close()

    in_simulation(main)


def test_a_member_speaks_for_itself_when_it_is_the_gateway(new_world):
    async def main():
        world = new_world(3, 4)
        alice = world.user()
        await appear(world, alice)

        result = await crawled(world, alice, world.members[0])

        speakers = {each.voice.short_id for each in result.testimonies}
        assert speakers == {relay.node_id[:8] for relay in world.members}
        await world.close()

    in_simulation(main)


def test_further_slots_come_from_two_of_those_who_claim_them(new_world):
    async def main():
        world = new_world(12, 4)
        alice = world.user()
        await appear(world, alice, 0, 2)
        search = search_of(world, alice)
        await search.heard(LONG)
        asked = world.links.requests

        newest = await search.record(ANY_SLOT, LONG)
        first = await search.record(0, LONG)
        assert (newest.head.slot, first.head.slot) == (2, 0)
        assert world.links.requests == asked + 2
        assert await search.record(0, LONG) is first
        assert await search.record(1, LONG) is None
        assert world.links.requests == asked + 2
        await world.close()

    in_simulation(main)


def test_invented_claims_do_not_keep_a_slot_from_the_reader(new_world):
    async def main():
        world = new_world(12, 4)
        alice = world.user()
        await appear(world, alice, 0, 2)
        liars = holders(world, alice)[:3]
        for number, relay in enumerate(liars):
            tell(
                world,
                relay,
                lambda message, honest, relay=relay, n=number: signed(
                    relay, message, honest.record, 2**62 + n, 0, alice.sequence
                ),
            )
        search = search_of(world, alice)
        await search.heard(LONG)

        first = await search.record(0, LONG)

        assert first.head.slot == 0
        assert blamed(world.plain[-1])[Fault.WITHHELD] >= 1
        await world.close()

    in_simulation(main)


def test_whoever_signs_for_what_it_does_not_give_is_doubted(new_world):
    async def main():
        world = new_world(12, 4)
        alice, gateway = world.user(), world.plain[-1]
        await appear(world, alice)
        liar = holders(world, alice)[0]
        tell(
            world,
            liar,
            lambda message, honest: signed(liar, message, None, alice.sequence),
        )

        await crawled(world, alice)
        assert blamed(gateway) == {Fault.WITHHELD: 1}
        result = await crawled(world, alice)

        # It is asked beside the eight, and has no say in there being no record.
        assert result.answered == 9
        assert result.doubted == 1
        assert [each.is_doubted for each in result.testimonies].count(True) == 1
        await world.close()

    in_simulation(main)


@pytest.mark.parametrize(
    "junk",
    [
        lambda relay, message, honest: signed(relay, message, b"\x01" * 450, 5),
        lambda relay, message, honest: Value(None, (), (), 0, bytes(64)),
        lambda relay, message, honest: Value(
            honest.record, ((0, 1),), (), honest.time, honest.signature
        ),
    ],
    ids=["no record", "no voice", "another's claim"],
)
def test_junk_is_blamed(new_world, junk):
    async def main():
        world = new_world(12, 4)
        alice = world.user()
        await appear(world, alice)
        relay = holders(world, alice)[0]
        tell(world, relay, lambda message, honest: junk(relay, message, honest))

        await crawled(world, alice)

        assert blamed(world.plain[-1]) == {Fault.FORGED: 1}
        await world.close()

    in_simulation(main)


@pytest.mark.parametrize(("age", "expected"), [(50, {}), (70, {Fault.STALE: 1})])
def test_whoever_is_behind_for_a_minute_is_blamed(new_world, age, expected):
    async def main():
        world = new_world(12, 4)
        alice = world.user()
        await appear(world, alice)
        holders(world, alice)[0].service.records.clear()
        world.clock.jump(Seconds(age))

        await crawled(world, alice)

        assert blamed(world.plain[-1]) == expected
        await world.close()

    in_simulation(main)


def test_nobody_is_blamed_for_a_clock_that_differs(new_world):
    # For the gateway, whose clock is slow, the record is of the future.
    async def main():
        world = new_world(12, 4)
        alice = world.user()
        await appear(world, alice)
        gateway = world.plain[-1]
        for part in (gateway.service, gateway.service.dht):
            part._unix_time = lambda: world.clock() - 300

        result = await crawled(world, alice)

        assert result.record is None
        assert gateway.service.stats.records_bad["future"] == 1
        assert blamed(gateway) == {}
        await world.close()

    in_simulation(main)


def test_nobody_is_blamed_for_a_day_that_the_gateway_does_not_know_yet(new_world):
    async def main():
        world = new_world(12, 4)
        alice = world.user()
        await appear(world, alice)
        gateway = world.plain[-1]
        dht = gateway.service.dht

        def parse(raw, location):
            return presence_record.parse(
                raw,
                network=TEST_NETWORK,
                random_value=lambda _: None,
                unix_now=world.clock(),
                expected_location=location,
            )

        dht._parse = parse
        result = await crawled(world, alice)

        assert result.record is None
        assert gateway.service.stats.records_bad["unknown_day"] == 1
        assert blamed(gateway) == {}
        await world.close()

    in_simulation(main)


def test_doubted_members_are_not_enough_for_there_being_no_record(new_world):
    async def main():
        world = new_world(12, 4)
        nobody, gateway = world.user(), world.plain[-1]
        result = await crawled(world, nobody)
        dht = gateway.service.dht
        assert dht.is_heard(result)

        for each in world.members:
            contact = dht._members.contact_of(each.node_id)
            dht.protocol.blame(contact.id, Fault.FORGED)
        assert not dht.is_heard(await crawled(world, nobody))
        await world.close()

    in_simulation(main)


def test_a_doubted_member_is_given_records_beside_the_eight(new_world):
    async def main():
        world = new_world(12, 4)
        alice, point = world.user(), world.plain[0]
        await appear(world, alice)
        doubted = holders(world, alice)[0]
        contact = point.service.dht._members.contact_of(doubted.node_id)
        point.service.dht.protocol.blame(contact.id, Fault.FORGED)

        await appear(world, alice)

        newest = [
            relay
            for relay in world.members
            if (held := relay.service.records.held(world.where(alice), world.clock()))
            and held[0].sequence == alice.sequence
        ]
        assert len(newest) == 9
        assert doubted in newest
        await world.close()

    in_simulation(main)


def test_with_an_old_list_three_disjoint_paths_are_followed(new_world):
    async def main():
        world = new_world(40, 4)
        alice = world.user()
        await appear(world, alice)
        asked = []
        for relay in world.members:

            def note(asker, data, answer, relay=relay):
                if isinstance(decode_request(data), FindValue):
                    asked.append(relay.node_id)
                return answer

            world.links.tampers[relay.node_id] = note
        world.registry.expires = UnixTime(int(world.clock()))

        result = await crawled(world, alice)

        assert result.record.head.sequence == alice.sequence
        assert result.holders == 8
        assert len(asked) == len(set(asked)) == 24
        assert len(result.testimonies) == 24
        await world.close()

    in_simulation(main)


def test_a_list_that_has_changed_much_is_still_searched_along_three_paths(new_world):
    # Seven of the eight nearest of the old list are no members any more.
    async def main():
        world = new_world(40, 4)
        alice = world.user()
        await appear(world, alice)
        gone = holders(world, alice)[:7]
        for relay in gone:
            world.links.tampers[relay.node_id] = lambda *_: encode(
                Refused("not_member")
            )
        world.registry.expires = UnixTime(int(world.clock()))

        result = await crawled(world, alice)

        assert result.record.head.sequence == alice.sequence
        await world.close()

    in_simulation(main)
