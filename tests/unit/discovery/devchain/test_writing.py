"""Methods that change something, beyond the rules of the node."""

import pytest

from tests.unit.discovery.devchain.rig import GWEI, START, STRANGER, RpcFailureError


def test_node_signs_for_its_accounts(chain):
    alice = chain.account().address

    tx = chain("eth_sendTransaction", {"from": alice, "to": STRANGER, "value": "0x5"})

    assert chain.receipt(tx)["gasUsed"] == hex(21_000)
    assert chain("eth_getBalance", STRANGER) == "0x5"


def test_node_takes_fees_gas_and_nonce_as_they_are_given(chain):
    alice = chain.account().address
    call = {"from": alice, "to": STRANGER, "gas": "0x9999", "nonce": "0x0"}

    dynamic = chain(
        "eth_sendTransaction",
        {**call, "maxFeePerGas": hex(7 * GWEI), "maxPriorityFeePerGas": hex(GWEI)},
    )
    flat = chain(
        "eth_sendTransaction", {**call, "nonce": "0x1", "gasPrice": hex(2 * GWEI)}
    )

    shown = chain("eth_getTransactionByHash", dynamic)
    assert (shown["gas"], shown["maxFeePerGas"]) == ("0x9999", hex(7 * GWEI))
    assert chain.receipt(flat)["effectiveGasPrice"] == hex(2 * GWEI)


def test_node_does_not_sign_for_others(chain):
    with pytest.raises(RpcFailureError, match="unknown account"):
        chain("eth_sendTransaction", {"from": STRANGER, "to": STRANGER})


def test_transaction_that_cannot_succeed_is_not_signed_without_gas(chain, code):
    contract = chain.deploy(code.refuse)
    alice = chain.account().address

    with pytest.raises(RpcFailureError, match="nope"):
        chain("eth_sendTransaction", {"from": alice, "to": contract})


def test_transaction_sent_again_is_known(chain):
    raw = chain.signed()
    chain("eth_sendRawTransaction", raw)

    with pytest.raises(RpcFailureError, match="already known"):
        chain("eth_sendRawTransaction", raw)


def test_oversized_transaction_is_refused(chain):
    with pytest.raises(RpcFailureError, match="oversized"):
        chain("eth_sendRawTransaction", "0x" + "00" * (128 * 1024 + 1))


def test_blob_transactions_are_refused(chain):
    with pytest.raises(RpcFailureError) as failed:
        chain("eth_sendRawTransaction", "0x03" + "c0")

    assert failed.value.code == -32602


def test_block_can_be_mined_at_a_time(chain):
    chain("evm_mine", START + 50)
    chain("evm_mine", {"timestamp": hex(START + 70)})

    times = [int(chain.block(hex(i))["timestamp"], 16) for i in (1, 2)]
    assert times == [START + 50, START + 70]


def test_many_blocks_can_be_mined_at_intervals(chain):
    chain("anvil_mine", "0x3", "0x3c")

    times = [int(chain.block(hex(i))["timestamp"], 16) for i in (1, 2, 3)]
    assert times == [START + 1, START + 61, START + 121]


def test_faucet_sets_a_balance(chain):
    chain("anvil_setBalance", STRANGER, hex(10**18))
    assert chain.number("eth_getBalance", STRANGER) == 10**18

    chain("anvil_setBalance", STRANGER, "0x0")
    assert chain.number("eth_getBalance", STRANGER) == 0


def test_reorganisation_takes_a_flag_over_json(chain):
    tx = chain.send()

    chain("dev_reorg", "0x1", *[True])

    assert chain.receipt(tx)["status"] == "0x1"
