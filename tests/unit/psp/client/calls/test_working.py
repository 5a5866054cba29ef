"""Doing work: found, told about, given up in between."""

import asyncio

import pytest

from psp.client.calls import working
from psp.client.calls.working import prove
from psp.crypto.work import is_proof
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation

CHALLENGE = b"c" * 60


def test_a_proof_is_found_and_progress_told(monkeypatch):
    monkeypatch.setattr(working, "_SLICE", 4)
    told = []

    async def main(_hub):
        return await prove(CHALLENGE, 6, SeededEntropy(1), told.append)

    nonce = run_simulation(main)

    assert is_proof(CHALLENGE, nonce, 6)
    assert told == [number * 4 / 64 for number in range(1, len(told) + 1)]


def test_work_may_be_given_up():
    async def main(_hub):
        task = asyncio.create_task(prove(CHALLENGE, 24, SeededEntropy(1)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_simulation(main)


async def test_a_real_loop_lives_on_meanwhile():
    ticks = 0
    task = asyncio.create_task(prove(CHALLENGE, 8, SeededEntropy(2)))
    while not task.done():
        await asyncio.sleep(0)
        ticks += 1

    assert is_proof(CHALLENGE, task.result(), 8)
    assert ticks > 1
