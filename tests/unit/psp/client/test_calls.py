"""Placing and taking calls (psp/client/calls.py)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from psp.client import doorbell, introducing
from psp.client.calls import Calls
from psp.client.circuit import Circuit, RequestError
from psp.client.errors import (
    BusyError,
    CallError,
    CallRefusedError,
    ContactRevokedError,
    NoAnswerError,
    UnreachableError,
    UserOfflineError,
)
from psp.client.identity import ClientIdentity
from psp.client.introduction_gate import GateConfig
from psp.client.lookup import LookupResult, PresenceState
from psp.client.registration import PresenceRegistration, new_registration
from psp.client.ringing import CallDecision, CallState
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_public
from psp.crypto.session import SessionInitiator
from psp.crypto.work import is_proof, search
from psp.ids import COOKIE_SIZE, Cookie, NodeId
from psp.netdoc.introduction import (
    Introduction,
    open_introduction,
    seal_introduction,
)
from psp.netdoc.presence_inner import Place, Presence
from psp.netdoc.presence_record import RecordHead
from psp.netdoc.ticket import (
    NO_TICKET,
    TicketScope,
    is_ticket,
    make_ticket,
    ticket_id,
)
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


@dataclass(frozen=True)
class Holder:
    """A contact that has a ticket key of ours."""

    name: str
    key: bytes


class Silent:
    """A network that carries no blocks."""

    def send_blocks(self, circuit: object, blocks: list[bytes]) -> None:
        pass


class Rig:
    """One client's calls, over circuits that `answers` answers."""

    def __init__(
        self,
        hub: SimHub,
        identity: ClientIdentity | None = ALICE,
        gate: GateConfig | None = None,
    ) -> None:
        self.hub = hub
        self.registry = MemoryRegistry(NODES, NODES[:3])
        self.status: dict[NodeId, IntroductionStatus | None] = {}
        self.delays: dict[NodeId, float] = {}
        self.introduced: list[NodeId] = []
        self.requests: list[IntroduceRequest] = []
        self.wanted: dict[NodeId, int] = {}
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.context = client_context(hub, self.registry)
        network = cast("ClientNetwork", Silent())
        self.contacts: dict[bytes, Holder] = {}
        self.calls = Calls(
            self.context,
            network,
            self.builder.as_builder(),
            identity,
            contact_of=self.contacts.get,
            gate=gate,
        )
        self.entropy = SeededEntropy("rig")

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        await asyncio.sleep(0.1)
        if command is not RelayCommand.INTRODUCE:
            return b""
        point = circuit.path[-1].node_id
        self.introduced.append(point)
        self.requests.append(IntroduceRequest.decode(data))
        await asyncio.sleep(self.delays.get(point, 0.0))
        status = self.status.get(point, IntroductionStatus.DELIVERED)
        if status is None:
            raise RequestError(command, Reason.TIMEOUT)
        effort = self.wanted.pop(point, 0)
        if effort:
            status = IntroductionStatus.WORK_NEEDED
            return IntroductionAnswer(status, effort).encode()
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
        ticket_key: bytes = b"",
        effort: int = 0,
        work_nonce: bytes | None = None,
        change: Callable[[Introduction], Introduction] = lambda plain: plain,
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
        if ticket_key:
            scope = plain.scope(self.registry.network, ALICE.user_id, point)
            plain = replace(plain, ticket=make_ticket(ticket_key, scope, self.entropy))
        if effort:
            challenge = plain.work_challenge(contact_key)
            nonce = work_nonce or search(challenge, effort, 0, 1 << 20)
            plain = replace(plain, effort=effort, work_nonce=nonce or bytes(16))
        plain = change(plain)
        sealed = seal_introduction(
            plain, contact_key, network=self.registry.network, presence_point=point
        )
        return IntroduceRequest(registration.tag, sealed).encode()

    def invite(self, name: str) -> bytes:
        key = self.entropy.token(32)
        self.contacts[ticket_id(key)] = Holder(name, key)
        return key

    async def take(
        self, registration: PresenceRegistration, data: bytes
    ) -> IntroductionStatus:
        answer = await self.calls.take_introduction(registration, data)
        return answer.status

    async def ring(self, registration: PresenceRegistration, **settings: Any):
        return await self.take(
            registration, self.introduction(registration, **settings)
        )

    def presence(self, point: NodeId) -> Presence:
        head = RecordHead(0, 1, bytes(32), bytes(32), bytes(64), 1, UnixTime(0), 1800)
        key = x25519_public(self.entropy.token(32))
        return Presence(head, Place(point, key, bytes(16), ()))

    def found(self, *points: NodeId) -> LookupResult:
        presences = tuple(map(self.presence, points))
        state = PresenceState.ONLINE if points else PresenceState.OFFLINE
        return LookupResult(state, presences, 2)


def simulate(main, identity: ClientIdentity | None = ALICE, gate=None):
    async def run(hub: SimHub):
        rig = Rig(hub, identity, gate)
        try:
            return await main(rig)
        finally:
            await rig.calls.close()

    return run_simulation(run)


# -- taking calls


DELIVERED, REFUSED = IntroductionStatus.DELIVERED, IntroductionStatus.REFUSED
BUSY, WORK_NEEDED = IntroductionStatus.BUSY, IntroductionStatus.WORK_NEEDED


def test_an_introduction_rings_and_nothing_is_built_before_it_is_answered():
    async def main(rig: Rig):
        status = await rig.ring(rig.registration())
        call = await rig.calls.ringing.next()
        before = list(rig.builder.opened)
        answering = asyncio.create_task(call.answer())
        await asyncio.sleep(1.0)
        (circuit,) = rig.builder.open_for(Purpose.RENDEZVOUS_CALLEE)
        answering.cancel()
        return status, before, circuit.path[-1].node_id, circuit.asked

    assert simulate(main) == (DELIVERED, [], RENDEZVOUS, [RelayCommand.JOIN])


def test_a_refused_call_is_never_built_and_cannot_be_answered():
    async def main(rig: Rig):
        await rig.ring(rig.registration())
        call = await rig.calls.ringing.next()
        call.refuse()
        with pytest.raises(NoAnswerError):
            await call.answer()
        await asyncio.sleep(100.0)
        return rig.builder.opened, call.state, rig.calls.missed.list()

    assert simulate(main) == ([], CallState.REFUSED, ())


def test_a_call_that_nobody_takes_is_missed_when_its_introduction_ends():
    async def main(rig: Rig):
        registration = rig.registration()
        await rig.ring(registration, expires_in=20.0, ticket_key=rig.invite("bob"))
        await asyncio.sleep(19.0)
        waiting = len(rig.calls.ringing)
        await asyncio.sleep(2.0)
        (missed,) = rig.calls.missed.list()
        return waiting, len(rig.calls.ringing), missed.contact, missed.is_notice

    assert simulate(main) == (1, 0, "bob", False)


def test_a_call_rings_for_a_minute_whatever_the_callers_clock_says():
    async def main(rig: Rig):
        await rig.ring(rig.registration(), expires_in=170.0)
        await asyncio.sleep(61.0)
        return len(rig.calls.ringing), len(rig.calls.missed.list())

    assert simulate(main) == (0, 1)


def test_a_replayed_introduction_is_refused():
    async def main(rig: Rig):
        registration = rig.registration()
        data = rig.introduction(registration)
        statuses = [await rig.take(registration, data) for _ in range(2)]
        for _ in range(2):
            same = rig.introduction(registration, cookie=b"c" * 20)
            statuses.append(await rig.take(registration, same))
        return statuses, len(rig.calls.ringing)

    assert simulate(main) == ([DELIVERED, REFUSED, DELIVERED, REFUSED], 2)


def test_a_replay_is_refused_as_long_as_the_introduction_is_in_time():
    async def main(rig: Rig):
        registration = rig.registration()
        data = rig.introduction(registration, expires_in=175.0)
        statuses = []
        for _ in range(4):
            statuses.append(await rig.take(registration, data))
            await asyncio.sleep(97.0)
        return statuses

    assert simulate(main) == [DELIVERED, REFUSED, REFUSED, REFUSED]


def test_the_introductions_of_one_call_at_several_points_ring_once():
    async def main(rig: Rig):
        registrations = [rig.registration() for _ in range(3)]
        statuses = [
            await rig.ring(registration, cookie=b"c" * 20)
            for registration in registrations
        ]
        return statuses, len(rig.calls.ringing)

    assert simulate(main) == ([DELIVERED] * 3, 1)


def test_the_introductions_of_one_call_are_refused_together():
    async def main(rig: Rig):
        asked = []

        async def slow_no(call):
            asked.append(call)
            await asyncio.sleep(1.0)
            return CallDecision.REFUSE

        rig.calls.policy = slow_no
        taking = [
            asyncio.create_task(rig.ring(rig.registration(), cookie=b"c" * 20))
            for _ in range(3)
        ]
        return await asyncio.gather(*taking), len(asked), rig.builder.opened

    assert simulate(main) == ([REFUSED] * 3, 1, [])


@pytest.mark.parametrize("expires_in", [-130.0, 500.0])
def test_an_introduction_out_of_its_time_is_refused(expires_in):
    async def main(rig: Rig):
        return await rig.ring(rig.registration(), expires_in=expires_in)

    assert simulate(main) is REFUSED


def test_what_is_no_introduction_for_this_registration_is_refused():
    async def main(rig: Rig):
        registration, other = rig.registration(), rig.registration()
        cases = [
            b"",
            bytes(1520),
            rig.introduction(other),
            rig.introduction(registration, point=NODES[0]),
        ]
        return {await rig.take(registration, data) for data in cases}

    assert simulate(main) == {REFUSED}


def test_a_client_without_an_identity_takes_no_calls():
    async def main(rig: Rig):
        return await rig.ring(rig.registration())

    assert simulate(main, identity=None) is REFUSED


def test_a_caller_that_never_comes_leaves_no_circuit_behind():
    async def main(rig: Rig):
        registration = rig.registration()
        errors = []
        for is_intact in (True, False):
            await rig.ring(registration, is_intact=is_intact)
            call = await rig.calls.ringing.next()
            with pytest.raises(UnreachableError) as caught:
                await call.answer()
            errors.append(str(caught.value))
        return errors, rig.builder.open_for(Purpose.RENDEZVOUS_CALLEE)

    errors, circuits = simulate(main)

    assert all("the caller is gone" in error for error in errors)
    assert circuits == []


def test_accept_goes_on_to_the_next_call_when_one_fails():
    async def main(rig: Rig):
        registration = rig.registration()
        await rig.ring(registration, is_intact=False)
        await rig.ring(registration)
        accepting = asyncio.create_task(rig.calls.accept())
        await asyncio.sleep(1.0)
        joined = rig.builder.open_for(Purpose.RENDEZVOUS_CALLEE)
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
        await asyncio.sleep(0.1)
        return len(joined), rig.builder.open_for(Purpose.RENDEZVOUS_CALLEE)

    assert simulate(main) == (1, [])


def test_a_full_memory_of_cookies_is_busy_rather_than_forgetful(monkeypatch):
    monkeypatch.setattr(doorbell, "MAX_REMEMBERED", 3)

    async def main(rig: Rig):
        registration = rig.registration()
        statuses = [await rig.ring(registration) for _ in range(4)]
        await asyncio.sleep(310.0)
        return [*statuses, await rig.ring(registration)]

    assert simulate(main) == [DELIVERED] * 3 + [BUSY, DELIVERED]


# -- the app's policy


def test_the_app_may_refuse_before_anything_is_opened():
    async def main(rig: Rig):
        async def contacts_only(call):
            is_known = call.contact is not None
            return CallDecision.RING if is_known else CallDecision.REFUSE

        rig.calls.policy = contacts_only
        registration, key = rig.registration(), rig.invite("bob")
        statuses = [
            await rig.ring(registration),
            await rig.ring(registration, ticket_key=key),
        ]
        await asyncio.sleep(1.0)
        return statuses, rig.builder.opened

    assert simulate(main) == ([REFUSED, DELIVERED], [])


def test_a_policy_that_answers_needs_nobody_to_take_the_call():
    async def main(rig: Rig):
        async def yes(_call):
            return CallDecision.ANSWER

        rig.calls.policy = yes
        status = await rig.ring(rig.registration())
        await asyncio.sleep(1.0)
        (circuit,) = rig.builder.open_for(Purpose.RENDEZVOUS_CALLEE)
        return status, circuit.asked, len(rig.calls.ringing)

    assert simulate(main) == (DELIVERED, [RelayCommand.JOIN], 1)


def test_a_policy_may_answer_or_refuse_the_call_itself():
    async def main(rig: Rig):
        async def answers(call):
            _ = call.begin()
            return CallDecision.RING

        async def refuses(call):
            call.refuse()
            return CallDecision.RING

        statuses = []
        for policy in (answers, refuses):
            rig.calls.policy = policy
            statuses.append(await rig.ring(rig.registration()))
        await asyncio.sleep(100.0)
        return statuses, len(rig.calls.ringing), rig.calls.missed.list()

    assert simulate(main) == ([DELIVERED, REFUSED], 0, ())


def test_a_policy_that_is_slow_or_fails_lets_it_ring():
    async def main(rig: Rig):
        async def slow(_call):
            await asyncio.sleep(60.0)
            return CallDecision.REFUSE

        async def broken(_call):
            raise RuntimeError

        loop = asyncio.get_running_loop()
        statuses = []
        for policy in (slow, broken):
            rig.calls.policy = policy
            statuses.append(await rig.ring(rig.registration()))
        return statuses, loop.time()

    statuses, took = simulate(main)

    assert statuses == [DELIVERED, DELIVERED]
    assert took < 3.0


def test_a_slow_policy_about_strangers_does_not_hold_contacts_up():
    async def main(rig: Rig):
        async def slow_about_strangers(call):
            if call.contact is None:
                await asyncio.sleep(60.0)
            return CallDecision.RING

        rig.calls.policy = slow_about_strangers
        registration, key = rig.registration(), rig.invite("bob")
        strangers = [asyncio.create_task(rig.ring(registration)) for _ in range(5)]
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        start = loop.time()
        status = await rig.ring(registration, ticket_key=key)
        took = loop.time() - start
        await asyncio.gather(*strangers)
        return status, took

    assert simulate(main) == (DELIVERED, 0.0)


# -- strangers, contacts, floods


def test_a_thousand_rings_of_a_stranger_keep_no_contact_out_and_wake_nobody():
    async def main(rig: Rig):
        registration, key = rig.registration(), rig.invite("bob")
        statuses = []
        for _ in range(1_000):
            statuses.append(await rig.ring(registration))
            await asyncio.sleep(0.01)
        contact = [await rig.ring(registration, ticket_key=key) for _ in range(3)]
        return statuses, contact, len(rig.calls.ringing), rig.builder.opened

    statuses, contact, ringing, opened = simulate(main)

    assert statuses == [DELIVERED] * 5 + [WORK_NEEDED] * 995
    assert contact == [DELIVERED] * 3
    assert ringing == 8
    assert opened == []


def test_under_load_a_stranger_who_has_worked_rings():
    async def main(rig: Rig):
        registration = rig.registration()
        for _ in range(6):
            answer = await rig.calls.take_introduction(
                registration, rig.introduction(registration)
            )
        worked = await rig.ring(registration, effort=answer.effort)
        await asyncio.sleep(61.0)
        later = await rig.ring(registration)
        return answer.status, answer.effort, worked, later

    assert simulate(main) == (WORK_NEEDED, 8, DELIVERED, DELIVERED)


@pytest.mark.parametrize("effort", [8, 14])
def test_work_that_was_claimed_and_not_done_is_refused(effort):
    async def main(rig: Rig):
        registration = rig.registration()
        for _ in range(6):
            await rig.ring(registration)
        status = await rig.ring(registration, effort=effort, work_nonce=b"n" * 16)
        return status, len(rig.calls.ringing)

    assert simulate(main) == (REFUSED, 5)


def test_work_done_for_another_call_does_not_count():
    async def main(rig: Rig):
        registration = rig.registration()
        for _ in range(6):
            await rig.ring(registration)

        def under_another_cookie(plain):
            return replace(plain, cookie=Cookie(b"d" * 20))

        return await rig.ring(registration, effort=8, change=under_another_cookie)

    assert simulate(main) is REFUSED


def test_who_has_worked_most_takes_the_place_of_who_has_worked_least():
    async def main(rig: Rig):
        registration = rig.registration()
        statuses = [await rig.ring(registration) for _ in range(5)]
        statuses += [await rig.ring(registration, effort=8) for _ in range(5)]
        full = await rig.ring(registration, effort=9)
        efforts = []
        while len(rig.calls.ringing):
            efforts.append((await rig.calls.ringing.next()).effort)
        taken = await rig.ring(registration, effort=10)
        return statuses, full, efforts, taken

    statuses, full, efforts, taken = simulate(main)

    assert statuses == [DELIVERED] * 10
    assert full is DELIVERED
    assert efforts == [0, 0, 0, 0, 8, 8, 8, 8, 8, 9]
    assert taken is BUSY


def test_one_contact_rings_ten_times_a_minute_at_most():
    async def main(rig: Rig):
        registration = rig.registration()
        bob, carol = rig.invite("bob"), rig.invite("carol")
        statuses = [await rig.ring(registration, ticket_key=bob) for _ in range(11)]
        other = await rig.ring(registration, ticket_key=carol)
        await asyncio.sleep(60.0)
        return statuses, other, await rig.ring(registration, ticket_key=bob)

    assert simulate(main) == ([DELIVERED] * 10 + [BUSY], DELIVERED, DELIVERED)


def test_a_contact_is_built_to_with_three_hops_and_a_stranger_with_four():
    async def main(rig: Rig):
        registration = rig.registration()
        await rig.ring(registration, ticket_key=rig.invite("bob"))
        await rig.ring(registration)
        names = []
        for _ in range(2):
            call = await rig.calls.ringing.next()
            names.append(call.contact)
            with pytest.raises(UnreachableError):
                await call.answer()
        return names, rig.builder.lengths

    # None leaves it to the purpose, which says four.
    assert simulate(main) == (["bob", None], [3, None])


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: replace(plain, cookie=Cookie(b"d" * 20)),
        lambda plain: replace(plain, rendezvous=NODES[3]),
        lambda plain: replace(plain, expiry=UnixTime(plain.expiry - 1)),
        lambda plain: replace(plain, ticket=plain.ticket[:-1] + b"\0"),
        lambda plain: replace(plain, ticket=b"?" * 64),
    ],
    ids=["cookie", "rendezvous", "expiry", "mac", "unknown"],
)
def test_a_ticket_is_good_for_its_own_introduction_only(change):
    async def main(rig: Rig):
        registration, key = rig.registration(), rig.invite("bob")
        return await rig.ring(registration, ticket_key=key, change=change)

    assert simulate(main) is REFUSED


def test_a_ticket_for_another_point_is_refused_at_this_one():
    async def main(rig: Rig):
        registration, key = rig.registration(), rig.invite("bob")
        other = TicketScope(
            rig.registry.network,
            ALICE.user_id,
            NODES[0],
            Cookie(b"c" * 20),
            UnixTime(int(rig.hub.unix_time()) + 60),
            RENDEZVOUS,
        )
        ticket = make_ticket(key, other, rig.entropy)
        return await rig.ring(
            registration,
            cookie=b"c" * 20,
            change=lambda plain: replace(plain, ticket=ticket),
        )

    assert simulate(main) is REFUSED


def test_a_ticket_of_a_removed_contact_is_refused():
    async def main(rig: Rig):
        registration, key = rig.registration(), rig.invite("bob")
        rig.contacts.clear()
        return await rig.ring(registration, ticket_key=key)

    assert simulate(main) is REFUSED


def test_a_contact_that_is_removed_while_it_rings_is_not_answered():
    async def main(rig: Rig):
        await rig.ring(rig.registration(), ticket_key=rig.invite("bob"))
        call = await rig.calls.ringing.next()
        rig.contacts.clear()
        with pytest.raises(ContactRevokedError):
            await call.answer()
        return rig.builder.opened

    assert simulate(main) == []


def test_not_more_than_thirty_calls_are_answered_in_a_minute():
    """Whatever the gate lets ring: each answer builds a circuit to a stranger's relay."""

    async def main(rig: Rig):
        registration = rig.registration()
        errors = []
        for _ in range(31):
            await rig.ring(registration)
            call = await rig.calls.ringing.next()
            answering = call.begin()
            await asyncio.sleep(0.5)
            is_over = answering.done()
            errors.append(type(answering.exception()) if is_over else None)
        built = len(rig.builder.opened)
        await asyncio.sleep(60.0)
        await rig.ring(registration)
        again = (await rig.calls.ringing.next()).begin()
        await asyncio.sleep(0.5)
        return errors, built, again.done()

    errors, built, is_refused = simulate(
        main, gate=GateConfig(strangers=100, in_all=100, calm=100)
    )

    assert errors == [None] * 30 + [BusyError]
    assert built == 30
    assert not is_refused


# -- placing calls


def test_a_user_who_is_off_line_is_not_called():
    async def main(rig: Rig):
        card = ALICE.contact_card(rig.registry.network)
        with pytest.raises(UserOfflineError, match="the user is offline"):
            await rig.calls.place(card, rig.found())
        return rig.builder.opened

    assert simulate(main) == []


def test_a_user_of_whom_nothing_is_known_is_not_called_off_line():
    async def main(rig: Rig):
        card = ALICE.contact_card(rig.registry.network)
        unknown = LookupResult(PresenceState.UNKNOWN, (), 1)
        with pytest.raises(UnreachableError, match="the user is unknown"):
            await rig.calls.place(card, unknown)

    simulate(main)


def test_every_point_is_tried_and_the_reasons_are_given():
    async def main(rig: Rig):
        rig.status = {
            NODES[0]: BUSY,
            NODES[1]: None,
            NODES[2]: IntroductionStatus.NO_SUCH_TAG,
            NODES[4]: IntroductionStatus.NO_SUCH_TAG,
        }
        rig.builder.dead.add(NODES[3])
        card = ALICE.contact_card(rig.registry.network)
        with pytest.raises(BusyError) as caught:
            await rig.calls.place(card, rig.found(*NODES[:5]))
        await asyncio.sleep(1.0)
        return str(caught.value), rig.introduced, rig.builder.opened

    text, introduced, opened = simulate(main)

    assert introduced == [NODES[0], NODES[1], NODES[2], NODES[4]]
    for reason in ("busy", "introduce: timeout", "no such tag", "circuit ended"):
        assert reason in text
    assert not any(circuit.is_open for circuit in opened)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (REFUSED, CallRefusedError),
        (BUSY, BusyError),
        (IntroductionStatus.ABSENT, UserOfflineError),
        (IntroductionStatus.NO_SUCH_TAG, UnreachableError),
        (None, UnreachableError),
    ],
)
def test_what_the_points_say_becomes_a_typed_error(status, error):
    async def main(rig: Rig):
        rig.status = {NODES[0]: status, NODES[1]: IntroductionStatus.NO_SUCH_TAG}
        card = ALICE.contact_card(rig.registry.network)
        with pytest.raises(CallError) as caught:
            await rig.calls.place(card, rig.found(*NODES[:2]))
        assert type(caught.value) is error

    simulate(main)


def test_a_point_that_does_not_answer_gets_company_and_the_first_to_deliver_wins():
    async def main(rig: Rig):
        rig.delays = {NODES[0]: 3.0}
        card = ALICE.contact_card(rig.registry.network)
        loop = asyncio.get_running_loop()
        reached: list[float] = []
        rig.calls.on_step = lambda what: (
            reached.append(loop.time()) if "delivered" in what else None
        )
        placing = asyncio.create_task(rig.calls.place(card, rig.found(*NODES[:3])))
        await asyncio.sleep(3.0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        return rig.introduced, reached, [c.is_open for c in rig.builder.opened]

    introduced, reached, are_open = simulate(main)

    assert introduced == NODES[:2]
    assert len(reached) == 1
    assert reached[0] < 2.0
    assert not any(are_open)


def test_a_point_that_only_says_that_it_has_delivered_does_not_end_the_call():
    """Each further point is told after 3 s more of ringing, and its word changes nothing."""

    async def main(rig: Rig):
        rig.status = {NODES[1]: REFUSED}
        card = ALICE.contact_card(rig.registry.network)
        placing = asyncio.create_task(rig.calls.place(card, rig.found(*NODES[:3])))
        introduced = []
        for _ in range(3):
            await asyncio.sleep(3.9)
            introduced.append(len(rig.introduced))
        is_ringing = not placing.done()
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        return introduced, is_ringing, [c.is_open for c in rig.builder.opened]

    introduced, is_ringing, are_open = simulate(main)

    assert introduced == [2, 3, 3]
    assert is_ringing
    assert not any(are_open)


def test_a_point_that_makes_work_up_holds_no_other_up():
    async def main(rig: Rig):
        rig.wanted = {NODES[0]: 16}
        card = ALICE.contact_card(rig.registry.network)
        loop = asyncio.get_running_loop()
        reached: list[float] = []
        rig.calls.on_step = lambda what: (
            reached.append(loop.time()) if "delivered" in what else None
        )

        async def forever(*_args):
            await asyncio.sleep(3_600)

        monkeypatch.setattr(introducing, "prove", forever)
        placing = asyncio.create_task(rig.calls.place(card, rig.found(*NODES[:2])))
        await asyncio.sleep(3.0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        return reached

    with pytest.MonkeyPatch.context() as monkeypatch:
        (reached,) = simulate(main)

    assert reached < 2.0


def test_the_introductions_of_a_call_have_one_cookie_and_a_handshake_each():
    async def main(rig: Rig):
        private = [rig.entropy.token(32) for _ in range(2)]
        points = []
        for node, key in zip(NODES[:2], private, strict=True):
            presence = rig.presence(node)
            place = replace(presence.place, contact_key=x25519_public(key))
            points.append(replace(presence, place=place))
        rig.status = {NODES[0]: BUSY}
        found = LookupResult(PresenceState.ONLINE, tuple(points), 2)
        card = ALICE.contact_card(rig.registry.network)
        placing = asyncio.create_task(rig.calls.place(card, found))
        await asyncio.sleep(3.0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        return [
            open_introduction(
                request.sealed,
                key,
                network=rig.registry.network,
                presence_point=node,
            )
            for request, key, node in zip(rig.requests, private, NODES[:2], strict=True)
        ]

    first, second = simulate(main)

    assert (first.cookie, first.expiry, first.rendezvous) == (
        second.cookie,
        second.expiry,
        second.rendezvous,
    )
    assert first.noise_message != second.noise_message


@pytest.mark.parametrize("anonymous", [False, True])
def test_a_personal_card_gives_every_introduction_a_ticket_unless_anonymous(anonymous):
    async def main(rig: Rig):
        key, private = rig.entropy.token(32), rig.entropy.token(32)
        presence = rig.presence(NODES[0])
        place = replace(presence.place, contact_key=x25519_public(private))
        point = replace(presence, place=place)
        found = LookupResult(PresenceState.ONLINE, (point,), 2)
        card = replace(ALICE.contact_card(rig.registry.network), ticket_key=key)
        placing = asyncio.create_task(rig.calls.place(card, found, anonymous=anonymous))
        await asyncio.sleep(2.0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        introduction = open_introduction(
            rig.requests[0].sealed,
            private,
            network=rig.registry.network,
            presence_point=NODES[0],
        )
        scope = introduction.scope(rig.registry.network, ALICE.user_id, NODES[0])
        return introduction.ticket, is_ticket(introduction.ticket, key, scope)

    ticket, is_good = simulate(main)

    assert is_good is not anonymous
    assert (ticket == NO_TICKET) is anonymous


def test_work_is_done_when_it_is_wanted_and_only_once():
    async def main(rig: Rig):
        rig.wanted = {NODES[0]: 6}
        private = rig.entropy.token(32)
        presence = rig.presence(NODES[0])
        place = replace(presence.place, contact_key=x25519_public(private))
        point = replace(presence, place=place)
        found = LookupResult(PresenceState.ONLINE, (point,), 2)
        card = ALICE.contact_card(rig.registry.network)
        placing = asyncio.create_task(rig.calls.place(card, found))
        await asyncio.sleep(3.0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        opened = [
            open_introduction(
                request.sealed,
                private,
                network=rig.registry.network,
                presence_point=NODES[0],
            )
            for request in rig.requests
        ]
        circuits = [c for c in rig.builder.opened if c.purpose is Purpose.INTRODUCTION]
        return opened, len(circuits), place.contact_key

    (first, second), circuits, contact_key = simulate(main)

    assert circuits == 1
    assert (first.effort, second.effort) == (0, 6)
    assert is_proof(second.work_challenge(contact_key), second.work_nonce, 6)


def test_more_work_than_one_is_willing_to_do_is_not_begun():
    async def main(rig: Rig):
        rig.wanted = {NODES[0]: 17}
        card = ALICE.contact_card(rig.registry.network)
        with pytest.raises(BusyError, match="17 bits"):
            await rig.calls.place(card, rig.found(NODES[0]))

    simulate(main)


def test_a_call_rings_until_its_introduction_ends_and_its_meeting_is_kept():
    async def main(rig: Rig):
        card = ALICE.contact_card(rig.registry.network)
        loop = asyncio.get_running_loop()
        with pytest.raises(NoAnswerError):
            await rig.calls.place(card, rig.found(NODES[0]))
        meeting = next(
            c for c in rig.builder.opened if c.purpose is Purpose.RENDEZVOUS_CALLER
        )
        return loop.time(), meeting.asked, meeting.is_open

    took, asked, is_open = simulate(main)

    assert 58 < took <= 61
    # At least every 15 s: the rendezvous forgets after 30.
    assert asked == [RelayCommand.ESTABLISH] * 4
    assert not is_open


def test_a_call_whose_rendezvous_dies_ends_at_once():
    async def main(rig: Rig):
        card = ALICE.contact_card(rig.registry.network)
        placing = asyncio.create_task(rig.calls.place(card, rig.found(NODES[0])))
        await asyncio.sleep(5.0)
        rig.builder.open_for(Purpose.RENDEZVOUS_CALLER)[0].close()
        with pytest.raises(UnreachableError, match="rendezvous"):
            await placing

    simulate(main)


def test_a_call_whose_rendezvous_falls_silent_does_not_ring_on_in_vain():
    async def main(rig: Rig):
        card = ALICE.contact_card(rig.registry.network)
        loop = asyncio.get_running_loop()

        async def forgets(circuit, command, data):
            is_again = RelayCommand.ESTABLISH in circuit.asked[:-1]
            if command is RelayCommand.ESTABLISH and is_again:
                raise RequestError(command, Reason.TIMEOUT)
            return await rig._answer(circuit, command, data)

        rig.builder._answers = forgets
        with pytest.raises(UnreachableError, match="rendezvous"):
            await rig.calls.place(card, rig.found(NODES[0]))
        return loop.time()

    assert simulate(main) < 20.0


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


@pytest.mark.parametrize("after", [n / 20 for n in range(1, 20)])
def test_a_call_may_be_given_up_at_any_moment(after):
    async def main(rig: Rig):
        rig.delays = {NODES[0]: 0.9}
        card = ALICE.contact_card(rig.registry.network)
        placing = asyncio.create_task(rig.calls.place(card, rig.found(*NODES[:3])))
        await asyncio.sleep(2 * after)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        return [circuit for circuit in rig.builder.opened if circuit.is_open]

    assert simulate(main) == []
