"""Taking calls (psp/client/calls/calls.py, doorbell.py): nothing is built before an answer."""

import asyncio
from dataclasses import replace

import pytest

from psp.client.calls import doorbell
from psp.client.calls.introduction_gate import GateConfig
from psp.client.calls.ringing import CallDecision, CallState
from psp.client.errors import (
    BusyError,
    ContactRevokedError,
    NoAnswerError,
    UnreachableError,
)
from psp.ids import Cookie
from psp.netdoc.ticket import (
    TicketScope,
    make_ticket,
)
from psp.path.selection import Purpose
from psp.units import UnixTime
from psp.wire.relay_message import RelayCommand
from tests.unit.psp.client.calls.rig import (
    ALICE,
    BUSY,
    DELIVERED,
    NODES,
    REFUSED,
    RENDEZVOUS,
    WORK_NEEDED,
    Rig,
    simulate,
)


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


def test_a_caller_is_met_at_the_endpoint_that_the_introduction_names():
    async def main(rig: Rig):
        await rig.ring(rig.registration())
        call = await rig.calls.ringing.next()
        with pytest.raises(UnreachableError):
            await call.answer()
        where = rig.registry.nodes()[RENDEZVOUS].endpoints[0]
        return rig.builder.endpoints == [where]

    assert simulate(main)


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
