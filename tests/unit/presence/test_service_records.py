"""Only records that parse are ever stored by presence services, or given."""

import asyncio
import random

from presence.dht.messages import Store, encode
from psp.netdoc.presence_record import RecordRefusedError, Refusal, location, parse
from psp.testing.presence import TEST_NETWORK, random_value
from psp.units import Seconds
from psp.wire.lookup import ANY_SLOT, Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand
from tests.unit.presence.rig import NONCE, appear, find, in_simulation


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
