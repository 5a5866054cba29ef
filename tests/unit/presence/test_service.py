"""Users appear, are found and go, as in SPEC.md §6 (presence/service.py)."""

import asyncio

import pytest

from psp.crypto.blinding import Credential
from psp.testing.presence import look_up
from psp.units import Seconds
from psp.wire.lookup import FoundState
from tests.unit.presence.rig import appear, find, in_simulation


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
