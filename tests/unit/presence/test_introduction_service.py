"""Introductions, notices and collections over real request handlers."""

import pytest

from psp.netdoc.collection import sign_collection
from psp.netdoc.presence_inner import MAX_ENDPOINTS
from psp.netdoc.presence_keys import UserSigner
from psp.netdoc.registration import sign_registration
from psp.runtime.ports import RefusedError
from psp.testing.presence import TEST_NETWORK
from psp.testing.simloop import run_simulation
from psp.units import UnixTime
from psp.wire.cell import Reason
from psp.wire.mailboxes import Collected, MissedRequest, Noted, NotedStatus
from psp.wire.presence import (
    IntroduceRequest,
    IntroductionAnswer,
    IntroductionStatus,
    Registered,
)
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import Change

NOTICE = b"n" * 416
ABSENT = IntroductionAnswer(IntroductionStatus.ABSENT)
DAY = 86_400


class Scene:
    """One relay, and Alice, who registers with it."""

    def __init__(self, world):
        self.world = world
        self.alice = world.user()
        self.relay = world.plain[0]
        self.place = self.alice.place(self.relay.node_id)
        self.changes = []
        self.relay.service.point.on_tag_changed = lambda *change: self.changes.append(
            change[:2]
        )

    @property
    def tag(self):
        return self.place.tag

    async def register(self, circuit, lifetime=1_800):
        now = self.world.clock()
        day = self.alice.day_key(int(now // DAY))
        head = self.alice.head(day, now, lifetime=lifetime)
        data = sign_registration(
            self.alice.user_id,
            self.alice.identity,
            network=TEST_NETWORK,
            channel=circuit.peer.handshake_hash,
            head=head,
            place=self.place,
        )
        answer = await circuit.request(RelayCommand.REGISTER, data)
        return Registered.decode(answer)

    async def sign_off(self):
        circuit = self.relay.circuits.open()
        await self.register(circuit)
        agreed = await self.register(circuit, DAY)
        circuit.close()
        return agreed

    async def introduce(self, sealed=b"s" * 1_504, circuit=None):
        circuit = circuit or self.relay.circuits.open()
        data = IntroduceRequest(self.tag, sealed).encode()
        answer = await circuit.request(RelayCommand.INTRODUCE, data)
        return IntroductionAnswer.decode(answer)

    async def leave(self, notice=NOTICE, circuit=None):
        circuit = circuit or self.relay.circuits.open()
        data = MissedRequest(self.tag, notice).encode()
        return Noted.decode(await circuit.request(RelayCommand.MISSED, data))

    def collection(self, circuit, first=0):
        return sign_collection(
            UserSigner.by_identity(self.alice.identity),
            network=TEST_NETWORK,
            presence_point=self.relay.node_id,
            channel=circuit.peer.handshake_hash,
            tag=self.tag,
            issued=UnixTime(int(self.world.clock())),
            first=first,
        )

    async def collect(self, circuit, first=0):
        data = self.collection(circuit, first)
        return Collected.decode(await circuit.request(RelayCommand.COLLECT, data))


def play(new_world, main):
    async def run(_hub):
        world = new_world(3, 1)
        try:
            return await main(Scene(world))
        finally:
            await world.close()

    return run_simulation(run)


def test_who_has_signed_off_is_absent_and_keeps_a_mailbox(new_world):
    async def main(scene):
        agreed = await scene.sign_off()
        assert len(agreed.endpoints) == 0 <= MAX_ENDPOINTS
        answers = [await scene.introduce(), await scene.leave()]
        service = scene.relay.service
        return answers, service.tags_served, service.mailboxes.notices_held

    assert play(new_world, main) == ([ABSENT, Noted(NotedStatus.KEPT)], 0, 1)


def test_without_an_absence_there_is_no_mailbox(new_world):
    async def main(scene):
        circuit = scene.relay.circuits.open()
        await scene.register(circuit)
        here = await scene.leave()
        circuit.close()
        return here, await scene.introduce(), await scene.leave()

    nothing = Noted(NotedStatus.NO_SUCH_TAG)
    gone = IntroductionAnswer(IntroductionStatus.NO_SUCH_TAG)
    assert play(new_world, main) == (nothing, gone, nothing)


def test_the_owner_collects_over_a_circuit_of_its_own_and_once(new_world):
    async def main(scene):
        await scene.sign_off()
        await scene.leave()
        circuit = scene.relay.circuits.open()
        pages = [await scene.collect(circuit, first) for first in (0, 1)]
        with pytest.raises(RefusedError) as caught:
            await scene.collect(circuit)
        return pages, caught.value.reason, await scene.leave(b"m" * 416)

    pages, reason, later = play(new_world, main)

    assert pages == [Collected(1, (NOTICE,)), Collected(1, ())]
    assert reason is Reason.REFUSED
    assert later == Noted(NotedStatus.NO_SUCH_TAG)


def test_a_collection_that_was_overheard_is_worth_nothing_elsewhere(new_world):
    async def main(scene):
        await scene.sign_off()
        await scene.leave()
        mine, theirs = scene.relay.circuits.open(), scene.relay.circuits.open()
        data = scene.collection(mine)
        with pytest.raises(RefusedError):
            await theirs.request(RelayCommand.COLLECT, data)
        return (await scene.collect(mine)).total

    assert play(new_world, main) == 1


def test_watchers_are_told_of_every_turn_of_a_tag(new_world):
    async def main(scene):
        first, second = scene.relay.circuits.open(), scene.relay.circuits.open()
        await scene.register(first)
        await scene.register(first)
        await scene.register(second)
        await scene.register(second, DAY)
        await scene.register(second, DAY)
        second.close()
        await scene.collect(scene.relay.circuits.open())
        third = scene.relay.circuits.open()
        await scene.register(third)
        third.close()
        return scene.changes, scene.tag

    changes, tag = play(new_world, main)

    assert {told for told, _ in changes} == {tag}
    assert [change for _, change in changes] == [
        Change.MOVED,
        Change.ABSENT,
        Change.ABSENT,
        Change.BACK,
        Change.GONE,
    ]


def test_a_demand_of_work_lets_the_caller_come_again_over_its_circuit(new_world):
    async def main(scene):
        asked = []

        async def busy(command, data):
            asked.append(data)
            status = IntroductionStatus.WORK_NEEDED
            return IntroductionAnswer(status, 9).encode()

        await scene.register(scene.relay.circuits.open(busy))
        circuit = scene.relay.circuits.open()
        answers = [
            await scene.introduce(bytes([number]) * 1_504, circuit)
            for number in range(3)
        ]
        return answers, len(asked)

    answers, asked = play(new_world, main)

    wanted = IntroductionAnswer(IntroductionStatus.WORK_NEEDED, 9)
    assert answers == [wanted, wanted, IntroductionAnswer(IntroductionStatus.REFUSED)]
    assert asked == 2


def test_one_circuit_serves_an_introduction_or_a_notice(new_world):
    async def main(scene):
        await scene.sign_off()
        circuit = scene.relay.circuits.open()
        first = await scene.introduce(circuit=circuit)
        second = await scene.leave(circuit=circuit)
        circuit.close()
        return first, second

    assert play(new_world, main) == (ABSENT, Noted(NotedStatus.REFUSED))


def test_a_mailbox_ends_after_a_day(new_world):
    async def main(scene):
        await scene.sign_off()
        await scene.leave()
        scene.world.clock.jump(DAY + 1)
        service = scene.relay.service
        service.point.sweep(scene.world.clock())
        return await scene.leave(), service.mailboxes.notices_held, scene.changes[-1]

    noted, held, last = play(new_world, main)

    assert (noted, held) == (Noted(NotedStatus.NO_SUCH_TAG), 0)
    assert last[1] is Change.GONE
