"""What enough endpoints agree on (psp/runtime/quorum.py)."""

import asyncio

import pytest

from psp.directory.chain.header import BlockHeader
from psp.errors import DecodeError
from psp.runtime.quorum import (
    ChainReadError,
    ForeignChainError,
    NoQuorumError,
    QuorumRpc,
)
from psp.runtime.rpc import RpcError, RpcUnavailableError
from psp.testing.chain import MemoryContracts
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation
from psp.units import Seconds

CHAIN_ID = 7
BRANCH, OTHER = b"", b"another"
CONTRACTS = MemoryContracts()


def block_json(height, branch):
    return CONTRACTS.block(height, 1_790_000_000 + height, fork=branch)


def branch_of(agreed):
    """The branch that a block is on."""
    number = agreed.header.number
    hashes = {
        BlockHeader.from_json(block_json(number, branch)).hash: branch
        for branch in (BRANCH, OTHER)
    }
    return hashes[agreed.header.hash]


class Endpoint:
    """One endpoint: its height, its branch, and how it behaves."""

    def __init__(self, height=10, branch=BRANCH, *, chain=CHAIN_ID, delay=0.0):
        self.name = f"endpoint at {height}"
        self.height = height
        self.branch = branch
        self.chain = chain
        self.delay = delay
        self.asked = []

    async def call(self, method, *params):
        self.asked.append((method, *params))
        await asyncio.sleep(self.delay)
        if self.height is None:
            raise RpcUnavailableError("dead")
        if method == "eth_chainId":
            return hex(self.chain)
        wanted = self.height if params[0] == "finalized" else int(params[0], 16)
        if wanted > self.height:
            return None
        return block_json(wanted, self.branch)


def agree(*endpoints, quorum=2, patience=1.0, height=None):
    """Ask in virtual time; return the agreement and how long it took."""

    async def main(_):
        rpc = QuorumRpc(
            endpoints,
            chain_id=CHAIN_ID,
            quorum=quorum,
            entropy=SeededEntropy(1),
            patience=Seconds(patience),
        )
        loop = asyncio.get_running_loop()
        started = loop.time()
        agreed = await (rpc.newest() if height is None else rpc.at(height))
        return agreed, loop.time() - started

    return run_simulation(main)


def test_all_at_one_height_are_a_full_quorum():
    agreed, _ = agree(Endpoint(), Endpoint(), Endpoint())

    assert agreed.header.number == 10
    assert (agreed.voices, agreed.is_full) == (3, True)


def test_the_height_that_enough_have_reached_counts():
    agreed, _ = agree(Endpoint(12), Endpoint(11), Endpoint(9))

    assert agreed.header.number == 11
    assert (agreed.voices, agreed.is_full) == (2, False)


def test_a_liar_far_ahead_costs_one_height_at_most():
    agreed, _ = agree(Endpoint(10**9, OTHER), Endpoint(11), Endpoint(10))

    assert agreed.header.number == 10
    assert branch_of(agreed) == BRANCH


def test_a_liar_behind_changes_nothing():
    agreed, _ = agree(Endpoint(0, OTHER), Endpoint(11), Endpoint(11))

    assert agreed.header.number == 11


def test_two_branches_of_one_height_are_no_agreement():
    with pytest.raises(NoQuorumError, match="one lies, or the chain is being"):
        agree(Endpoint(10), Endpoint(10, OTHER))


def test_too_few_answers_are_no_agreement():
    with pytest.raises(NoQuorumError, match="1 of 3 chain endpoints gave a valid"):
        agree(Endpoint(10), Endpoint(None), Endpoint(None))


def test_a_slow_endpoint_is_waited_for_a_moment_only():
    agreed, took = agree(Endpoint(), Endpoint(), Endpoint(delay=60.0))

    assert agreed.voices == 2
    assert took < 5


def test_a_slow_honest_endpoint_settles_what_a_liar_began():
    agreed, took = agree(Endpoint(10, OTHER), Endpoint(), Endpoint(delay=4.0))

    assert branch_of(agreed) == BRANCH
    assert took > 4


def test_a_block_of_the_past_needs_the_same_agreement():
    agreed, _ = agree(Endpoint(10), Endpoint(12), Endpoint(9), height=10)

    assert agreed.header.number == 10
    with pytest.raises(NoQuorumError):
        agree(Endpoint(10), Endpoint(9), Endpoint(9), height=10)


def test_another_chain_is_named_only_if_too_few_are_left():
    agreed, _ = agree(Endpoint(chain=1), Endpoint(), Endpoint())
    assert agreed.voices == 2
    with pytest.raises(ForeignChainError, match=r"2 of 3 .* another chain than 7"):
        agree(Endpoint(chain=1), Endpoint(chain=1), Endpoint())


def test_who_misbehaved_is_asked_last_and_not_given_up():
    good, bad = Endpoint(), Endpoint()

    async def main(_):
        rpc = QuorumRpc(
            [bad, good], chain_id=CHAIN_ID, quorum=1, entropy=SeededEntropy(2)
        )
        rpc.judge(bad, is_good=False)
        first = [rpc.ordered()[0] for _ in range(20)]
        rpc.judge(bad, is_good=True)
        return first, {rpc.ordered()[0] for _ in range(20)}

    first, later = run_simulation(main)

    assert first == [good] * 20
    assert later == {good, bad}


@pytest.mark.parametrize(
    "error", [DecodeError("false"), RpcError(3, "no"), RpcUnavailableError("gone")]
)
def test_the_next_endpoint_is_asked_when_one_is_no_good(error):
    first, second = Endpoint(), Endpoint()

    async def main(_):
        rpc = QuorumRpc(
            [first, second], chain_id=CHAIN_ID, quorum=1, entropy=SeededEntropy(3)
        )
        refused = rpc.ordered()[0]

        async def work(endpoint):
            if endpoint is refused:
                raise error
            return "shown"

        async def fail(_):
            raise error

        shown = await rpc.ask_any(work, "it")
        with pytest.raises(ChainReadError, match="no endpoint can show it"):
            await rpc.ask_any(fail, "it")
        return shown

    assert run_simulation(main) == "shown"
