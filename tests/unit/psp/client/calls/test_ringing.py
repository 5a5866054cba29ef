"""Ringing calls: taken once, answered once, given up cleanly."""

import asyncio
from typing import cast

import pytest

from psp.client.calls.established import EstablishedCall
from psp.client.calls.ringing import MAX_RINGING, CallState, IncomingCall, RingingCalls
from psp.client.errors import NoAnswerError, UnreachableError
from psp.ids import Cookie
from psp.testing.simloop import run_simulation


class FakeSession:
    def __init__(self):
        self.is_closed = False

    def close(self):
        self.is_closed = True


class FakeCall:
    def __init__(self):
        self.session = FakeSession()


class Rig:
    def __init__(self):
        self.ringing = RingingCalls()
        self.missed = []
        self.built = []
        self.takes = 1.0
        self.error = None

    async def answering(self, _call):
        established = FakeCall()
        self.built.append(established)
        await asyncio.sleep(self.takes)
        if self.error is not None:
            raise self.error
        return cast("EstablishedCall", established)

    def ring(self, number=0, *, contact=None, effort=0, within=60.0):
        call = IncomingCall(
            contact=contact,
            effort=effort,
            expires=within,
            cookie=Cookie(bytes([number]) * 20),
            answering=self.answering,
        )
        self.ringing.add(call, within, self.missed.append)
        return call


def simulate(main):
    async def run(_hub):
        return await main(Rig())

    return run_simulation(run)


def test_a_call_that_is_printed_says_who_is_calling():
    async def main(rig):
        known, stranger = rig.ring(1, contact="bob"), rig.ring(2)
        stranger.refuse()
        return repr(known), repr(stranger)

    assert simulate(main) == (
        "<IncomingCall from 'bob', ringing>",
        "<IncomingCall from a stranger, refused>",
    )


def test_calls_are_taken_in_their_order_and_once():
    async def main(rig):
        calls = [rig.ring(number) for number in range(3)]
        taken = [await rig.ringing.next() for _ in range(3)]
        assert taken == calls
        assert len(rig.ringing) == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await rig.ringing.next()

    simulate(main)


def test_several_may_wait_for_calls():
    async def main(rig):
        waiting = [asyncio.create_task(rig.ringing.next()) for _ in range(2)]
        await asyncio.sleep(1)
        calls = [rig.ring(number) for number in range(2)]
        taken = await asyncio.gather(*waiting)
        assert set(map(id, taken)) == set(map(id, calls))

    simulate(main)


def test_an_answer_is_given_once_however_often_it_is_asked_for():
    async def main(rig):
        call = rig.ring()
        sessions = await asyncio.gather(call.answer(), call.answer())
        sessions.append(await call.answer())
        assert len(set(map(id, sessions))) == 1
        assert len(rig.built) == 1
        assert call.state is CallState.ANSWERED

    simulate(main)


def test_a_call_that_was_missed_cannot_be_answered():
    async def main(rig):
        call = rig.ring(within=10.0)
        assert await call.ended() is CallState.MISSED
        with pytest.raises(NoAnswerError):
            await call.answer()
        assert rig.missed == [call]
        assert len(rig.ringing) == 0

    simulate(main)


def test_a_call_that_is_being_answered_is_not_missed():
    async def main(rig):
        rig.takes = 20.0
        call = rig.ring(within=10.0)
        await call.answer()
        assert rig.missed == []

    simulate(main)


def test_a_failure_is_told_to_all_who_wait():
    async def main(rig):
        rig.error = UnreachableError("gone")
        call = rig.ring()
        results = await asyncio.gather(
            call.answer(), call.answer(), return_exceptions=True
        )
        assert results == [rig.error] * 2

    simulate(main)


def test_an_answer_that_is_given_up_by_one_is_still_the_others():
    async def main(rig):
        call = rig.ring()
        one, other = (asyncio.create_task(call.answer()) for _ in range(2))
        await asyncio.sleep(0.5)
        one.cancel()
        session = await other
        assert not session.is_closed

    simulate(main)


@pytest.mark.parametrize("after", [0.0, 0.5, 0.999, 1.0])
def test_an_answer_that_is_given_up_leaves_no_session(after):
    async def main(rig):
        call = rig.ring()
        task = asyncio.create_task(call.answer())
        await asyncio.sleep(after)
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(5)
        was_given = not isinstance(results[0], BaseException)
        return was_given, [built.session.is_closed for built in rig.built]

    was_given, closed = simulate(main)

    assert was_given or after < 1.0 or closed == [True]
    if not was_given and after == 1.0:
        assert closed == [True]


def test_closing_ends_what_rings_and_what_is_being_answered():
    async def main(rig):
        waiting, answering = rig.ring(1), rig.ring(2)
        task = asyncio.create_task(answering.answer())
        await asyncio.sleep(0.5)
        await rig.ringing.close()
        await answering.close()
        with pytest.raises(NoAnswerError, match="given up here"):
            await task
        assert waiting.state is CallState.REFUSED
        await asyncio.sleep(100)
        assert rig.missed == []

    simulate(main)


def test_the_weakest_stranger_is_one_whom_the_app_has_not_taken():
    async def main(rig):
        rig.ring(1, contact="bob")
        weak, strong = rig.ring(2, effort=8), rig.ring(3, effort=9)
        assert rig.ringing.weakest_stranger() is weak
        weak.refuse()
        assert rig.ringing.weakest_stranger() is strong
        await rig.ringing.next()
        await rig.ringing.next()
        assert rig.ringing.weakest_stranger() is None

    simulate(main)


def test_there_is_a_bound():
    async def main(rig):
        calls = [rig.ring(number) for number in range(MAX_RINGING)]
        assert rig.ringing.is_full
        calls[0].refuse()
        assert not rig.ringing.is_full

    simulate(main)
