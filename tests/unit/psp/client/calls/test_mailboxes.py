"""Collecting notices: all of them, once, whatever a mailbox makes up."""

import asyncio
from functools import partial
from typing import cast

import pytest

from psp.client.announcing.registration import new_registration
from psp.client.calls.mailboxes import Mailboxes
from psp.client.calls.missed_calls import MissedCalls
from psp.client.circuit import Circuit, RequestError
from psp.client.identities.identity import ClientIdentity
from psp.client.sealed_file import SealedFile
from psp.crypto.kdf import Label
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_public
from psp.ids import NodeId
from psp.netdoc.collection import Collection
from psp.netdoc.missed_call import Mailbox, seal_notice
from psp.netdoc.presence_keys import UserSigner
from psp.path.selection import Purpose
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import MemoryRegistry
from psp.units import UnixTime
from psp.wire.cell import Reason
from psp.wire.mailboxes import NOTICES_AT_ONCE, Collected
from psp.wire.relay_message import RelayCommand
from tests.unit.psp.client.calls.rig import simulate_with

NODES = [
    NodeId(SigningKey.generate(SeededEntropy(f"node {number}")).public)
    for number in range(4)
]
ALICE = ClientIdentity.generate(SeededEntropy("alice"), "Alice")
BOB = UserSigner.by_identity(SigningKey.generate(SeededEntropy("bob")))


class Rig:
    """Alice's mailboxes; what lies in them is in `notices`, by point."""

    def __init__(self, hub, missed=None):
        self.hub = hub
        self.registry = MemoryRegistry(NODES, NODES[:2])
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.context = client_context(hub, self.registry)
        self.missed = missed or MissedCalls()
        builder = self.builder.as_builder()
        self.mailboxes = Mailboxes(self.context, builder, ALICE, self.missed)
        self.notices: dict[NodeId, list[bytes]] = {}
        self.failures: dict[NodeId, Reason] = {}
        self.asked: list[Collection] = []
        self.lie = None

    async def _answer(self, circuit, command, data):
        assert command is RelayCommand.COLLECT
        point = circuit.path[-1].node_id
        collection = Collection.decode(data)
        assert collection.channel == circuit.handshake_hash
        assert collection.is_signed(self.registry.network, self.hub.unix_time())
        self.asked.append(collection)
        if point in self.failures:
            raise RequestError(command, self.failures[point])
        if self.lie is not None:
            return self.lie
        notices = self.notices.get(point, [])
        page = notices[collection.first : collection.first + NOTICES_AT_ONCE]
        return Collected(len(notices), tuple(page)).encode()

    def leave_behind(self, number):
        """Sign off at a point; come back."""
        circuit = MemoryClientCircuit(
            Purpose.REGISTRATION, self.registry.nodes()[NODES[number]], self._answer
        )
        registration = new_registration(self.context, 0, cast("Circuit", circuit))
        self.mailboxes.left(registration, 3_600)
        self.mailboxes.is_away = False
        return registration

    def notice(self, registration, text="hi", *, point=None):
        mailbox = Mailbox(
            self.registry.network,
            point or registration.point.node_id,
            x25519_public(registration.contact_private),
            registration.tag,
        )
        return seal_notice(
            mailbox,
            text=text,
            time=UnixTime(int(self.hub.unix_time())),
            caller=BOB.user_id,
            sign=lambda data: (BOB.grant, BOB.sign(data)),
        )


simulate = partial(simulate_with, Rig)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 16])
def test_a_mailbox_is_emptied_page_by_page_and_then_let_go(count):
    async def main(rig):
        registration = rig.leave_behind(0)
        texts = [f"call {number}" for number in range(count)]
        rig.notices = {NODES[0]: [rig.notice(registration, text) for text in texts]}
        calls = await rig.mailboxes.collect()
        assert sorted(call.text for call in calls) == sorted(texts)
        assert {call.caller for call in calls} <= {BOB.user_id}
        assert await rig.mailboxes.collect() == ()
        return [collection.first for collection in rig.asked]

    asked = simulate(main)

    # The last one says that all was had; an empty mailbox needs no second word.
    assert asked == [*range(0, count, 2), count] if count else asked == [0]


def test_the_same_notice_in_two_mailboxes_is_one_call():
    async def main(rig):
        for number in range(2):
            registration = rig.leave_behind(number)
            rig.notices[NODES[number]] = [rig.notice(registration)]
        await rig.mailboxes.collect()
        return [call.text for call in rig.missed.list()]

    assert simulate(main) == ["hi"]


def test_forged_notices_are_dropped_and_the_genuine_one_is_not():
    async def main(rig):
        registration = rig.leave_behind(0)
        rig.notices = {
            NODES[0]: [
                bytes(416),
                rig.notice(registration, "from elsewhere", point=NODES[1]),
                rig.notice(registration, "genuine"),
            ]
        }
        return [call.text for call in await rig.mailboxes.collect()]

    assert simulate(main) == ["genuine"]


@pytest.mark.parametrize(
    "lie",
    [
        b"",
        b"\xff" * 834,
        Collected(16, ()).encode(),
        b"\x10\x03" + bytes(832),
    ],
    ids=["nothing", "junk", "fewer than it has", "more than fit"],
)
def test_a_mailbox_that_lies_costs_nothing_but_its_notices(lie):
    async def main(rig):
        rig.leave_behind(0)
        rig.lie = lie
        calls = await rig.mailboxes.collect()
        return calls, len(rig.asked), len(rig.missed.absences(rig.hub.unix_time()))

    assert simulate(main) == ((), 3, 1)


def test_a_mailbox_that_is_gone_is_forgotten():
    async def main(rig):
        rig.leave_behind(0)
        rig.failures = {NODES[0]: Reason.REFUSED}
        await rig.mailboxes.collect()
        return len(rig.asked), rig.missed.absences(rig.hub.unix_time())

    assert simulate(main) == (1, ())


def test_a_mailbox_that_is_silent_is_tried_again_and_later():
    async def main(rig):
        registration = rig.leave_behind(0)
        rig.notices = {NODES[0]: [rig.notice(registration)]}
        rig.builder.dead.add(NODES[0])
        before = await rig.mailboxes.collect()
        rig.builder.dead.clear()
        return before, len(await rig.mailboxes.collect())

    assert simulate(main) == ((), 1)


def test_nothing_is_collected_while_we_are_away():
    async def main(rig):
        registration = rig.leave_behind(0)
        rig.notices = {NODES[0]: [rig.notice(registration)]}
        rig.mailboxes.is_away = True
        away = await rig.mailboxes.collect()
        rig.mailboxes.is_away = False
        return away, len(await rig.mailboxes.collect())

    assert simulate(main) == ((), 1)


def test_a_mailbox_of_yesterday_is_not_asked_for():
    async def main(rig):
        rig.leave_behind(0)
        await asyncio.sleep(3_700)
        await rig.mailboxes.collect()
        return rig.asked

    assert simulate(main) == []


def test_notices_left_during_another_run_of_the_client_are_read(tmp_path):
    def file():
        path = tmp_path / "state" / "missed.json"
        key = ALICE.sealing_key(Label.CLIENT_STATE)
        return SealedFile(path, key, SeededEntropy(1), "psp-missed", 1)

    async def main(rig):
        rig.missed = rig.mailboxes._missed = MissedCalls(file())
        registration = rig.leave_behind(0)
        again = Rig(rig.hub, MissedCalls(file()))
        again.notices = {NODES[0]: [rig.notice(registration, "while you were out")]}
        await again.mailboxes.collect()
        return [call.text for call in MissedCalls(file()).list()]

    assert simulate(main) == ["while you were out"]


@pytest.mark.parametrize("after", [0.1, 0.25, 0.5])
def test_collecting_may_be_given_up_and_loses_nothing(after):
    async def main(rig):
        registration = rig.leave_behind(0)
        rig.notices = {NODES[0]: [rig.notice(registration)]}
        task = asyncio.create_task(rig.mailboxes.collect())
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await rig.mailboxes.collect()
        return len(rig.missed.list())

    assert simulate(main) == 1
