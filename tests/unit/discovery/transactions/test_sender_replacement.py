"""A transaction that waits is replaced by one that offers more, or cancelled."""

import asyncio

import pytest

from discovery.transactions.errors import (
    FeeLimitError,
    StillPendingError,
    TransactionRefusedError,
)
from discovery.transactions.fees import GWEI, FeeLimits
from discovery.transactions.journal import MAX_ATTEMPTS
from psp.runtime.rpc import RpcError
from tests.unit.discovery.transactions.rig import actions, call, run


def test_stuck_transaction_is_replaced_by_one_that_offers_more(tmp_path):
    async def main(rig):
        task = asyncio.create_task(rig.sender().send(call()))
        await rig.something_waits()
        first = rig.chain.pool[0]
        rig.chain.base_fee = 4 * GWEI

        outcome = await task

        assert actions(rig.chain) == [b"\x01"]
        assert outcome.receipt.hash != first.hash
        assert rig.chain.mined[0].nonce == first.nonce

    run(tmp_path, main)


def test_replacement_above_the_limit_is_not_made(tmp_path):
    async def main(rig):
        sender = rig.sender(limits=FeeLimits(max_fee_per_gas=2 * GWEI))
        task = asyncio.create_task(sender.send(call()))
        await rig.something_waits()
        first = rig.chain.pool[0]
        rig.chain.base_fee = 4 * GWEI
        await asyncio.sleep(500)
        assert rig.chain.pool[0] == first
        rig.chain.base_fee = GWEI

        await task

        assert rig.chain.mined == [first]

    run(tmp_path, main)


def test_endpoint_that_wants_more_is_offered_more_at_once(tmp_path):
    async def main(rig):
        rig.chain.floor = 3 * GWEI

        await rig.sender().send(call())

        assert rig.chain.mined[0].max_fee >= 3 * GWEI

    run(tmp_path, main)


def test_transaction_that_nobody_takes_stays_until_it_is_cancelled(tmp_path):
    async def main(rig):
        def refuse(*_):
            raise RpcError(-32000, "exceeds block gas limit")

        rig.endpoints[0].answers["eth_sendRawTransaction"] = refuse
        sender = rig.sender()
        for number in (1, 2):
            with pytest.raises(TransactionRefusedError, match="exceeds block gas"):
                await sender.send(call(number))
        assert (await sender.pending()).call == call(1)
        del rig.endpoints[0].answers["eth_sendRawTransaction"]

        outcome = await sender.cancel()

        assert outcome.is_cancelled
        assert outcome.call == call(1)
        assert actions(rig.chain) == [b""]
        await sender.send(call(1))
        assert actions(rig.chain) == [b"", b"\x01"]
        assert await sender.cancel() is None

    run(tmp_path, main)


def test_endpoint_that_wants_more_than_allowed_is_not_given_it(tmp_path):
    async def main(rig):
        rig.chain.floor = 10**6 * GWEI
        sender = rig.sender(limits=FeeLimits(max_fee_per_gas=3 * GWEI))

        with pytest.raises(FeeLimitError, match="max_fee_per_gas"):
            await sender.send(call())
        pending = await sender.pending()
        assert pending.attempts[-1].fees.max_fee <= 3 * GWEI

    run(tmp_path, main)


def test_endpoint_that_always_wants_more_is_given_up_and_can_be_cancelled(tmp_path):
    async def main(rig):
        rig.chain.floor = 10**6 * GWEI
        rig.chain.balance = 10**24
        limits = FeeLimits(10**8 * GWEI, 10**8 * GWEI, 10**24, 10**24)
        sender = rig.sender(limits=limits)
        with pytest.raises(TransactionRefusedError, match="underpriced"):
            await sender.send(call())
        with pytest.raises(TransactionRefusedError, match="underpriced"):
            await sender.cancel()
        rig.chain.floor = 0

        outcome = await sender.cancel()

        assert outcome.is_cancelled
        assert actions(rig.chain) == [b""]

    run(tmp_path, main)


def test_nothing_is_added_to_what_was_tried_too_often(tmp_path):
    async def main(rig):
        rig.chain.floor = 10**6 * GWEI
        rig.chain.balance = 10**24
        limits = FeeLimits(10**8 * GWEI, 10**8 * GWEI, 10**24, 10**24)
        sender = rig.sender(limits=limits)
        for attempt in (sender.send(call()), sender.cancel(), sender.cancel()):
            with pytest.raises(TransactionRefusedError):
                await attempt

        assert len((await sender.pending()).attempts) == MAX_ATTEMPTS

    run(tmp_path, main)


def test_cancelling_may_come_too_late(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError):
            await rig.sender().send(call(1))
        rig.chain.mine()
        rig.start_mining()

        outcome = await rig.sender().cancel()

        assert not outcome.is_cancelled
        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main, is_mining=False)
