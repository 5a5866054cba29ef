"""Sending from one account (discovery/transactions/sender.py, following.py)."""

import asyncio

import pytest

from discovery.transactions.call import Call
from discovery.transactions.errors import (
    FeeLimitError,
    InsufficientFundsError,
    RevertedError,
    TransactionRefusedError,
)
from discovery.transactions.fees import GWEI, FeeLimits
from psp.testing.payments import GAS
from tests.unit.discovery.transactions.rig import TARGET, actions, call, run


def test_actions_are_mined_one_after_another(tmp_path):
    async def main(rig):
        sender = rig.sender()

        outcomes = [await sender.send(call(n)) for n in (1, 2, 3)]

        assert actions(rig.chain) == [b"\x01", b"\x02", b"\x03"]
        assert [o.receipt.hash for o in outcomes] == [p.hash for p in rig.chain.mined]
        assert outcomes[0].receipt.cost == GAS * (GWEI + GWEI // 10)
        assert not any(o.is_resumed or o.is_cancelled for o in outcomes)
        assert await sender.pending() is None

    run(tmp_path, main)


def test_tasks_of_one_process_send_in_turn(tmp_path):
    async def main(rig):
        sender = rig.sender()

        await asyncio.gather(*(sender.send(call(n)) for n in range(1, 6)))

        assert sorted(actions(rig.chain)) == [bytes([n]) for n in range(1, 6)]

    run(tmp_path, main)


def test_cost_is_shown_before_sending_and_nothing_is_sent(tmp_path):
    async def main(rig):
        cost = await rig.sender().estimate(call(value=7))
        dry = await rig.sender().dry_run(call(value=7))

        assert cost.gas == GAS
        assert cost.expected == GAS * (GWEI + GWEI // 10)
        assert cost.maximum == cost.gas_limit * (2 * GWEI + GWEI // 10)
        assert (cost.value, cost.balance) == (7, 10**18)
        assert dry.cost == cost
        assert dry.result == b""
        assert not rig.chain.pool

    run(tmp_path, main, is_mining=False)


def test_plain_payment_takes_what_payments_take(tmp_path):
    async def main(rig):
        outcome = await rig.sender().send(Call(TARGET, value=10**17))

        assert rig.chain.mined[0].gas == outcome.receipt.gas_used == 21_000

    run(tmp_path, main)


def test_too_little_money_is_said_before_anything_is_signed(tmp_path):
    async def main(rig):
        sender = rig.sender()
        rig.chain.balance = 10**9

        with pytest.raises(InsufficientFundsError) as for_fees:
            await sender.send(call(value=0))
        with pytest.raises(InsufficientFundsError) as for_value:
            await sender.send(call(value=10**18))

        assert for_fees.value.available == 10**9
        assert for_value.value.needed >= 10**18
        assert await sender.pending() is None

    run(tmp_path, main)


@pytest.mark.parametrize(
    ("limits", "which"),
    [
        (FeeLimits(max_fee_per_gas=GWEI), "max_fee_per_gas"),
        (FeeLimits(max_cost=1), "max_cost"),
        (FeeLimits(max_cost_per_period=1), "max_cost_per_period"),
    ],
)
def test_limits_on_fees_forbid_before_anything_is_signed(tmp_path, limits, which):
    async def main(rig):
        sender = rig.sender(limits=limits)

        with pytest.raises(FeeLimitError) as refused:
            await sender.send(call())

        assert refused.value.what == which
        assert await sender.pending() is None

    run(tmp_path, main)


def test_budget_of_a_period_counts_what_was_paid_by_any_process(tmp_path):
    async def main(rig):
        # Room for one at its highest, and what one costs in the end, but not for two.
        limits = FeeLimits(max_cost_per_period=250_000 * GWEI)
        await rig.sender(limits=limits).send(call(1), period=7)
        await rig.sender(limits=limits).send(call(2), period=7)

        with pytest.raises(FeeLimitError, match="max_cost_per_period"):
            await rig.sender(limits=limits).send(call(3), period=7)
        await rig.sender(limits=limits).send(call(3), period=8)

        assert len(rig.chain.mined) == 3

    run(tmp_path, main)


def test_refusal_of_the_contract_costs_nothing_when_it_shows_in_time(tmp_path):
    async def main(rig):
        rig.chain.refused[b"\x01"] = "stake"

        with pytest.raises(RevertedError, match="stake in an active node") as refused:
            await rig.sender().send(call())

        assert refused.value.hash is None
        assert not rig.chain.mined

    run(tmp_path, main)


def test_refusal_when_mined_names_reason_and_cost(tmp_path):
    async def main(rig):
        sender = rig.sender()
        task = asyncio.create_task(sender.send(call()))
        await rig.something_waits()
        rig.chain.refused[b"\x01"] = "outbid"

        with pytest.raises(RevertedError, match="fill all seats") as refused:
            await task

        assert refused.value.hash == rig.chain.mined[0].hash
        assert refused.value.cost > 0
        assert await sender.pending() is None

    run(tmp_path, main)


def test_more_gas_than_a_block_has_is_said_before_anything_is_signed(tmp_path):
    async def main(rig):
        rig.endpoints[0].answers["eth_estimateGas"] = hex(30_000_001)
        sender = rig.sender()

        with pytest.raises(TransactionRefusedError, match="more than a block has"):
            await sender.send(call())

        assert await sender.pending() is None

    run(tmp_path, main)


def test_money_that_is_gone_when_it_is_sent_is_said(tmp_path):
    async def main(rig):
        sender = rig.sender()

        def spend(_):
            rig.chain.balance = 10**9

        with pytest.raises(InsufficientFundsError) as refused:
            await sender.send(call(), on_signed=spend)
        assert refused.value.available == 10**9
        rig.chain.balance = 10**18

        outcome = await sender.send(call())

        assert outcome.is_resumed
        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main)


def test_refusal_that_does_not_repeat_is_said_too(tmp_path):
    async def main(rig):
        task = asyncio.create_task(rig.sender().send(call()))
        await rig.something_waits()
        rig.chain.refused[b"\x01"] = "outbid"
        rig.endpoints[0].answers["eth_call"] = "0x"

        with pytest.raises(RevertedError, match="no reason given"):
            await task

    run(tmp_path, main)


def test_hash_is_told_before_the_transaction_leaves(tmp_path):
    async def main(rig):
        told = []

        def listen(transaction):
            assert not rig.chain.pool
            told.append(transaction)

        await rig.sender().send(call(1), on_signed=listen)

        assert told == [rig.chain.mined[0].hash]

    run(tmp_path, main)
