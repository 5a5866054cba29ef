"""Ringing, answering, dead presence points and mailboxes, in whole networks."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

import psp.testing
from psp.client.calls.missed_calls import MissedCall
from psp.client.calls.ringing import CallDecision
from psp.client.client import Client
from psp.client.errors import (
    CallRefusedError,
    NoAnswerError,
    UnreachableError,
    UserOfflineError,
)
from psp.client.lookups.lookup import PresenceState
from psp.netdoc.contact_card import ContactCard
from psp.path.selection import Purpose
from psp.testing.simloop import run_simulation
from psp.testing.testbed import LocalNetwork
from psp.testing.weather import Weather
from psp.units import Seconds
from psp.wire.presence import IntroductionAnswer, IntroductionStatus
from psp.wire.relay_message import RelayCommand
from tests.sim.calls import until

pytestmark = pytest.mark.timeout(120)

WEATHER = Weather(latency=Seconds(0.02), jitter=Seconds(0.005), loss=0.01)


@dataclass
class Scene:
    """Alice on line at three points, and Bob."""

    net: LocalNetwork
    alice: Client
    bob: Client

    @property
    def card(self):
        return self.alice.contact_card


@asynccontextmanager
async def scene(hub, seed):
    users = ("alice", "bob", "mallory")
    async with psp.testing.network(seed=seed, hub=hub, users=users) as net:
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce(3)
        yield Scene(net, alice, bob)


def play(main, seed=1):
    async def run(hub):
        async with scene(hub, seed) as here:
            return await main(here)

    return run_simulation(run, seed=seed, weather=WEATHER)


async def find_with_a_point_to_kill(here: Scene):
    """Look Alice up; put a point first that is no guard of Bob's.

    When that dies everything of Bob's has to move to another guard, which takes longer
    than a call has.
    """
    found = await here.bob.lookup(here.card)
    guards = here.bob.circuits._selector.guards.primary()[:1]
    points = sorted(found.points, key=lambda point: point.place.node_id in guards)
    return replace(found, points=tuple(points))


@pytest.mark.parametrize("seed", range(12))
def test_a_call_reaches_another_point_within_two_seconds_when_one_is_dead(seed):
    async def main(here: Scene):
        found = await find_with_a_point_to_kill(here)
        await here.net.kill(found.points[0].place.node_id)
        loop = asyncio.get_running_loop()
        delivered = []
        here.bob.on_call_step(
            lambda what: delivered.append(loop.time()) if "delivered" in what else None
        )
        waiting = asyncio.create_task(here.alice.accept_call())
        start = loop.time()
        call = await here.bob.establish(here.card, found=found)
        await waiting
        assert call.presence_point != found.points[0].place.node_id
        return delivered[0] - start, loop.time() - start

    rang_after, took = play(main, seed)

    assert rang_after < 2.0
    assert took < 4.0


def test_two_dead_points_of_three_cost_the_call_a_second_more():
    async def main(here: Scene):
        found = await find_with_a_point_to_kill(here)
        for point in found.points[:2]:
            await here.net.kill(point.place.node_id)
        waiting = asyncio.create_task(here.alice.accept_call())
        loop = asyncio.get_running_loop()
        start = loop.time()
        call = await here.bob.establish(here.card, found=found)
        await waiting
        return loop.time() - start, call.presence_point, found.points[2]

    took, point, third = play(main)

    assert point == third.place.node_id
    assert took < 5.0


def test_a_point_that_drops_what_it_says_it_has_delivered_costs_seconds():
    async def main(here: Scene):
        found = await here.bob.lookup(here.card)
        liar = here.net.node(found.points[0].place.node_id).presence._introductions
        delivered = IntroductionAnswer(IntroductionStatus.DELIVERED).encode()

        async def lie(_peer, _data):
            return delivered

        liar._circuits.serve(RelayCommand.INTRODUCE, lie)
        calling = asyncio.create_task(here.bob.call(here.card, found=found))
        loop = asyncio.get_running_loop()
        start = loop.time()
        call = await anext(here.alice.incoming())
        took = loop.time() - start
        (await call.answer()).close()
        await calling
        return took

    assert 3.0 < play(main) < 6.0


def test_a_call_that_rings_for_three_quarters_of_a_minute_can_be_answered():
    """Longer than a rendezvous remembers a cookie that is not renewed."""

    async def main(here: Scene):
        calling = asyncio.create_task(here.bob.call(here.card))
        call = await anext(here.alice.incoming())
        await asyncio.sleep(45.0)
        session = await call.answer()
        (await calling).send_message(b"patience")
        return await session.receive_message()

    assert play(main) == b"patience"


def test_nothing_is_built_for_a_call_that_nobody_answers():
    async def main(here: Scene):
        opened = []
        build = here.alice.circuits.open

        async def counting(purpose, **settings):
            opened.append(purpose)
            return await build(purpose, **settings)

        here.alice.circuits.open = counting  # type: ignore[method-assign]
        with pytest.raises(NoAnswerError):
            await here.bob.call(here.card)
        await asyncio.sleep(5.0)
        (missed,) = here.alice.missed_calls()
        return Purpose.RENDEZVOUS_CALLEE in opened, missed.caller, missed.is_notice

    assert play(main) == (False, None, False)


def test_an_app_that_refuses_is_heard_at_once():
    async def main(here: Scene):
        async def no(_call):
            return CallDecision.REFUSE

        here.alice.set_call_policy(no)
        loop = asyncio.get_running_loop()
        start = loop.time()
        with pytest.raises(CallRefusedError):
            await here.bob.call(here.card)
        return loop.time() - start

    assert play(main) < 5.0


def test_a_contact_with_a_ticket_is_met_over_three_hops_and_known_by_name():
    async def main(here: Scene):
        card = here.alice.contacts.invite("bob")
        here.bob.contacts.add(card, "alice")
        calling = asyncio.create_task(here.bob.call("alice"))
        call = await anext(here.alice.incoming())
        established = await call.establish()
        await calling
        legs = established.legs.legs
        await until(lambda: len(legs) > 1, within=30)
        with_ticket = {len(circuit.path) for circuit in legs.values()}

        stranger = asyncio.create_task(here.bob.call(here.card))
        other = await anext(here.alice.incoming())
        without = await other.establish()
        await stranger
        return call.contact, with_ticket, other.contact, len(without.legs.legs[0].path)

    assert play(main) == ("bob", {3}, None, 4)


def test_a_ticket_in_other_hands_does_not_pass_for_the_contact():
    """Mallory has read Bob's personal card on its way to him."""

    async def main(here: Scene, mallory: Client):
        here.alice.contacts.add(here.bob.contact_card, "bob")
        card = ContactCard.decode(here.alice.contacts.invite("bob"))
        calling = asyncio.create_task(mallory.call(card))
        call = await anext(here.alice.incoming())
        with pytest.raises(UnreachableError, match="somebody else"):
            await call.answer()
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)

        rightful = asyncio.create_task(here.bob.call(card))
        session = await here.alice.accept()
        await rightful
        return call.contact, session.peer == here.bob.me.identity

    async def run(hub):
        async with scene(hub, 1) as here:
            return await main(here, await here.net.client("mallory"))

    assert run_simulation(run, seed=1, weather=WEATHER) == ("bob", True)


def test_a_flood_of_strangers_is_held_up_and_a_contact_is_not():
    async def main(here: Scene):
        card = here.alice.contacts.invite("bob")
        here.bob.contacts.add(card, "alice")
        found = await here.bob.lookup(here.card)
        flood = [
            asyncio.create_task(here.bob.call(here.card, found=found, anonymous=True))
            for _ in range(12)
        ]
        await asyncio.sleep(3.0)
        loop = asyncio.get_running_loop()
        start = loop.time()
        rung = []
        here.bob.on_call_step(
            lambda what: rung.append(loop.time()) if "delivered" in what else None
        )
        calling = asyncio.create_task(here.bob.call("alice", found=found))
        await until(lambda: bool(rung), within=5)
        for task in (*flood, calling):
            task.cancel()
        await asyncio.gather(*flood, calling, return_exceptions=True)
        names = [
            call.contact for call in here.alice._parts.calls.ringing._ringing.values()
        ]
        return rung[0] - start, names.count("bob"), names.count(None)

    took, contacts, strangers = play(main)

    assert took < 2.0
    assert contacts == 1
    assert strangers <= 10


@pytest.mark.parametrize("restarts", [False, True])
def test_who_was_off_line_learns_who_called_and_once(restarts):
    async def main(here: Scene):
        alice, bob, net = here.alice, here.bob, here.net
        card = here.card
        if restarts:
            await net.close_client("alice")
        else:
            await alice.withdraw()
        found = await bob.lookup(card)
        assert found.state is PresenceState.OFFLINE
        with pytest.raises(UserOfflineError) as caught:
            await bob.call(card, found=found, notice="call me back")
        assert caught.value.was_noted
        boxes = [net.node(node).presence.mailboxes for node in net.relays]
        held = sum(box.notices_held for box in boxes)

        alice = await net.client("alice")
        told: list[MissedCall] = []
        alice._parts.missed.on_missed = told.append
        await alice.announce(1)
        await until(lambda: bool(alice.missed_calls()), within=30)
        await until(lambda: not sum(map(len, boxes)), within=60)
        await alice.withdraw()
        await alice.announce(1)
        await asyncio.sleep(60.0)
        (missed,) = alice.missed_calls()
        assert told == [missed]
        return held, missed.text, missed.caller == bob.me.identity, missed.is_notice

    assert play(main) == (2, "call me back", True, True)


def test_an_old_record_leads_to_the_mailbox_too():
    """Bob looked Alice up before she left: her point tells him that she is absent."""

    async def main(here: Scene):
        found = await here.bob.lookup(here.card)
        await here.alice.withdraw()
        with pytest.raises(UserOfflineError) as caught:
            await here.bob.call(here.card, found=found, notice="")
        return caught.value.was_noted, len(caught.value.mailboxes)

    noted, mailboxes = play(main)

    assert noted
    assert mailboxes == 3


def test_a_caller_who_hangs_up_is_not_there_when_the_call_is_answered():
    async def main(here: Scene):
        calling = asyncio.create_task(here.bob.call(here.card))
        call = await anext(here.alice.incoming())
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await asyncio.sleep(1.0)
        loop = asyncio.get_running_loop()
        start = loop.time()
        with pytest.raises(UnreachableError):
            await call.answer()
        return loop.time() - start

    assert play(main) < 12.0
