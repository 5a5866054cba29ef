"""Sending through endpoints that are wrong, dead, behind, or lie."""

import asyncio

import pytest

from discovery.transactions.errors import (
    ChainUnreachableError,
    TransactionRefusedError,
    WrongChainError,
)
from psp.runtime.rpc import RpcError
from tests.unit.discovery.transactions.rig import actions, call, run


def test_wrong_chain_is_refused(tmp_path):
    async def main(rig):
        with pytest.raises(WrongChainError) as refused:
            await rig.sender(chain_id=1).send(call())

        assert (refused.value.expected, refused.value.found) == (1, 1337)

    run(tmp_path, main)


def test_dead_endpoints_are_named_as_such(tmp_path):
    async def main(rig):
        for endpoint in rig.endpoints:
            endpoint.is_dead = True

        with pytest.raises(ChainUnreachableError, match="none of 3 endpoints"):
            await rig.sender().send(call())

    run(tmp_path, main, endpoints=3)


def test_one_living_endpoint_is_enough(tmp_path):
    async def main(rig):
        rig.endpoints[0].is_dead = rig.endpoints[2].is_dead = True

        await rig.sender().send(call())

        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main, endpoints=3)


def test_endpoints_may_die_while_a_transaction_waits(tmp_path):
    async def main(rig):
        task = asyncio.create_task(rig.sender().send(call()))
        await rig.something_waits()
        rig.endpoints[0].is_dead = True
        await asyncio.sleep(100)
        rig.endpoints[0].is_dead = False

        await task

        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main)


def test_endpoint_that_complains_of_money_without_reason_is_quoted(tmp_path):
    async def main(rig):
        def refuse(*_):
            raise RpcError(-32000, "insufficient funds, I say")

        rig.endpoints[0].answers["eth_sendRawTransaction"] = refuse

        with pytest.raises(TransactionRefusedError, match="I say"):
            await rig.sender().send(call())

    run(tmp_path, main)


def test_one_liar_cannot_make_us_believe_that_the_nonce_is_taken(tmp_path):
    async def main(rig):
        liar = rig.endpoints[0]
        liar.answers["eth_getTransactionCount"] = "0xffff"
        liar.answers["eth_getTransactionReceipt"] = None

        await rig.sender().send(call(1))
        await rig.sender().send(call(2))

        assert [payment.nonce for payment in rig.chain.mined] == [0, 1]

    run(tmp_path, main, endpoints=3)


def test_one_liar_cannot_make_us_believe_that_it_is_mined(tmp_path):
    async def main(rig):
        def receipt(transaction):
            return {
                "transactionHash": transaction,
                "blockNumber": "0x1",
                "gasUsed": "0x1",
                "effectiveGasPrice": "0x1",
                "status": "0x0",
                "logs": [],
                "contractAddress": None,
            }

        rig.endpoints[0].answers["eth_getTransactionReceipt"] = receipt

        outcome = await rig.sender().send(call(1))

        assert outcome.receipt.is_success
        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main, endpoints=3)


def test_lagging_endpoint_does_not_give_a_nonce_twice(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        rig.endpoints[0].lag = 1

        await rig.sender().send(call(2))

        assert [payment.nonce for payment in rig.chain.mined] == [0, 1]

    run(tmp_path, main)
