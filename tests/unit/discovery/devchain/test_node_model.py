"""Whatever is asked in whatever order, the chain is what a simple account book says."""

import tempfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.discovery.devchain.rig import (
    GWEI,
    STRANGER,
    Chain,
    Clock,
    RpcFailureError,
)

PAYERS = ("alice", "bob")


class NodeModel(RuleBasedStateMachine):
    """Payments are sent, replaced, mined, reorganised, reverted; the node restarts."""

    def __init__(self):
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._clock = Clock()
        self._chain = None
        self._open()
        self._sent = {}  # hash: (payer, nonce, value)
        self._snapshots = []

    def _open(self):
        path = Path(self._folder.name, "chain.db")
        self._chain = Chain(self._clock, path=path, finality=2)

    def teardown(self):
        self._chain.node.close()
        self._folder.cleanup()

    @rule(
        payer=st.sampled_from(PAYERS),
        ahead=st.sampled_from([0, 0, 0, 1, 2]),
        value=st.integers(1, 1_000),
        fee=st.integers(2, 9),
    )
    def send(self, payer, ahead, value, fee):
        who = self._chain.account(payer).address
        nonce = self._chain.number("eth_getTransactionCount", who, "latest") + ahead
        with suppress(RpcFailureError):  # already known, or it does not pay enough
            tx = self._chain.send(
                payer,
                nonce=nonce,
                value=value,
                maxFeePerGas=fee * GWEI,
                maxPriorityFeePerGas=fee * GWEI // 2,
            )
            self._sent[tx] = (payer, nonce, value)

    @rule(on=st.booleans())
    def automine(self, on):
        self._chain.automine(on=on)

    @rule(seconds=st.integers(0, 100))
    def mine(self, seconds):
        self._clock.now += seconds
        self._chain("evm_mine")

    @precondition(lambda self: self._chain.node.chain.head.block_number > 0)
    @rule(data=st.data(), replay=st.booleans())
    def reorganise(self, data, replay):
        head = self._chain.number("eth_blockNumber")
        depth = data.draw(st.integers(1, min(3, head)))
        self._chain("dev_reorg", depth, replay)
        assert self._chain.number("eth_blockNumber") == head

    @rule()
    def snapshot(self):
        self._snapshots.append(self._chain("evm_snapshot"))

    @precondition(lambda self: self._snapshots)
    @rule()
    def revert(self):
        self._chain("evm_revert", self._snapshots.pop())

    @rule()
    def restart(self):
        head = self._chain.block()["hash"]
        self._chain.node.close()
        self._open()
        self._snapshots.clear()
        assert self._chain.block()["hash"] == head

    @invariant()
    def blocks_hang_together_with_rising_times(self):
        head = self._chain.node.chain.head.block_number
        blocks = [self._chain.block(hex(i)) for i in range(head + 1)]
        for parent, child in pairwise(blocks):
            assert child["parentHash"] == parent["hash"]
            assert int(child["timestamp"], 16) > int(parent["timestamp"], 16)

    @invariant()
    def accounts_have_what_the_receipts_say(self):
        mined = [tx for tx in self._sent if self._chain.receipt(tx) is not None]
        balance = self._chain.number("eth_getBalance", STRANGER)
        assert balance == sum(self._sent[tx][2] for tx in mined)
        for payer in PAYERS:
            who = self._chain.account(payer).address
            nonces = sorted(
                self._sent[tx][1] for tx in mined if self._sent[tx][0] == payer
            )
            assert nonces == list(range(len(nonces)))
            count = self._chain.number("eth_getTransactionCount", who, "latest")
            assert count == len(nonces)

    @invariant()
    def what_waits_is_what_the_file_keeps(self):
        waiting = {entry.transaction.raw for entry in self._chain.node.pool}
        assert waiting == set(self._chain.node.chain.store.pooled())

    @invariant()
    def nothing_of_ours_failed(self):
        assert self._chain.faults == []


TestNodeModel = NodeModel.TestCase
TestNodeModel.settings = settings(max_examples=25, stateful_step_count=25)
