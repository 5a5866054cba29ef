"""The rules by which blocks are made, seen over JSON-RPC."""

import pytest
from eth.vm.forks.prague.state import PragueState

from discovery.devchain.config import DevChainConfig
from discovery.devchain.node import MAX_SNAPSHOTS, DevNode
from tests.unit.discovery.devchain.rig import START, STRANGER, RpcFailureError


def balance(chain, who=STRANGER):
    return chain.number("eth_getBalance", who, "latest")


def test_transaction_is_in_a_block_when_it_is_acknowledged(chain):
    tx = chain.send(value=5)

    assert chain.receipt(tx)["blockNumber"] == "0x1"
    assert balance(chain) == 5


def test_transaction_waits_for_the_next_block_when_blocks_are_timed(make_chain):
    chain = make_chain(block_time=1)
    tx = chain.send()
    assert chain.receipt(tx) is None
    assert chain("eth_getTransactionByHash", tx)["blockNumber"] is None
    alice = chain.account().address
    assert chain.number("eth_getTransactionCount", alice, "pending") == 1
    assert chain.number("eth_getTransactionCount", alice, "latest") == 0

    chain.node.mine()

    assert chain.receipt(tx)["status"] == "0x1"


def test_reverting_transaction_is_in_a_block_with_status_0(chain, code):
    refuse = chain.deploy(code.refuse)

    tx = chain.send(to=refuse, value=0, gas=100_000)

    assert chain.receipt(tx)["status"] == "0x0"


def test_nonce_too_low_and_too_high_are_named(chain):
    chain.send()

    with pytest.raises(RpcFailureError, match="nonce too low"):
        chain.send(nonce=0, value=2)
    with pytest.raises(RpcFailureError, match="nonce too high"):
        chain.send(nonce=500)


def test_later_nonce_waits_for_the_one_before_it(chain):
    second = chain.send(nonce=1)
    assert chain.receipt(second) is None

    first = chain.send(nonce=0)

    assert chain.receipt(first)["blockNumber"] == "0x1"
    assert chain.receipt(second)["blockNumber"] == "0x1"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gas": 20_999}, "intrinsic gas too low"),
        ({"gas": 30_000, "data": "0x" + "ff" * 500}, "intrinsic gas too low"),
        ({"value": 10**30}, "insufficient funds"),
        ({"gas": 60_000_001}, "exceeds block gas limit"),
        ({"maxFeePerGas": 1, "maxPriorityFeePerGas": 1}, "less than block base fee"),
        ({"chainId": 5}, "invalid chain id"),
    ],
)
def test_transaction_that_cannot_be_is_refused_and_leaves_no_trace(
    chain, fields, message
):
    with pytest.raises(RpcFailureError, match=message):
        chain.send(**fields)

    assert chain.number("eth_blockNumber") == 0
    assert len(chain.node.pool) == 0


def test_replacement_goes_instead_of_the_first(make_chain):
    chain = make_chain(block_time=1)
    first = chain.send(nonce=0, value=5)

    second = chain.send(
        nonce=0, value=7, maxFeePerGas=9 * 10**9, maxPriorityFeePerGas=2 * 10**9
    )
    chain.node.mine()

    assert chain("eth_getTransactionByHash", first) is None
    assert chain.receipt(second)["status"] == "0x1"
    assert balance(chain) == 7


def test_transaction_that_became_impossible_does_not_hold_up_others(make_chain):
    chain = make_chain(block_time=1)
    poor = chain.account("bob").address
    chain("anvil_setBalance", poor, hex(10**17))
    chain.send("bob", nonce=0, value=9 * 10**16)
    hopeless = chain.send("bob", nonce=1, value=9 * 10**16)
    other = chain.send("alice")

    chain.node.mine()
    chain.node.mine()

    assert chain.receipt(other)["status"] == "0x1"
    assert chain("eth_getTransactionByHash", hopeless) is None
    assert len(chain.node.pool) == 0


def test_transaction_py_evm_fails_on_does_not_hold_up_others(make_chain, monkeypatch):
    chain = make_chain(block_time=1)
    broken, other = chain.send("alice"), chain.send("bob")
    execute = PragueState.apply_transaction

    def fail_for_alice(self, transaction):
        if transaction.sender == bytes.fromhex(chain.account("alice").address[2:]):
            raise ZeroDivisionError
        return execute(self, transaction)

    monkeypatch.setattr(PragueState, "apply_transaction", fail_for_alice)
    chain.node.mine()

    assert chain.receipt(other)["status"] == "0x1"
    assert chain("eth_getTransactionByHash", broken) is None
    chain.automine(on=True)
    with pytest.raises(RpcFailureError, match="could not be put into a block"):
        chain.send("alice")


def test_what_does_not_fit_goes_into_the_next_block(chain, code):
    burn = chain.deploy(code.invalid)
    chain.automine(on=False)
    txs = [chain.send(to=burn, value=0, gas=25_000_000) for _ in range(3)]

    chain.node.mine()
    chain.node.mine()

    blocks = [chain.receipt(tx)["blockNumber"] for tx in txs]
    assert blocks == ["0x2", "0x2", "0x3"]


def test_transaction_that_waits_survives_a_restart(make_chain, tmp_path):
    settings = {"path": tmp_path / "chain.db", "block_time": 1}
    before = make_chain(**settings)
    tx = before.send()
    before.node.close()

    after = make_chain(**settings)
    after.node.mine()

    assert after.receipt(tx)["status"] == "0x1"


def test_turning_automine_on_mines_what_waits(make_chain):
    chain = make_chain(block_time=1)
    tx = chain.send()

    chain.automine(on=True)

    assert chain.receipt(tx)["status"] == "0x1"


def test_chain_that_starts_in_the_past_goes_on_there(make_chain, clock):
    chain = make_chain(genesis_time=START - 1_000)
    assert chain.number("eth_blockNumber") == 0
    clock.now += 10

    chain("evm_mine")
    chain("evm_increaseTime", 500)
    chain("evm_mine")
    chain("evm_setNextBlockTimestamp", START + 10)
    chain("evm_mine")
    clock.now += 5
    chain("evm_mine")

    times = [int(chain.block(hex(i))["timestamp"], 16) for i in range(5)]
    assert times == [
        START - 1_000,
        START - 990,
        START - 490,
        START + 10,
        START + 15,
    ]


def test_moved_clock_survives_a_restart(make_chain, tmp_path):
    before = make_chain(path=tmp_path / "chain.db")
    before("evm_increaseTime", 500)
    before.node.close()

    after = make_chain(path=tmp_path / "chain.db")
    after("evm_mine")

    assert int(after.block()["timestamp"], 16) == START + 500


def test_reorganisation_replaces_blocks_of_the_same_times(chain, clock):
    tx = chain.send(value=5)
    clock.now += 30
    chain("evm_mine")
    old = [chain.block(hex(i)) for i in range(3)]

    chain("dev_reorg", 2)

    new = [chain.block(hex(i)) for i in range(3)]
    assert new[0] == old[0]
    assert new[1]["hash"] != old[1]["hash"]
    assert [one["timestamp"] for one in new] == [one["timestamp"] for one in old]
    assert chain("eth_getBlockByHash", old[2]["hash"]) is None
    assert chain.receipt(tx) is None
    assert balance(chain) == 0
    chain("evm_mine")
    assert int(chain.block()["timestamp"], 16) == START + 31


def test_reorganisation_can_keep_the_transactions(chain):
    tx = chain.send(value=5)
    old = chain.receipt(tx)

    chain.node.reorganise(1, replay=True)

    new = chain.receipt(tx)
    assert new["blockNumber"] == old["blockNumber"]
    assert new["blockHash"] != old["blockHash"]
    assert balance(chain) == 5


def test_transaction_too_cheap_for_the_first_new_block_is_in_a_later_one(make_chain):
    chain = make_chain(block_time=1)
    for _ in range(10):  # empty blocks: the base fee falls
        chain.node.mine()
    tx = chain.send(gasPrice=chain.number("eth_gasPrice") - 10**9)
    chain.node.mine()
    assert chain.receipt(tx)["blockNumber"] == "0xb"

    chain.node.reorganise(11, replay=True)

    assert chain.receipt(tx)["blockNumber"] == "0xb"


@pytest.mark.parametrize("depth", [0, 2])
def test_reorganisation_does_not_reach_block_0(chain, depth):
    chain("evm_mine")

    with pytest.raises(RpcFailureError, match="cannot replace"):
        chain("dev_reorg", depth)


def test_revert_goes_back_to_the_snapshot_once(chain):
    chain.send(value=5)
    snapshot = chain("evm_snapshot")
    chain.send(value=5)
    chain("evm_increaseTime", 1_000)

    assert chain("evm_revert", snapshot) is True
    assert balance(chain) == 5
    assert chain.number("eth_blockNumber") == 1
    assert chain("evm_revert", snapshot) is False
    chain("evm_mine")
    assert int(chain.block()["timestamp"], 16) == START + 2


def test_revert_brings_back_what_waited(make_chain):
    chain = make_chain(block_time=1)
    tx = chain.send()
    snapshot = chain("evm_snapshot")
    chain.node.mine()
    later = chain.send()

    assert chain("evm_revert", snapshot) is True

    assert chain("eth_getTransactionByHash", later) is None
    chain.node.mine()
    assert chain.receipt(tx)["status"] == "0x1"


def test_revert_to_a_block_that_was_reorganised_away_is_refused(chain):
    chain("evm_mine")
    snapshot = chain("evm_snapshot")
    chain("dev_reorg", 1)

    assert chain("evm_revert", snapshot) is False


def test_later_snapshots_are_used_up_too(chain):
    early, late = chain("evm_snapshot"), chain("evm_snapshot")

    assert chain("evm_revert", early) is True
    assert chain("evm_revert", late) is False


def test_snapshots_are_bounded(chain):
    first = chain("evm_snapshot")
    for _ in range(MAX_SNAPSHOTS):
        chain("evm_snapshot")

    assert chain("evm_revert", first) is False


def test_node_goes_on_with_the_chain_id_of_the_file(tmp_path, clock):
    DevNode(DevChainConfig(path=tmp_path / "c", chain_id=5), clock).close()

    again = DevNode(DevChainConfig(path=tmp_path / "c", chain_id=6), clock)

    assert again.chain.evm.chain_id == 5
    again.close()
