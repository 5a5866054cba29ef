"""Answering LOOKUP (presence/gateway_service.py); limits: test_service_lookups.py."""

from psp.netdoc.voice import Question, Voice
from psp.testing.presence import TEST_NETWORK
from psp.wire.lookup import ANY_SLOT, Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand
from tests.unit.presence.rig import in_simulation

NONCE = b"n" * 16


async def look_up(world, user, gateway, slot=ANY_SLOT, circuit=None):
    circuit = circuit or gateway.circuits.open()
    request = LookupRequest(world.where(user), slot, NONCE).encode()
    return Found.decode(await circuit.request(RelayCommand.LOOKUP, request))


def check_voices(world, user, found, *sequences):
    question = Question(TEST_NETWORK, world.where(user), NONCE)
    members = {relay.node_id[:8]: relay.node_id for relay in world.members}
    voices = [Voice.decode(each) for each in found.voices]
    assert len({voice.short_id for voice in voices}) == 6
    assert all(voice.is_of(members[voice.short_id], question) for voice in voices)
    assert {voice.sequences for voice in voices} == {sequences}


def test_six_genuine_voices_come_with_the_record_and_with_its_absence(new_world):
    async def main():
        world = new_world(12, 2)
        alice, nobody = world.user(), world.user()
        relay = world.plain[0]
        await alice.appear(relay.circuits.open(), relay.node_id, world.clock())

        found = await look_up(world, alice, world.plain[1])
        assert found.state is FoundState.RECORD
        check_voices(world, alice, found, alice.sequence, 0, 0, 0)

        found = await look_up(world, nobody, world.plain[1])
        assert found.state is FoundState.NO_RECORD
        check_voices(world, nobody, found, 0, 0, 0, 0)
        await world.close()

    in_simulation(main)


def test_who_cannot_ask_says_so_and_has_no_voices(new_world):
    async def main():
        world = new_world(12, 2)
        world.links.dead |= {relay.node_id for relay in world.members}

        found = await look_up(world, world.user(), world.plain[1])

        assert found == Found(FoundState.COULD_NOT_ASK)
        await world.close()

    in_simulation(main)


def test_a_slot_asked_for_at_once_waits_for_the_crawl(new_world):
    async def main():
        world = new_world(12, 3)
        alice = world.user()
        for slot in range(2):
            relay = world.plain[slot]
            await alice.appear(
                relay.circuits.open(), relay.node_id, world.clock(), slot=slot
            )
        world.links.latency = lambda: 0.05

        found = await look_up(world, alice, world.plain[2], slot=0)

        assert found.record[1] == 0
        assert world.plain[2].service.stats.lookups == {"record": 1}
        await world.close()

    in_simulation(main)
