"""Blocks are found by tag, number and hash; odd parameters are the client's mistake."""

import pytest

from tests.unit.discovery.devchain.rig import STRANGER, RpcFailureError


def number_of(chain, name):
    block = chain.block(name)
    return None if block is None else int(block["number"], 16)


def test_tags_name_blocks(make_chain):
    chain = make_chain(finality=2)
    for _ in range(5):
        chain("evm_mine")

    tags = ("earliest", "finalized", "safe", "latest", "pending")
    assert [number_of(chain, tag) for tag in tags] == [0, 3, 3, 5, 6]


def test_finalized_is_block_0_while_the_chain_is_short(make_chain):
    chain = make_chain(finality=9)
    chain("evm_mine")

    assert number_of(chain, "finalized") == 0


def test_block_is_found_by_number_and_hash(chain):
    chain("evm_mine")
    block = chain.block("0x1")

    for name in (1, "0x01", block["hash"]):
        assert chain.block(name) == block
    for name in (
        {"blockHash": block["hash"]},
        {"blockNumber": "0x1"},
        {"blockNumber": "latest"},
        "0x1",
    ):
        assert chain("eth_getBalance", STRANGER, name) == "0x0"


@pytest.mark.parametrize("name", ["0x2", "0x" + "ff" * 32, "0x" + "9" * 60])
def test_block_that_is_not_there_is_null_or_an_error(chain, name):
    assert chain.block(name) is None
    with pytest.raises(RpcFailureError, match="block not found") as failed:
        chain("eth_getBalance", STRANGER, name)

    assert failed.value.code == -32001


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", []),
        ("eth_getBalance", ["0x77"]),
        ("eth_getBalance", [STRANGER, "newest"]),
        ("eth_getBalance", [STRANGER, {"blockHash": "0x12"}]),
        ("eth_getBalance", [STRANGER, {}]),
        ("eth_getBalance", [STRANGER, True]),
        ("eth_getBlockByNumber", []),
        ("eth_getBlockByNumber", [None]),
        ("eth_getBlockByNumber", ["latest", "yes"]),
        ("eth_getTransactionReceipt", ["0x12"]),
        ("eth_getStorageAt", [STRANGER, "zero"]),
        ("eth_getProof", [STRANGER, "0x0"]),
        ("eth_getProof", [STRANGER, ["-1"]]),
        ("eth_call", ["0x"]),
        ("eth_call", [{"to": "0x12"}]),
        ("eth_call", [{"to": STRANGER, "data": "12"}]),
        ("eth_call", [{"to": STRANGER, "value": "lots"}]),
        ("eth_call", [{"to": STRANGER}, "latest", {STRANGER: {"balance": "0x1"}}]),
        ("eth_getLogs", [{"topics": [["0x12"]]}]),
        ("eth_getLogs", [{"topics": [[]] * 5}]),
        ("eth_getLogs", [{"address": 5}]),
        ("eth_getLogs", [{"address": ["0x" + "00" * 20] * 300}]),
        ("eth_getLogs", [[]]),
        ("eth_feeHistory", [1, "latest", 5]),
        ("eth_sendRawTransaction", []),
        ("eth_sendRawTransaction", ["0x12"]),
        ("eth_sendRawTransaction", ["0x"]),
        ("evm_increaseTime", ["later"]),
        ("evm_increaseTime", [2**60]),
        ("evm_setNextBlockTimestamp", [5]),
        ("evm_setAutomine", ["on"]),
        ("anvil_setBalance", [STRANGER, 2**256]),
        ("anvil_mine", [10**9]),
        ("dev_reorg", [10**9]),
    ],
)
def test_wrong_parameters_are_the_clients_mistake(chain, method, params):
    with pytest.raises(RpcFailureError) as failed:
        chain(method, *params)

    assert failed.value.code == -32602
    assert chain.number("eth_blockNumber") == 0


def test_input_wins_over_data(chain, code):
    probe = chain.deploy(code.blockhash)
    one, zero = "0x" + "00" * 31 + "01", "0x" + "00" * 32

    answer = chain("eth_call", {"to": probe, "input": zero, "data": one})

    assert answer == chain.block("0x0")["hash"]
