"""Sending on a chain that drops blocks, is set back, or is set up anew."""

import asyncio

import pytest

from discovery.transactions.errors import ForgottenError
from tests.unit.discovery.transactions.rig import actions, call, run


def test_mined_transaction_that_a_reorganisation_drops_is_sent_again(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        rig.miner.cancel()
        while rig.chain.mined:
            rig.chain.drop_block()
        rig.start_mining()

        await rig.sender().send(call(2))

        assert actions(rig.chain) == [b"\x01", b"\x02"]

    run(tmp_path, main)


def test_reorganisation_while_waiting_for_depth_is_waited_out(tmp_path):
    async def main(rig):
        sender = rig.sender(confirmations=3)
        task = asyncio.create_task(sender.send(call(1)))
        await rig.something_is_mined()
        rig.chain.drop_block()
        assert not rig.chain.mined

        outcome = await task

        assert actions(rig.chain) == [b"\x01"]
        assert rig.chain.blocks[-1].number - outcome.receipt.block + 1 >= 3

    run(tmp_path, main)


def test_chain_that_was_set_back_is_named(tmp_path):
    async def main(rig):
        for number in range(1, 12):
            await rig.sender().send(call(number))
        rig.chain.blocks = rig.chain.blocks[:1]

        with pytest.raises(ForgottenError, match=r"move .* away") as refused:
            await rig.sender().send(call(99))

        assert (refused.value.expected, refused.value.found) == (11, 0)

    run(tmp_path, main)


def test_chain_set_up_anew_has_a_journal_of_its_own(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        rig.chain.blocks = rig.chain.blocks[:1]
        block = {"hash": "0x" + "77" * 32}
        endpoint = rig.endpoints[0]

        def blocks(number, _):
            return (
                block if number == "0x0" else endpoint._eth_getBlockByNumber(number, _)
            )

        endpoint.answers["eth_getBlockByNumber"] = blocks

        await rig.sender().send(call(2))

        assert [payment.nonce for payment in rig.chain.mined] == [0]

    run(tmp_path, main)
