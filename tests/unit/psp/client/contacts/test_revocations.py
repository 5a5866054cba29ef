"""Work about a contact ends when the contact does, and leaves nothing behind."""

import asyncio
from functools import partial

import pytest

from psp.client.contacts.revocations import Revocations
from psp.client.errors import ContactRevokedError
from psp.ids import UserId

ALICE = UserId(b"a" * 32)
BOB = UserId(b"b" * 32)


async def answer(value, after=0):
    for _ in range(after):
        await asyncio.sleep(0)
    return value


async def fail():
    raise ValueError("no")


async def test_work_is_done_when_nobody_is_revoked():
    revocations = Revocations()

    assert await revocations.guard(ALICE, lambda: answer(7, after=3)) == 7
    with pytest.raises(ValueError, match="no"):
        await revocations.guard(ALICE, fail)

    assert len(revocations) == 0


async def test_a_revocation_cancels_the_work_about_that_contact_only():
    revocations = Revocations()
    started, ended = [], []

    async def work(name):
        started.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    tasks = [
        asyncio.create_task(revocations.guard(who, partial(work, name)))
        for who, name in ((ALICE, "one"), (ALICE, "two"), (BOB, "bob's"))
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(started) == 3

    revocations.tell(ALICE)

    for task in tasks[:2]:
        with pytest.raises(ContactRevokedError):
            await task
    assert sorted(ended) == ["one", "two"]
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert len(ended) == 3
    assert len(revocations) == 0


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("end", ["cancel", "revoke"])
async def test_whenever_it_ends_a_result_is_returned_or_undone(end, steps):
    revocations = Revocations()
    undone = []
    task = asyncio.create_task(
        revocations.guard(ALICE, lambda: answer("circuit", after=3), undone.append)
    )
    for _ in range(steps):
        await asyncio.sleep(0)

    if end == "cancel":
        task.cancel()
    else:
        revocations.tell(ALICE)
    await asyncio.wait([task])

    is_returned = not task.cancelled() and task.exception() is None
    assert not (is_returned and undone)
    # Work that was not cut short has a result, which is in one of both hands.
    if not is_returned and steps >= 6:
        assert undone == ["circuit"]
    assert len(revocations) == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
