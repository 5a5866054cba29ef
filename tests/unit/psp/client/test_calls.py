"""Placing and taking calls (psp/client/calls.py)."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from psp.client import calls
from psp.client.calls import MAX_PENDING_CALLS, CallError, Calls
from psp.client.circuit import Circuit, RequestError
from psp.client.identity import ClientIdentity
from psp.client.lookup import LookupResult, PresenceState
from psp.client.registration import PresenceRegistration, new_registration
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_public
from psp.crypto.session import SessionInitiator
from psp.ids import COOKIE_SIZE, Cookie, NodeId
from psp.netdoc.introduction import (
    Introduction,
    seal_introduction,
)
from psp.netdoc.presence_inner import Place, Presence
from psp.netdoc.presence_record import RecordHead
from psp.netdoc.ticket import NO_TICKET
from psp.path.selection import Purpose
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.presence import MemoryRegistry
from psp.testing.simloop import run_simulation
from psp.units import UnixTime
from psp.wire.cell import Reason
from psp.wire.presence import (
    IntroduceRequest,
    IntroductionAnswer,
    IntroductionStatus,
)
from psp.wire.relay_message import RelayCommand

if TYPE_CHECKING:
    from psp.client.network import ClientNetwork

NODES = [
    NodeId(SigningKey.generate(SeededEntropy(f"node {number}")).public)
    for number in range(6)
]
POINT, RENDEZVOUS = NODES[4], NODES[5]
ALICE = ClientIdentity.generate(SeededEntropy("alice"), "Alice")


class Silent:
    """A network that carries no blocks."""

    def send_blocks(self, circuit: object, blocks: list[bytes]) -> None:
        pass


class Rig:
    """One client's calls, over circuits that `answers` answers."""

    def __init__(self, hub: SimHub, identity: ClientIdentity | None = ALICE) -> None:
        self.hub = hub
        self.registry = MemoryRegistry(NODES, NODES[:3])
        self.status: dict[NodeId, IntroductionStatus | None] = {}
        self.introduced: list[NodeId] = []
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.context = client_context(hub, self.registry)
        network = cast("ClientNetwork", Silent())
        self.calls = Calls(self.context, network, self.builder.as_builder(), identity)
        self.entropy = SeededEntropy("rig")

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        await asyncio.sleep(0.1)
        if command is not RelayCommand.INTRODUCE:
            return b""
        point = circuit.path[-1].node_id
        self.introduced.append(point)
        status = self.status.get(point, IntroductionStatus.DELIVERED)
        if status is None:
            raise RequestError(command, Reason.TIMEOUT)
        return IntroductionAnswer(status).encode()

    def registration(self) -> PresenceRegistration:
        circuit = MemoryClientCircuit(
            Purpose.REGISTRATION, self.registry.nodes()[POINT], self._answer
        )
        return new_registration(self.context, 0, cast("Circuit", circuit))

    def introduction(
        self,
        registration: PresenceRegistration,
        *,
        expires_in: float = 60.0,
        cookie: bytes | None = None,
        point: NodeId = POINT,
        is_intact: bool = True,
    ) -> bytes:
        contact_key = x25519_public(registration.contact_private)
        where = Cookie(cookie or self.entropy.token(COOKIE_SIZE))
        initiator = SessionInitiator(
            network=self.registry.network.encode(),
            cookie=where,
            callee=ALICE.user_id,
            contact_key=contact_key,
            caller=None,
            entropy=self.entropy,
        )
        plain = Introduction(
            expiry=UnixTime(int(self.hub.unix_time() + expires_in)),
            rendezvous=RENDEZVOUS,
            endpoint=self.registry.nodes()[RENDEZVOUS].endpoints[0],
            cookie=where,
            ticket=NO_TICKET,
            noise_message=initiator.message_1 if is_intact else bytes(1232),
        )
        sealed = seal_introduction(
            plain, contact_key, network=self.registry.network, presence_point=point
        )
        return IntroduceRequest(registration.tag, sealed).encode()

    def presence(self, point: NodeId) -> Presence:
        head = RecordHead(0, 1, bytes(32), bytes(32), bytes(64), 1, UnixTime(0), 1800)
        key = x25519_public(self.entropy.token(32))
        return Presence(head, Place(point, key, bytes(16), ()))

    def found(self, *points: NodeId) -> LookupResult:
        presences = tuple(map(self.presence, points))
        state = PresenceState.ONLINE if points else PresenceState.OFFLINE
        return LookupResult(state, presences, 2)


def simulate(main, identity: ClientIdentity | None = ALICE):
    async def run(hub: SimHub):
        rig = Rig(hub, identity)
        try:
            return await main(rig)
        finally:
            await rig.calls.close()

    return run_simulation(run)


# -- taking calls


def test_an_introduction_is_accepted_and_its_rendezvous_joined():
    async def main(rig: Rig):
        registration = rig.registration()
        status = await rig.calls.take_introduction(
            registration, rig.introduction(registration)
        )
        await asyncio.sleep(1.0)
        (circuit,) = rig.builder.open_for(Purpose.RENDEZVOUS_CALLEE)
        return status, circuit.path[-1].node_id, circuit.asked

    assert simulate(main) == (
        IntroductionStatus.DELIVERED,
        RENDEZVOUS,
        [RelayCommand.JOIN],
    )


def test_a_replayed_introduction_is_refused():
    async def main(rig: Rig):
        registration = rig.registration()
        data = rig.introduction(registration)
        first = await rig.calls.take_introduction(registration, data)
        again = await rig.calls.take_introduction(registration, data)
        same = rig.introduction(registration, cookie=b"c" * 20)
        await rig.calls.take_introduction(registration, same)
        resealed = rig.introduction(registration, cookie=b"c" * 20)
        return first, again, await rig.calls.take_introduction(registration, resealed)

    assert simulate(main) == (
        IntroductionStatus.DELIVERED,
        IntroductionStatus.REFUSED,
        IntroductionStatus.REFUSED,
    )


@pytest.mark.parametrize("expires_in", [-130.0, 500.0])
def test_an_introduction_out_of_its_time_is_refused(expires_in):
    async def main(rig: Rig):
        registration = rig.registration()
        data = rig.introduction(registration, expires_in=expires_in)
        return await rig.calls.take_introduction(registration, data)

    assert simulate(main) is IntroductionStatus.REFUSED


def test_what_is_no_introduction_for_this_registration_is_refused():
    async def main(rig: Rig):
        registration, other = rig.registration(), rig.registration()
        cases = [
            b"",
            bytes(1520),
            rig.introduction(other),
            rig.introduction(registration, point=NODES[0]),
        ]
        return {await rig.calls.take_introduction(registration, data) for data in cases}

    assert simulate(main) == {IntroductionStatus.REFUSED}


def test_more_calls_than_can_be_set_up_are_busy():
    async def main(rig: Rig):
        registration = rig.registration()
        answers = [
            await rig.calls.take_introduction(
                registration, rig.introduction(registration)
            )
            for _ in range(MAX_PENDING_CALLS + 2)
        ]
        await asyncio.sleep(20.0)  # they are given up
        answers.append(
            await rig.calls.take_introduction(
                registration, rig.introduction(registration)
            )
        )
        return answers

    answers = simulate(main)

    delivered, busy = IntroductionStatus.DELIVERED, IntroductionStatus.BUSY
    assert answers == [delivered] * MAX_PENDING_CALLS + [busy] * 2 + [delivered]


def test_while_nobody_accepts_calls_more_are_busy():
    async def main(rig: Rig):
        while not rig.calls.incoming.full():
            rig.calls.incoming.put_nowait(cast("calls.EstablishedCall", object()))
        registration = rig.registration()
        return await rig.calls.take_introduction(
            registration, rig.introduction(registration)
        )

    assert simulate(main) is IntroductionStatus.BUSY


def test_the_app_may_refuse_before_anything_is_opened():
    async def main(rig: Rig):
        rig.calls.accepts = lambda introduction: introduction.ticket != NO_TICKET
        registration = rig.registration()
        status = await rig.calls.take_introduction(
            registration, rig.introduction(registration)
        )
        await asyncio.sleep(1.0)
        return status, rig.builder.opened

    assert simulate(main) == (IntroductionStatus.REFUSED, [])


def test_a_client_without_an_identity_takes_no_calls():
    async def main(rig: Rig):
        registration = rig.registration()
        return await rig.calls.take_introduction(
            registration, rig.introduction(registration)
        )

    assert simulate(main, identity=None) is IntroductionStatus.REFUSED


def test_a_caller_that_never_comes_leaves_no_circuit_behind():
    async def main(rig: Rig):
        registration = rig.registration()
        await rig.calls.take_introduction(registration, rig.introduction(registration))
        bad = rig.introduction(registration, is_intact=False)
        await rig.calls.take_introduction(registration, bad)
        await asyncio.sleep(20.0)
        return rig.builder.open_for(Purpose.RENDEZVOUS_CALLEE), rig.calls.incoming

    circuits, incoming = simulate(main)

    assert circuits == []
    assert incoming.empty()


def test_a_full_memory_of_cookies_refuses_rather_than_forgets(monkeypatch):
    monkeypatch.setattr(calls, "MAX_REMEMBERED_COOKIES", 3)

    async def main(rig: Rig):
        registration = rig.registration()
        answers = [
            await rig.calls.take_introduction(
                registration, rig.introduction(registration)
            )
            for _ in range(4)
        ]
        await asyncio.sleep(200.0)
        data = rig.introduction(registration)
        answers.append(await rig.calls.take_introduction(registration, data))
        return answers

    delivered, refused = IntroductionStatus.DELIVERED, IntroductionStatus.REFUSED
    assert simulate(main) == [delivered] * 3 + [refused, delivered]


# -- placing calls


def test_a_user_who_is_off_line_is_not_called():
    async def main(rig: Rig):
        card = ALICE.contact_card(rig.registry.network)
        with pytest.raises(CallError, match="the user is offline"):
            await rig.calls.place(card, rig.found())
        return rig.builder.opened

    assert simulate(main) == []


def test_every_point_is_tried_and_the_reasons_are_given():
    async def main(rig: Rig):
        rig.status = {
            NODES[0]: IntroductionStatus.BUSY,
            NODES[1]: None,
            NODES[2]: IntroductionStatus.NO_SUCH_TAG,
        }
        rig.builder.dead.add(NODES[3])
        card = ALICE.contact_card(rig.registry.network)
        with pytest.raises(CallError) as caught:
            await rig.calls.place(card, rig.found(*NODES[:5]))
        await asyncio.sleep(1.0)
        return str(caught.value), rig.introduced, rig.builder.opened

    text, introduced, opened = simulate(main)

    assert introduced == [NODES[0], NODES[1], NODES[2], NODES[4]]
    for reason in ("busy", "introduce: timeout", "no such tag", "no answer in time"):
        assert reason in text
    assert not any(circuit.is_open for circuit in opened)


def test_a_call_that_is_given_up_leaves_no_circuit_behind():
    async def main(rig: Rig):
        card = ALICE.contact_card(rig.registry.network)
        steps: list[str] = []
        rig.calls.on_step = steps.append
        placing = asyncio.create_task(rig.calls.place(card, rig.found(NODES[0])))
        await asyncio.sleep(2.0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        return steps, [circuit.is_open for circuit in rig.builder.opened]

    steps, are_open = simulate(main)

    assert steps == [
        "circuits built",
        "rendezvous established",
        "introduction delivered",
    ]
    assert are_open == [False, False]
