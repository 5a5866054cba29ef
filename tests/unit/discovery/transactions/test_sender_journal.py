"""What one process leaves in the journal, the next one takes up."""

import asyncio

import pytest

from discovery.transactions.errors import (
    AccountBusyError,
    NonceTakenError,
    StillPendingError,
)
from psp.errors import ConfigError
from psp.runtime.statefile import StateFile
from tests.unit.discovery.transactions.rig import Rig, actions, call, run


def test_what_is_not_mined_in_time_is_taken_up_again(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError, match="do 1"):
            await rig.sender().send(call(1))
        pending = await rig.sender().pending()
        rig.start_mining()

        outcome = await rig.sender().resume()

        assert pending.call == call(1)
        assert outcome.is_resumed
        assert actions(rig.chain) == [b"\x01"]
        assert await rig.sender().resume() is None

    run(tmp_path, main, is_mining=False)


def test_same_action_again_is_the_one_under_way(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError):
            await rig.sender().send(call(1))
        rig.start_mining()

        outcome = await rig.sender().send(call(1))

        assert outcome.is_resumed
        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main, is_mining=False)


def test_another_action_waits_for_the_one_under_way(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError):
            await rig.sender().send(call(1))
        rig.start_mining()

        outcome = await rig.sender().send(call(2))

        assert not outcome.is_resumed
        assert actions(rig.chain) == [b"\x01", b"\x02"]

    run(tmp_path, main, is_mining=False)


def test_journal_of_another_form_is_named(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        (path,) = tmp_path.glob("*.nonces")
        file = StateFile(path, form="psp-nonces", version=1)
        file.save({"next_nonce": "many"})

        with pytest.raises(ConfigError, match=path.name):
            await rig.sender().pending()

    run(tmp_path, main)


def test_another_program_with_the_same_key_is_noticed(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError):
            await rig.sender().send(call(1))
        rig.chain.pool.clear()
        (tmp_path / "other").mkdir(mode=0o700)
        other = Rig(tmp_path / "other")
        other.chain, other.endpoints = rig.chain, rig.endpoints
        rig.start_mining()
        await other.sender().send(call(9))

        outcome = await rig.sender().send(call(2))

        assert outcome.call == call(2)
        assert actions(rig.chain) == [b"\x09", b"\x02"]

    run(tmp_path, main, is_mining=False)


def test_nonce_that_another_program_takes_meanwhile_is_said(tmp_path):
    async def main(rig):
        task = asyncio.create_task(rig.sender().send(call(1)))
        await rig.something_waits()
        rig.chain.pool.clear()
        (tmp_path / "other").mkdir(mode=0o700)
        other = Rig(tmp_path / "other")
        other.chain, other.endpoints = rig.chain, rig.endpoints
        await other.sender().send(call(9))

        with pytest.raises(NonceTakenError):
            await task

        assert await rig.sender().pending() is None
        assert actions(rig.chain) == [b"\x09"]

    run(tmp_path, main)


def test_account_in_use_by_another_process_is_waited_for_and_then_said(tmp_path):
    async def main(rig):
        slow = asyncio.create_task(rig.sender().send(call(1)))
        await rig.something_waits()

        with pytest.raises(AccountBusyError):
            await rig.sender(lock_wait=30.0).send(call(2))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        rig.start_mining()
        await rig.sender(lock_wait=30.0).send(call(2))

        assert actions(rig.chain) == [b"\x01", b"\x02"]

    run(tmp_path, main, is_mining=False)


def test_damaged_journal_is_named(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        (file,) = tmp_path.glob("*.nonces")
        file.write_bytes(b"{}")

        with pytest.raises(ConfigError, match=file.name):
            await rig.sender().send(call(2))

    run(tmp_path, main)
