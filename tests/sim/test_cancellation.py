"""Whatever an app cancels, and whenever: no circuit, session or task is left behind."""

import asyncio
from collections import Counter

import pytest

from psp.testing.simloop import run_simulation
from tests.sim.rig import town

POINTS = 10
"""Moments at which each call of the API is cancelled, evenly over its duration."""
SETTLED_AFTER = 4.0
"""Virtual seconds: spare circuits are built again, closed ones are forgotten."""
LOOKS = 8
"""To see what comes and goes by itself."""
GONE_AFTER = 15.0
"""Virtual seconds after which nothing may be left: longer than a call that somebody gave
up is waited for at its other end."""


def simulate(folder, main):
    async def run(hub):
        async with town(hub, folder, seed=11) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            bob.contacts.add(alice.contacts.invite("bob"), "alice")
            alice.contacts.add(bob.me, "bob")
            await asyncio.sleep(SETTLED_AFTER)
            return await main(alice, bob)

    return run_simulation(run, seed=11)


def held(*clients):
    """Count what clients hold, and every task there is."""
    counts = Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks())
    for number, client in enumerate(clients):
        network = client._parts.network
        counts[f"circuits {number}"] = len(network._circuits)
        counts[f"sessions {number}"] = len(network._sessions)
        counts[f"revocations {number}"] = len(client.contacts.revocations)
    return counts


async def usual(*clients):
    """Return the most that clients hold when nothing is under way."""
    counts = Counter()
    for _ in range(LOOKS):
        await asyncio.sleep(SETTLED_AFTER / LOOKS)
        counts |= held(*clients)
    return counts


async def left_behind(before, *clients):
    """Return what is still there beyond the usual after some time; empty is good."""
    await asyncio.sleep(SETTLED_AFTER)
    until = asyncio.get_running_loop().time() + GONE_AFTER
    while more := held(*clients) - before:
        if asyncio.get_running_loop().time() > until:
            break
        await asyncio.sleep(SETTLED_AFTER / LOOKS)
    return dict(more)


async def cancel_everywhere(begin, *clients, undo=None):
    """Run ``begin`` once to its end, then cancel it at many moments.

    Returns:
        What was left behind, by the moment of the cancellation.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    result = await begin()
    took = loop.time() - started
    if undo is not None:
        await undo(result)
    before = await usual(*clients)
    left, cancelled = {}, 0
    for point in range(POINTS):
        task = asyncio.create_task(begin())
        await asyncio.sleep(took * point / POINTS)
        task.cancel()
        await asyncio.wait([task])
        cancelled += task.cancelled()
        if undo is not None:
            await undo(None if task.cancelled() else task.result())
        if more := await left_behind(before, *clients):
            left[f"{point} of {POINTS}"] = more
    assert took > 0
    assert cancelled >= POINTS // 2  # else this test does not test what it says
    return left


@pytest.mark.timeout(90)
def test_a_look_up(tmp_path):
    async def main(alice, bob):
        await alice.announce()
        return await cancel_everywhere(lambda: bob.lookup("alice"), bob)

    assert simulate(tmp_path, main) == {}


@pytest.mark.timeout(90)
def test_several_look_ups(tmp_path):
    async def main(alice, bob):
        await alice.announce()
        whos = ["alice", alice.me, bob.me]
        return await cancel_everywhere(lambda: bob.lookup_many(whos), bob)

    assert simulate(tmp_path, main) == {}


@pytest.mark.timeout(90)
def test_a_watch(tmp_path):
    async def watch(bob):
        async with bob.watch(["alice"]) as events:
            return await anext(events)

    async def main(alice, bob):
        await alice.announce(3)
        return await cancel_everywhere(lambda: watch(bob), bob)

    assert simulate(tmp_path, main) == {}


async def keep_answering(alice):
    while True:
        session = await alice.accept()
        session.close()


async def hang_up(session):
    if session is not None:
        session.close()


@pytest.mark.timeout(90)
def test_a_call(tmp_path):
    async def main(alice, bob):
        await alice.announce(3)
        answering = asyncio.create_task(keep_answering(alice))
        try:
            return await cancel_everywhere(lambda: bob.call("alice"), bob, undo=hang_up)
        finally:
            answering.cancel()

    assert simulate(tmp_path, main) == {}


@pytest.mark.timeout(90)
def test_an_answer(tmp_path):
    async def main(alice, bob):
        await alice.announce(3)
        calling = []

        async def accept():
            calling.append(asyncio.create_task(bob.call("alice")))
            return await alice.accept()

        async def undo(session):
            await hang_up(session)
            task = calling.pop()
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                task.result().close()
            # What bob does not take any more rings until it ends by itself.
            while len(alice._parts.calls.ringing):
                (await alice._parts.calls.ringing.next()).refuse()

        return await cancel_everywhere(accept, alice, bob, undo=undo)

    assert simulate(tmp_path, main) == {}


@pytest.mark.timeout(90)
def test_an_announcement_goes_on_until_it_is_withdrawn(tmp_path):
    async def main(alice, bob):
        async def undo(_):
            await alice.withdraw()

        return await cancel_everywhere(
            lambda: alice.announce(3, status="here"), alice, undo=undo
        )

    assert simulate(tmp_path, main) == {}


@pytest.mark.timeout(90)
def test_a_withdrawal_goes_on_and_can_be_waited_for_again(tmp_path):
    async def main(alice, bob):
        left, states = {}, []
        before = await usual(alice)
        for point in range(POINTS):
            await alice.announce(3)
            task = asyncio.create_task(alice.withdraw())
            await asyncio.sleep(point * 0.03)
            task.cancel()
            await asyncio.wait([task])
            await alice.withdraw()
            states.append((await bob.lookup("alice")).state.value)
            if more := await left_behind(before, alice):
                left[point] = more
        return left, states

    left, states = simulate(tmp_path, main)

    assert left == {}
    assert set(states) == {"offline"}


@pytest.mark.timeout(90)
def test_a_client_that_ends_in_the_middle_of_everything(tmp_path):
    async def main(alice, bob):
        before = asyncio.all_tasks()
        await alice.announce(3)
        work = [
            asyncio.create_task(bob.lookup("alice")),
            asyncio.create_task(bob.call("alice")),
            asyncio.create_task(bob.accept()),
            asyncio.create_task(bob.announce(3)),
        ]
        await asyncio.sleep(0.05)
        for task in work:
            task.cancel()
        await asyncio.wait(work)
        await bob.close()
        await alice.close()
        await asyncio.sleep(1.0)
        return [task.get_name() for task in asyncio.all_tasks() - before]

    assert simulate(tmp_path, main) == []
