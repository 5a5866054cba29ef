"""Placing calls (psp/client/calls/placing.py, introducing.py): hedged, bounded, given up."""

import asyncio
from dataclasses import replace

import pytest

from psp.client.calls import introducing
from psp.client.circuit import RequestError
from psp.client.circuits import BandwidthError
from psp.client.errors import (
    BusyError,
    CallError,
    CallRefusedError,
    NoAnswerError,
    UnreachableError,
    UserOfflineError,
)
from psp.client.lookups.lookup import LookupResult, PresenceState
from psp.crypto.primitives import x25519_public
from psp.crypto.work import is_proof
from psp.netdoc.introduction import (
    open_introduction,
)
from psp.netdoc.ticket import (
    NO_TICKET,
    is_ticket,
)
from psp.path.selection import Purpose
from psp.wire.cell import Reason
from psp.wire.presence import (
    IntroductionStatus,
)
from psp.wire.relay_message import RelayCommand
from tests.unit.psp.client.calls.rig import (
    ALICE,
    BUSY,
    NODES,
    REFUSED,
    Rig,
    simulate,
)


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
        with pytest.raises(UnreachableError, match="too few nodes answered"):
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


def test_a_call_that_finds_no_rendezvous_says_why_and_blames_no_point():
    async def main(rig: Rig):
        card = ALICE.contact_card(rig.registry.network)

        builds = rig.builder.open

        async def full(purpose, **options):
            if purpose is Purpose.RENDEZVOUS_CALLER:
                raise BandwidthError(480)
            return await builds(purpose, **options)

        rig.builder.open = full  # type: ignore[method-assign]
        with pytest.raises(UnreachableError) as caught:
            await rig.calls.place(card, rig.found(NODES[0]))
        return str(caught.value)

    assert simulate(main).startswith(
        "no rendezvous: no relay on the path grants 480 kbit/s"
    )


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
