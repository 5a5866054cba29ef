"""Leaving notices: in two mailboxes, with work if need be, never more than asked for."""

import asyncio
from functools import partial

import pytest

from psp.client.calls.leaving import leave_notices
from psp.client.circuit import RequestError
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_public
from psp.crypto.work import is_proof
from psp.errors import LocalProtocolError
from psp.ids import NodeId, UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.missed_call import notice_challenge, open_notice
from psp.netdoc.presence_inner import Place, Presence
from psp.netdoc.presence_keys import UserSigner
from psp.netdoc.presence_record import RecordHead
from psp.path.selection import Purpose
from psp.testing.client_circuits import MemoryBuilder, client_context
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import MemoryRegistry
from psp.units import UnixTime
from psp.wire.cell import Reason
from psp.wire.mailboxes import MissedRequest, Noted, NotedStatus
from tests.unit.psp.client.calls.rig import simulate_with

NODES = [
    NodeId(SigningKey.generate(SeededEntropy(f"node {number}")).public)
    for number in range(5)
]
PRIVATE = b"\x11" * 32
BOB = UserSigner.by_identity(SigningKey.generate(SeededEntropy("bob")))
KEPT = Noted(NotedStatus.KEPT)


class Rig:
    def __init__(self, hub):
        self.hub = hub
        self.registry = MemoryRegistry(NODES, NODES[:2])
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.context = client_context(hub, self.registry)
        self.answers: dict[NodeId, list[Noted | None]] = {}
        self.requests: list[tuple[NodeId, MissedRequest]] = []
        self.card = ContactCard(self.registry.network, UserId(b"a" * 32))

    async def _answer(self, circuit, command, data):
        point = circuit.path[-1].node_id
        self.requests.append((point, MissedRequest.decode(data)))
        noted = self.answers.get(point, [KEPT]).pop(0)
        if noted is None:
            raise RequestError(command, Reason.TIMEOUT)
        return noted.encode()

    def mailbox(self, number):
        head = RecordHead(0, 1, bytes(32), bytes(32), bytes(64), 1, UnixTime(0), 86_400)
        tag = bytes([number]) * 16
        return Presence(head, Place(NODES[number], x25519_public(PRIVATE), tag, ()))

    async def leave(self, *numbers, text="hi", signer=BOB):
        return await leave_notices(
            self.context,
            self.builder.as_builder(),
            self.card,
            [self.mailbox(number) for number in numbers],
            text=text,
            signer=signer,
        )

    def opened(self, number):
        point, request = self.requests[number]
        return open_notice(
            request.notice,
            PRIVATE,
            network=self.registry.network,
            presence_point=point,
            tag=request.tag,
            unix_now=self.hub.unix_time(),
        )


simulate = partial(simulate_with, Rig)


def test_two_mailboxes_of_three_get_the_same_notice_each_over_its_own_circuit():
    async def main(rig):
        kept = await rig.leave(0, 1, 2)
        purposes = [circuit.purpose for circuit in rig.builder.opened]
        return kept, purposes, [rig.opened(0), rig.opened(1)]

    kept, purposes, (first, second) = simulate(main)

    assert kept == 2
    assert purposes == [Purpose.MAILBOX] * 2
    assert first == second
    assert (first.caller, first.text) == (BOB.user_id, "hi")


def test_a_mailbox_that_fails_is_replaced_by_the_next():
    async def main(rig):
        rig.answers = {NODES[0]: [None], NODES[1]: [Noted(NotedStatus.FULL)]}
        rig.builder.dead.add(NODES[2])
        return await rig.leave(0, 1, 2, 3)

    assert simulate(main) == 1


def test_no_mailbox_takes_nothing():
    async def main(rig):
        return await rig.leave()

    assert simulate(main) == 0


def test_work_is_done_once_when_it_is_wanted():
    async def main(rig):
        rig.answers = {NODES[0]: [Noted(NotedStatus.WORK_NEEDED, 5), KEPT]}
        kept = await rig.leave(0)
        return kept, rig.requests, len(rig.builder.opened)

    kept, requests, circuits = simulate(main)

    assert (kept, circuits) == (1, 1)
    (_, first), (_, second) = requests
    assert first.effort == 0
    assert second.notice == first.notice
    challenge = notice_challenge(second.tag, second.notice)
    assert is_proof(challenge, second.work_nonce, 5)


@pytest.mark.parametrize("effort", [17, 24])
def test_too_much_work_is_not_begun(effort):
    async def main(rig):
        rig.answers = {NODES[0]: [Noted(NotedStatus.WORK_NEEDED, effort)]}
        return await rig.leave(0), len(rig.requests)

    assert simulate(main) == (0, 1)


def test_an_anonymous_notice_names_nobody():
    async def main(rig):
        await rig.leave(0, signer=None)
        return rig.opened(0).caller

    assert simulate(main) is None


def test_a_text_that_does_not_fit_is_told_before_anything_is_built():
    async def main(rig):
        with pytest.raises(LocalProtocolError):
            await rig.leave(0, text="x" * 129)
        return rig.builder.opened

    assert simulate(main) == []


def test_leaving_may_be_given_up():
    async def main(rig):
        task = asyncio.create_task(rig.leave(0, 1))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(5)

    simulate(main)
