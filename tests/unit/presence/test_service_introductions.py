"""A user who was found is rung through its presence point, as in SPEC.md §7."""

import pytest

from psp.ids import Cookie
from psp.netdoc.introduction import Introduction, open_introduction, seal_introduction
from psp.netdoc.ticket import NO_TICKET
from psp.testing.presence import TEST_NETWORK
from psp.units import UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.presence import IntroduceRequest, IntroductionAnswer, IntroductionStatus
from psp.wire.relay_message import RelayCommand
from tests.unit.presence.rig import appear, find, in_simulation


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
