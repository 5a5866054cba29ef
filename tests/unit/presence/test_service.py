"""Whole presence: users appear, are found, are rung, and go, as in SPEC.md §6 and §7."""

import asyncio
import random

import pytest

from presence.config import GatewayConfig, PointConfig, PresenceConfig
from presence.dht.messages import Store, encode
from psp.crypto.blinding import Credential
from psp.ids import Cookie
from psp.netdoc.introduction import (
    Introduction,
    open_introduction,
    seal_introduction,
)
from psp.netdoc.presence_record import (
    RecordRefusedError,
    Refusal,
    location,
    parse,
)
from psp.netdoc.ticket import NO_TICKET
from psp.runtime.ports import RefusedError
from psp.testing.presence import TEST_NETWORK, look_up, random_value
from psp.units import Seconds, UnixTime
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.lookup import ANY_SLOT, Found, FoundState, LookupRequest
from psp.wire.presence import IntroduceRequest, IntroductionAnswer, IntroductionStatus
from psp.wire.relay_message import RelayCommand
from tests.unit.presence.rig import in_simulation

NONCE = b"n" * 16


async def appear(world, user, relay, **settings):
    circuit = relay.circuits.open(settings.pop("answering", None))
    stored = await user.appear(circuit, relay.node_id, world.clock(), **settings)
    return circuit, stored


async def find(world, user, *gateways, credential=None, **settings):
    circuits = [gateway.circuits.open() for gateway in gateways]
    return await look_up(
        circuits,
        credential or user.credential,
        world.registry,
        world.clock(),
        **settings,
    )


@pytest.mark.parametrize("shuffle", [False, True])
def test_user_who_appears_is_found_through_any_relay(new_world, shuffle):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]

        _, stored = await appear(world, alice, point)
        found, states = await find(world, alice, world.plain[1], world.members[0])

        assert stored == 8
        assert states == [FoundState.RECORD] * 2
        place = found[0].place
        assert place.node_id == point.node_id
        assert place.endpoints == world.registry.node(point.node_id).endpoints
        assert not found[0].is_absence
        await world.close()

    in_simulation(main, shuffle=shuffle)


def test_member_may_be_presence_point_and_gateway_at_once(new_world):
    async def main():
        world = new_world(1, 0)
        alice, only = world.user(), world.relays[0]

        _, stored = await appear(world, alice, only)
        found, states = await find(world, alice, only)

        assert stored == 1
        assert states == [FoundState.RECORD]
        assert len(found) == 1
        await world.close()

    in_simulation(main)


def test_without_the_secret_a_contacts_user_is_not_found(new_world):
    async def main():
        world = new_world()
        alice, carol = world.user(), world.user(is_public=True)
        for user in (alice, carol):
            await appear(world, user, world.plain[0])

        for user, expected in ((alice, 0), (carol, 1)):
            stranger = Credential.derive(user.user_id)
            found, _ = await find(world, user, world.plain[1], credential=stranger)
            assert len(found) == expected
        await world.close()

    in_simulation(main)


def test_absence_and_not_knowing_are_told_apart(new_world):
    async def main():
        world = new_world()
        nobody = world.user()

        _, states = await find(world, nobody, world.plain[0], world.members[0])
        assert states == [FoundState.NO_RECORD] * 2

        world.links.dead |= {relay.node_id for relay in world.members}
        _, states = await find(world, nobody, world.plain[0])
        assert states == [FoundState.COULD_NOT_ASK]
        world.links.dead -= {relay.node_id for relay in world.members[:2]}
        _, states = await find(world, nobody, world.plain[1])
        assert states == [FoundState.COULD_NOT_ASK]
        await world.close()

    in_simulation(main)


def test_network_without_members_cannot_be_asked(new_world):
    async def main():
        world = new_world(0, 2)
        alice = world.user()

        _, stored = await appear(world, alice, world.plain[0])
        _, states = await find(world, alice, world.plain[1])

        assert stored == 0
        assert states == [FoundState.COULD_NOT_ASK]
        await world.close()

    in_simulation(main)


def test_user_who_vanishes_is_gone_within_half_an_hour(new_world):
    async def main():
        world = new_world()
        alice = world.user()
        circuit, _ = await appear(world, alice, world.plain[0])
        circuit.close()

        world.clock.jump(Seconds(1_799))
        found, _ = await find(world, alice, world.plain[1])
        assert len(found) == 1
        world.clock.jump(Seconds(2))
        found, states = await find(world, alice, world.plain[1])

        assert found == []
        assert states == [FoundState.NO_RECORD]
        await asyncio.sleep(120)
        assert sum(len(relay.service.records) for relay in world.relays) == 0
        await world.close()

    in_simulation(main)


def test_signed_absence_replaces_the_record_and_outlives_it(new_world):
    async def main():
        world = new_world()
        alice, relay = world.user(), world.plain[0]
        circuit, _ = await appear(world, alice, relay)
        await alice.appear(circuit, relay.node_id, world.clock(), lifetime=8 * 3_600)

        world.clock.jump(Seconds(7 * 3_600))
        found, _ = await find(world, alice, world.plain[1])

        assert [presence.is_absence for presence in found] == [True]
        assert found[0].place.node_id == relay.node_id
        await world.close()

    in_simulation(main)


def test_three_slots_are_found_one_by_one_and_the_newest_by_default(new_world):
    async def main():
        world = new_world(12, 4)
        alice = world.user()
        for slot in range(3):
            await appear(world, alice, world.plain[slot], slot=slot)

        gateway = world.plain[3]
        newest, _ = await find(world, alice, gateway)
        each = [await find(world, alice, gateway, slot=slot) for slot in range(3)]

        assert newest[0].head.slot == 2
        assert [found[0].place.node_id for found, _ in each] == [
            world.plain[slot].node_id for slot in range(3)
        ]
        await world.close()

    in_simulation(main)


@pytest.mark.parametrize("offset", [-1_000, -60, -1, 0, 30, 119])
@pytest.mark.parametrize("reader_skew", [-100, 100])
def test_user_is_found_on_both_sides_of_midnight(new_world, offset, reader_skew):
    async def main():
        world = new_world()
        alice = world.user()
        world.clock.jump(Seconds(43_200 + offset))
        await appear(world, alice, world.plain[0])

        circuit = world.plain[1].circuits.open()
        found, _ = await look_up(
            [circuit], alice.credential, world.registry, world.clock() + reader_skew
        )

        assert len(found) == 1
        await world.close()

    in_simulation(main)


def test_user_stays_reachable_all_night_by_renewing_every_ten_minutes(new_world):
    async def main():
        world = new_world()
        alice, relay = world.user(), world.plain[0]
        place = alice.place(relay.node_id)
        circuit = relay.circuits.open()
        world.clock.jump(Seconds(43_200 - 3_600))

        for _ in range(18):
            await alice.appear(circuit, relay.node_id, world.clock(), place=place)
            await asyncio.sleep(600)
            found, _ = await find(world, alice, world.plain[1])
            assert found[0].place.tag == place.tag
        assert relay.service.tags_served == 1
        await world.close()

    in_simulation(main)


def introduction_for(alice, presence, world):
    introduction = Introduction(
        UnixTime(int(world.clock()) + 60),
        world.plain[1].node_id,
        Endpoint("192.0.2.9", 443),
        Cookie(b"c" * 20),
        NO_TICKET,
        world.entropy.token(1_232),
    )
    place = presence.place
    sealed = seal_introduction(
        introduction,
        place.contact_key,
        network=TEST_NETWORK,
        presence_point=place.node_id,
    )
    return introduction, IntroduceRequest(place.tag, sealed).encode()


def test_introduction_reaches_the_callee_who_alone_can_read_it(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        heard = []

        async def answering(command, data):
            heard.append((command, IntroduceRequest.decode(data)))
            return IntroductionAnswer(IntroductionStatus.DELIVERED).encode()

        await appear(world, alice, point, answering=answering)
        found, _ = await find(world, alice, world.plain[1])
        introduction, data = introduction_for(alice, found[0], world)

        answer = await point.circuits.open().request(RelayCommand.INTRODUCE, data)

        assert IntroductionAnswer.decode(answer).status is IntroductionStatus.DELIVERED
        command, request = heard[0]
        assert command is RelayCommand.INTRODUCTION
        opened = open_introduction(
            request.sealed,
            alice.contact_private,
            network=TEST_NETWORK,
            presence_point=point.node_id,
        )
        assert opened == introduction
        await world.close()

    in_simulation(main)


def test_replayed_introduction_does_not_reach_the_callee_again(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        heard = []

        async def answering(command, data):
            heard.append(data)
            return IntroductionAnswer(IntroductionStatus.DELIVERED).encode()

        await appear(world, alice, point, answering=answering)
        found, _ = await find(world, alice, world.plain[1])
        _, data = introduction_for(alice, found[0], world)

        answers = [
            await point.circuits.open().request(RelayCommand.INTRODUCE, data)
            for _ in range(3)
        ]

        assert answers == [b"\x00\x00", b"\x03\x00", b"\x03\x00"]
        assert len(heard) == 1
        assert point.service.stats.introductions == {"delivered": 1, "refused": 2}
        await world.close()

    in_simulation(main)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"\x00\x00", IntroductionStatus.DELIVERED),
        (b"\x02\x00", IntroductionStatus.BUSY),
        (b"\x03\x00", IntroductionStatus.REFUSED),
        (None, IntroductionStatus.BUSY),
        (b"", IntroductionStatus.REFUSED),
        (b"\x04\x08", IntroductionStatus.WORK_NEEDED),
        (b"\x09\x00", IntroductionStatus.REFUSED),
        (b"junk", IntroductionStatus.REFUSED),
    ],
)
def test_callees_answer_is_passed_on_if_it_is_one(new_world, answer, status):
    async def main():
        world = new_world(4, 2)
        alice, point = world.user(), world.plain[0]

        async def answering(command, data):
            return answer

        await appear(world, alice, point, answering=answering)
        found, _ = await find(world, alice, world.plain[1])
        _, data = introduction_for(alice, found[0], world)

        told = await point.circuits.open().request(RelayCommand.INTRODUCE, data)

        assert IntroductionAnswer.decode(told).status is status
        await world.close()

    in_simulation(main)


def test_introduction_after_the_callees_circuit_closed_finds_no_tag(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        circuit, _ = await appear(world, alice, point)
        found, _ = await find(world, alice, world.plain[1])
        circuit.close()
        _, data = introduction_for(alice, found[0], world)

        answer = await point.circuits.open().request(RelayCommand.INTRODUCE, data)

        assert (
            IntroductionAnswer.decode(answer).status is IntroductionStatus.NO_SUCH_TAG
        )
        await world.close()

    in_simulation(main)


def test_registration_and_record_are_refused_over_another_circuit(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        good, bad = point.circuits.open(), point.circuits.open()
        stolen = []

        class Tap:
            peer = good.peer

            async def request(self, command, data):
                stolen.append((command, data))
                return await good.request(command, data)

        await alice.appear(Tap(), point.node_id, world.clock())

        for command, data in stolen:
            with pytest.raises(RefusedError) as caught:
                await bad.request(command, data)
            assert caught.value.reason is Reason.REFUSED
        for command, data in stolen[:1]:
            elsewhere = world.plain[1].circuits.open()
            with pytest.raises(RefusedError):
                await elsewhere.request(command, data)
        await world.close()

    in_simulation(main)


def test_agreed_head_over_a_forged_record_is_not_published(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        circuit = point.circuits.open()

        class Forge:
            peer = circuit.peer

            async def request(self, command, data):
                if command is RelayCommand.PUBLISH:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                return await circuit.request(command, data)

        with pytest.raises(RefusedError):
            await alice.appear(Forge(), point.node_id, world.clock())

        assert point.service.stats.publications_refused == {"signature": 1}
        assert sum(len(relay.service.records) for relay in world.relays) == 0
        await world.close()

    in_simulation(main)


def test_limits_of_registration_are_told_as_limits(new_world):
    async def main():
        limits = PointConfig(registrations_per_minute=1)
        world = new_world(3, 1, config=PresenceConfig(point=limits))
        alice, point = world.user(), world.plain[0]
        circuit, _ = await appear(world, alice, point)

        with pytest.raises(RefusedError) as caught:
            await alice.appear(circuit, point.node_id, world.clock())

        assert caught.value.reason is Reason.RESOURCE_LIMIT
        await world.close()

    in_simulation(main)


def test_malformed_look_up_is_refused(new_world):
    async def main():
        world = new_world(3, 1)
        circuit = world.plain[0].circuits.open()

        for data in (b"", bytes(20), bytes(20) + b"\x03", bytes(22)):
            with pytest.raises(RefusedError) as caught:
                await circuit.request(RelayCommand.LOOKUP, data)
            assert caught.value.reason is Reason.PROTOCOL

        assert world.plain[0].service.stats.requests_bad == 4
        await world.close()

    in_simulation(main)


def test_circuit_that_looks_up_too_often_is_refused_until_it_closes(new_world):
    async def main():
        limits = GatewayConfig(lookups_per_circuit=2)
        world = new_world(3, 1, config=PresenceConfig(gateway=limits))
        circuit = world.plain[0].circuits.open()
        request = LookupRequest(bytes(20), ANY_SLOT, NONCE).encode()

        for _ in range(2):
            await circuit.request(RelayCommand.LOOKUP, request)
        with pytest.raises(RefusedError) as caught:
            await circuit.request(RelayCommand.LOOKUP, request)

        assert caught.value.reason is Reason.RESOURCE_LIMIT
        await world.close()

    in_simulation(main)


def test_look_ups_under_way_are_bounded_and_shared(new_world):
    async def main():
        limits = GatewayConfig(max_lookups=1)
        world = new_world(3, 1, config=PresenceConfig(gateway=limits))
        world.links.latency = lambda: 0.05
        one, other = (world.plain[0].circuits.open() for _ in range(2))
        ask = [
            circuit.request(
                RelayCommand.LOOKUP, LookupRequest(bytes(20), ANY_SLOT, NONCE).encode()
            )
            for circuit in (one, one, other)
        ]

        answers = await asyncio.gather(*ask, return_exceptions=True)

        assert [type(answer) for answer in answers] == [bytes, bytes, RefusedError]
        assert world.links.requests == 3
        await world.close()

    in_simulation(main)


def test_every_nonce_is_looked_up_anew(new_world):
    async def main():
        world = new_world()
        alice, gateway = world.user(), world.plain[1]
        await appear(world, alice, world.plain[0])

        await find(world, alice, gateway)
        asked = world.links.requests
        await alice.appear(
            world.plain[0].circuits.open(), world.plain[0].node_id, world.clock()
        )
        found, _ = await find(world, alice, gateway)

        assert found[0].head.sequence == alice.sequence
        assert world.links.requests >= asked + 8
        await world.close()

    in_simulation(main)


def test_requests_of_one_circuit_under_one_nonce_are_one_search(new_world):
    async def main():
        world = new_world()
        alice = world.user()
        for slot in range(3):
            await appear(world, alice, world.plain[0], slot=slot)
        circuit = world.plain[1].circuits.open()
        where = world.where(alice)
        asked = world.links.requests

        answers = [
            Found.decode(
                await circuit.request(
                    RelayCommand.LOOKUP, LookupRequest(where, slot, NONCE).encode()
                )
            )
            for slot in (ANY_SLOT, 0, 1, 2, 3)
        ]

        slots = [answer.record[1] for answer in answers[:4]]
        assert slots == [2, 0, 1, 2]
        assert answers[4].state is FoundState.NO_RECORD
        # A crawl, and two members for each further slot that voices claim.
        assert world.links.requests == asked + 8 + 2 * 2
        await world.close()

    in_simulation(main)


def test_first_answer_does_not_wait_for_slow_members(new_world):
    async def main():
        world = new_world(20, 2)
        alice = world.user()
        await appear(world, alice, world.plain[0])
        dice = random.Random(1)
        world.links.latency = lambda: dice.choice([0.02] * 12 + [0.4])

        loop = asyncio.get_running_loop()
        times = []
        for _ in range(20):
            await asyncio.sleep(30)
            start = loop.time()
            found, _ = await find(world, alice, world.plain[1])
            assert len(found) == 1
            times.append(loop.time() - start)

        assert sorted(times)[10] < 0.4
        assert max(times) <= 2.5
        await world.close()

    in_simulation(main)


def test_everything_slow_is_answered_before_the_asker_gives_up(new_world):
    async def main():
        world = new_world(20, 2)
        world.links.latency = lambda: 0.6
        loop = asyncio.get_running_loop()
        start = loop.time()

        _, states = await find(world, world.user(), world.plain[1])

        assert states == [FoundState.COULD_NOT_ASK]
        assert loop.time() - start <= 2.5
        await world.close()

    in_simulation(main)


def test_revoked_user_cannot_renew(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        circuit, _ = await appear(world, alice, point)
        world.registry.users.clear()

        with pytest.raises(RefusedError):
            await alice.appear(circuit, point.node_id, world.clock())
        await world.close()

    in_simulation(main)


def test_nothing_ended_older_or_unsigned_is_ever_stored_or_given(new_world):
    # Hours of a random life, with records replayed by anybody at any time.
    async def main():
        world = new_world(12, 3, seed=5)
        dice = random.Random(5)
        users = [world.user() for _ in range(4)]
        past = []
        for _ in range(60):
            world.clock.jump(Seconds(dice.uniform(1, 900)))
            user, relay = dice.choice(users), dice.choice(world.plain)
            circuit, _ = await appear(world, user, relay, slot=dice.randrange(3))
            circuit.close()
            for each in world.relays:
                past += each.service.records.raw_records()[:1]
            await replay(world, dice, past)
            check_stores(world)
            found, _ = await find(world, user, dice.choice(world.relays))
            now = world.clock()
            assert all(presence.head.expires > now for presence in found)
            assert found
            assert found[0].head.sequence == user.sequence
            await asyncio.sleep(21)
        await world.close()

    in_simulation(main)


async def replay(world, dice, past):
    """Offer old, cut and changed records to members, as a registered relay can."""
    port = world.links.port(world.plain[0].node_id)
    for raw in dice.sample(past, min(len(past), 5)):
        changed = bytearray(raw)
        changed[dice.randrange(450)] ^= 1 << dice.randrange(8)
        for data in (raw, bytes(changed)):
            member = dice.choice(world.members)
            where = dice.choice([location_of(data), bytes(20)])
            request = encode(Store(where, data))
            await port.request(member.node_id, 1, request, Seconds(1))


def location_of(data):
    period = int.from_bytes(data[2:6])
    return location(data[6:38], period, random_value(period))


def check_stores(world):
    newest: dict[tuple[bytes, int], int] = {}
    for relay in world.relays:
        for raw in relay.service.records.raw_records():
            try:
                outer = parse(
                    raw,
                    network=TEST_NETWORK,
                    random_value=random_value,
                    unix_now=world.clock(),
                )
            except RecordRefusedError as refused:
                # Ended ones may lie until the next sweep; they are never given out.
                assert refused.reason is Refusal.EXPIRED  # noqa: PT017
                continue
            key = (outer.location, outer.head.slot)
            newest[key] = max(newest.get(key, 0), outer.head.sequence)
    assert newest


def test_found_is_only_ever_what_parses(new_world):
    async def main():
        world = new_world()
        alice = world.user()
        await appear(world, alice, world.plain[0])
        outer = next(
            raw for m in world.members for raw in m.service.records.raw_records()
        )
        request = LookupRequest(location_of(outer), ANY_SLOT, NONCE).encode()

        answer = (
            await world.plain[1].circuits.open().request(RelayCommand.LOOKUP, request)
        )

        found = Found.decode(answer)
        assert found.state is FoundState.RECORD
        assert found.record == outer
        await world.close()

    in_simulation(main)
