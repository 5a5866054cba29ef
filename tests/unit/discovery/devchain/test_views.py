"""What clients see is complete: hashes follow from the fields shown."""

import pytest
import rlp
from eth_account import Account
from eth_utils.crypto import keccak

from tests.block_headers import FIELDS, field


def test_hash_of_a_block_is_that_of_its_header_fields(chain, code):
    store = chain.deploy(code.store)
    chain.send(to=store, value=0, gas=100_000, data="0x" + "01" * 64)

    for number in ("0x0", "0x1", "0x2"):
        block = chain.block(number)
        encoded = rlp.encode([field(block, name) for name in FIELDS])
        assert "0x" + keccak(encoded).hex() == block["hash"]


def test_block_lists_hashes_or_whole_transactions(chain):
    tx = chain.send()

    assert chain.block()["transactions"] == [tx]
    assert chain.block(full=True)["transactions"] == [
        chain("eth_getTransactionByHash", tx)
    ]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"gasPrice": 3 * 10**9}, "0x0"),
        ({"gasPrice": 3 * 10**9, "accessList": []}, "0x1"),
        ({}, "0x2"),
        ({"accessList": [{"address": "0x" + "11" * 20, "storageKeys": [5]}]}, "0x2"),
    ],
)
def test_transaction_shown_is_the_one_that_was_signed(chain, fields, kind):
    tx = chain.send(gas=40_000, **fields)

    shown = chain("eth_getTransactionByHash", tx)

    assert shown["type"] == kind
    assert shown["from"] == chain.account().address
    assert shown["chainId"] == "0x7a69"
    parts = {
        name: int(shown[name], 16)
        for name in ("nonce", "gas", "value", "type", "chainId")
    }
    parts |= {"to": shown["to"], "data": shown["input"]}
    for name in ("maxFeePerGas", "maxPriorityFeePerGas"):
        if kind == "0x2":
            parts[name] = int(shown[name], 16)
    if kind != "0x0":
        parts["accessList"] = shown["accessList"]
    if kind in {"0x0", "0x1"}:
        parts["gasPrice"] = int(shown["gasPrice"], 16)
    if kind == "0x0":
        del parts["type"]
    assert Account.sign_transaction(parts, chain.account().key).hash.hex() == tx[2:]


def test_authorisations_are_shown(chain):
    account = chain.account("bob")
    authorisation = account.sign_authorization(
        {"chainId": 31_337, "address": "0x" + "11" * 20, "nonce": 0}
    )
    tx = chain.send(gas=100_000, authorizationList=[authorisation])

    shown = chain("eth_getTransactionByHash", tx)["authorizationList"]

    assert [one["address"] for one in shown] == ["0x" + "11" * 20]
    assert chain("eth_getCode", account.address) == "0xef0100" + "11" * 20


def test_waiting_transaction_has_no_block(make_chain):
    chain = make_chain(block_time=1)
    tx = chain.send()

    shown = chain("eth_getTransactionByHash", tx)

    places = ("blockHash", "blockNumber", "transactionIndex")
    assert [shown[name] for name in places] == [None] * 3


def test_receipt_says_what_was_paid_and_made(chain, code):
    before = chain.number("eth_getBalance", chain.account("deployer").address)
    address = chain.deploy(code.store)
    tx = chain.block()["transactions"][0]

    receipt = chain.receipt(tx)

    assert receipt["contractAddress"] == address
    assert receipt["to"] is None
    assert receipt["type"] == "0x2"
    paid = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
    after = chain.number("eth_getBalance", chain.account("deployer").address)
    assert before - after == paid
    assert receipt["blockHash"] == chain.block()["hash"]


def test_gas_of_a_receipt_adds_up_over_the_block(make_chain):
    chain = make_chain(block_time=1)
    txs = [chain.send(), chain.send()]
    chain.node.mine()

    receipts = [chain.receipt(tx) for tx in txs]

    assert [int(one["gasUsed"], 16) for one in receipts] == [21_000, 21_000]
    assert [int(one["cumulativeGasUsed"], 16) for one in receipts] == [21_000, 42_000]
    assert chain.block()["gasUsed"] == receipts[1]["cumulativeGasUsed"]


def test_event_says_where_it_is(chain, code):
    store = chain.deploy(code.store)
    topic = "0x" + "00" * 31 + "01"
    tx = chain.send(to=store, value=0, gas=100_000, data=topic + "00" * 32)

    receipt = chain.receipt(tx)

    assert receipt["logs"] == [
        {
            "address": store,
            "topics": [topic],
            "data": "0x",
            "blockNumber": "0x2",
            "blockHash": chain.block()["hash"],
            "blockTimestamp": chain.block()["timestamp"],
            "transactionHash": tx,
            "transactionIndex": "0x0",
            "logIndex": "0x0",
            "removed": False,
        }
    ]
    assert receipt["logsBloom"] == chain.block()["logsBloom"] != "0x" + "00" * 256
