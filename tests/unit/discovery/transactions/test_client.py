"""Several endpoints as one chain (discovery/transactions/client.py)."""

import asyncio
import threading

import pytest
from eth_abi import encode

from discovery.transactions.answers import SendAnswer
from discovery.transactions.call import Call
from discovery.transactions.client import Endpoints, finish
from discovery.transactions.errors import (
    ChainUnreachableError,
    RevertedError,
    WrongChainError,
)
from psp.runtime.rpc import RpcError, RpcUnavailableError
from psp.testing.payments import GAS, PaymentChain
from psp.testing.simloop import run_simulation

ACCOUNT = b"a" * 20
CONTRACT = b"c" * 20
CALL = Call(CONTRACT, b"\x01")


def rig(count=3):
    chain = PaymentChain(ACCOUNT)
    rpcs = [chain.endpoint() for _ in range(count)]
    return chain, rpcs, Endpoints(rpcs, chain.chain_id)


def run(coroutine):
    async def main(_):
        return await coroutine

    return run_simulation(main)


def refusing(code, message, data=None):
    def refuse(*_):
        raise RpcError(code, message, data)

    return refuse


def test_figures_are_the_median_so_that_one_liar_is_outvoted():
    chain, rpcs, endpoints = rig()
    for lie in ("0x0", hex(2**200)):
        rpcs[1].answers = dict.fromkeys(
            ("eth_getBalance", "eth_estimateGas", "eth_maxPriorityFeePerGas"), lie
        )

        assert run(endpoints.balance(ACCOUNT)) == chain.balance
        assert run(endpoints.estimate(CALL, ACCOUNT)) == GAS
        assert run(endpoints.tip()) == 10**8


def test_head_is_that_of_the_median_endpoint():
    chain, rpcs, endpoints = rig()
    for _ in range(9):
        chain.mine()
    rpcs[0].lag = 5

    assert run(endpoints.head()).number == 9


def test_tip_is_a_custom_where_nobody_suggests_one():
    _, rpcs, endpoints = rig(1)
    rpcs[0].answers["eth_maxPriorityFeePerGas"] = refusing(-32601, "no such method")

    assert run(endpoints.tip()) == 10**9


def test_endpoints_of_another_chain_are_not_asked():
    chain, rpcs, endpoints = rig()
    rpcs[0].answers = {"eth_chainId": "0x1", "eth_getBalance": "0x7"}
    rpcs[1].is_dead = True

    assert run(endpoints.balance(ACCOUNT)) == chain.balance
    assert rpcs[0].asked == ["eth_chainId"]


def test_settings_for_another_chain_are_noticed_and_can_be_corrected():
    _, rpcs, endpoints = rig()
    for rpc in rpcs:
        rpc.answers["eth_chainId"] = "0x5"
    with pytest.raises(WrongChainError):
        run(endpoints.check())

    for rpc in rpcs:
        rpc.answers.clear()

    run(endpoints.check())


def test_endpoint_that_was_dead_at_first_is_asked_later():
    chain, rpcs, endpoints = rig(2)
    rpcs[1].is_dead = True
    run(endpoints.check())
    rpcs[0].is_dead, rpcs[1].is_dead = True, False
    with pytest.raises(ChainUnreachableError):
        run(endpoints.balance(ACCOUNT))

    assert run(endpoints.balance(ACCOUNT)) == chain.balance


def test_malformed_answers_count_as_none():
    _, rpcs, endpoints = rig(1)
    rpcs[0].answers["eth_getBalance"] = {"x": 1}

    with pytest.raises(ChainUnreachableError, match="hex values are strings"):
        run(endpoints.balance(ACCOUNT))


def test_first_block_needs_most_of_the_answers():
    _, rpcs, endpoints = rig()
    true = run(endpoints.genesis())
    rpcs[0].answers["eth_getBlockByNumber"] = {"hash": "0x" + "11" * 32}
    assert run(endpoints.genesis()) == true

    rpcs[1].answers["eth_getBlockByNumber"] = {"hash": "0x" + "22" * 32}
    with pytest.raises(ChainUnreachableError, match="do not agree"):
        run(endpoints.genesis())
    rpcs[0].answers["eth_getBlockByNumber"] = []
    rpcs[1].answers["eth_getBlockByNumber"] = []
    rpcs[2].answers["eth_getBlockByNumber"] = []
    with pytest.raises(ChainUnreachableError, match="not a block"):
        run(endpoints.genesis())


def test_nonce_counts_as_mined_only_when_most_of_all_endpoints_say_so():
    chain, rpcs, endpoints = rig()
    run(endpoints.check())
    rpcs[0].answers["eth_getTransactionCount"] = "0x9"
    assert run(endpoints.mined_nonce(ACCOUNT)) == 0

    rpcs[1].is_dead = rpcs[2].is_dead = True
    assert run(endpoints.mined_nonce(ACCOUNT)) == 0

    rpcs[1].is_dead = False
    rpcs[1].answers["eth_getTransactionCount"] = "0x8"
    assert run(endpoints.mined_nonce(ACCOUNT)) == 8
    assert not chain.mined


def test_contract_is_read_as_most_have_it():
    _, rpcs, endpoints = rig()
    for rpc, number in zip(rpcs, (5, 7, 7), strict=True):
        rpc.answers["eth_call"] = "0x" + number.to_bytes(32).hex()

    assert run(endpoints.read("Relays", CONTRACT, "epoch")) == 7
    assert run(endpoints.read("Relays", CONTRACT, "epoch", block=3)) == 7


def test_address_without_the_contract_is_said():
    _, _, endpoints = rig()

    with pytest.raises(ChainUnreachableError, match="not uint256"):
        run(endpoints.read("Relays", CONTRACT, "epoch"))


@pytest.mark.parametrize(
    ("message", "data", "reason"),
    [
        (
            "execution reverted",
            "0x08c379a0" + encode(["string"], ["wait"]).hex(),
            "wait",
        ),
        ("execution reverted: wait", None, "wait"),
        ("execution reverted", {"data": "0x"}, "execution reverted"),
    ],
)
def test_refusal_is_explained_in_whatever_form_it_comes(message, data, reason):
    _, rpcs, endpoints = rig(1)
    rpcs[0].answers["eth_estimateGas"] = refusing(3, message, data)

    with pytest.raises(RevertedError, match=reason):
        run(endpoints.estimate(CALL, ACCOUNT))


def test_one_endpoint_cannot_forbid_a_call():
    _, rpcs, endpoints = rig()
    rpcs[0].answers["eth_call"] = refusing(3, "execution reverted")

    assert run(endpoints.try_call(CALL, ACCOUNT)) == b""


def test_answers_to_a_sending_are_gathered():
    _, rpcs, endpoints = rig()
    rpcs[0].answers["eth_sendRawTransaction"] = refusing(-32000, "nonce too low")
    rpcs[1].answers["eth_sendRawTransaction"] = refusing(-32000, "strange")
    rpcs[2].answers["eth_sendRawTransaction"] = "0x" + "11" * 32

    made = run(endpoints.send(b"raw"))

    assert made == {
        SendAnswer.NONCE_USED: "nonce too low",
        SendAnswer.REFUSED: "strange",
        SendAnswer.TAKEN: "",
    }


def test_sending_to_nobody_is_said():
    _, rpcs, endpoints = rig()
    run(endpoints.check())
    for rpc in rpcs:
        rpc.is_dead = True

    with pytest.raises(ChainUnreachableError, match="none of 3 endpoints"):
        run(endpoints.send(b"raw"))


class SlowEndpoint:
    """Answers after some seconds."""

    def __init__(self, seconds, answer="0x1"):
        self.seconds = seconds
        self.answer = answer

    async def call(self, method, *_):
        if method == "eth_chainId":
            return "0x1"
        await asyncio.sleep(self.seconds)
        if self.answer is None:
            raise RpcUnavailableError("endpoint: dead")
        return self.answer


def test_slow_endpoint_is_not_waited_for_when_most_have_answered():
    async def main(_):
        slow = [SlowEndpoint(0.1), SlowEndpoint(0.2), SlowEndpoint(60, "0x9")]
        endpoints = Endpoints(slow, 1)
        start = endpoints.now()

        assert await endpoints.balance(ACCOUNT) == 1

        return endpoints.now() - start

    assert run_simulation(main) < 2


def test_dead_endpoints_do_not_count_as_answers():
    async def main(_):
        slow = [SlowEndpoint(0.1, None), SlowEndpoint(0.2, None), SlowEndpoint(15)]
        return await Endpoints(slow, 1).balance(ACCOUNT)

    assert run_simulation(main) == 1


@pytest.mark.parametrize("hanging", [1, 2])
def test_hanging_endpoints_are_waited_for_once_and_forgiven_later(hanging):
    async def main(_):
        bad = [SlowEndpoint(16, None) for _ in range(hanging)]
        endpoints = Endpoints(
            [*bad, *(SlowEndpoint(0.1) for _ in range(3 - hanging))], 1
        )
        spans = []
        for pause in (0, 0, 100, 0):
            await asyncio.sleep(pause)
            start = endpoints.now()
            await endpoints.balance(ACCOUNT)
            spans.append(round(endpoints.now() - start, 1))
        return spans

    first, second, third, fourth = run_simulation(main)
    assert first == third == (1.1 if hanging == 1 else 16)
    assert second == fourth == 0.1


def test_endpoint_that_never_said_its_chain_is_asked_again_now_and_then():
    async def main(_):
        _, rpcs, endpoints = rig(2)
        rpcs[1].is_dead = True
        for _ in range(5):
            await endpoints.balance(ACCOUNT)
        assert rpcs[1].asked == ["eth_chainId"]
        rpcs[1].is_dead = False
        await asyncio.sleep(100)
        await endpoints.balance(ACCOUNT)
        assert rpcs[1].asked == ["eth_chainId", "eth_chainId", "eth_getBalance"]

    run_simulation(main)


async def test_writing_goes_on_to_its_end_when_the_caller_is_cancelled():
    started, may_end = threading.Event(), threading.Event()
    ended = []

    def write():
        started.set()
        may_end.wait(10)
        ended.append(1)

    task = asyncio.create_task(finish(write))
    await asyncio.to_thread(started.wait, 10)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [1]


async def test_failure_of_writing_reaches_the_caller():
    def write():
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        await finish(write)
