"""The development chain and anvil give the same answers to the same questions.

anvil's execution is revm's: an independent judge of gas, receipts and header fields. Skipped on machines without it (`PSP_ANVIL`).
"""

import time

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address

from discovery.devchain.accounts import dev_account
from discovery.devchain.anvil import find_anvil, running_anvil
from discovery.devchain.process import ChainError, running_devchain
from tests.unit.discovery.devchain.rig import Code

GENESIS = 1_700_000_000
GWEI = 10**9
STRANGER = "0x" + "77" * 20
WORD = "00" * 31

SAME_FIELDS = [
    "number",
    "timestamp",
    "gasLimit",
    "gasUsed",
    "logsBloom",
    "miner",
    "nonce",
    "difficulty",
    "extraData",
    "sha3Uncles",
    "transactionsRoot",
    "receiptsRoot",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
]


IGNORED = {
    "blockHash",  # other state, as anvil has other accounts
    "blockTimestamp",  # a number in some of anvil's answers
    "blobGasPrice",
    "effectiveGasPrice",  # anvil's block 1 has the base fee of block 0
    "gasPrice",
}


class Script:
    """Does the same on any chain and writes down what it sees."""

    def __init__(self, chain):
        self._rpc = chain.rpc
        self._account = Account.from_key(dev_account("alice").key)
        self._nonce = 0
        self._time = GENESIS
        self.seen = []

    def run(self):
        store, refuse, invalid, probe = (
            self._deploy(code)
            for code in (Code.store, Code.refuse, Code.invalid, Code.probe)
        )
        self._send(to=store, data="0x" + WORD + "01" + WORD + "02")
        self._send(to=store, data="0x" + WORD + "01" + WORD + "00")
        self._send(to=store, data="0x" + "ff" * 700)
        self._send(to=refuse)
        self._send(to=invalid)
        self._send(to=STRANGER, value=5, gasPrice=2 * GWEI)
        self._call("eth_call", {"to": refuse}, "latest")
        self._call("eth_estimateGas", {"to": refuse}, "latest")
        self._call("eth_estimateGas", {"to": STRANGER, "from": self._account.address})
        self._call("eth_getBalance", STRANGER, "latest")
        self._call("eth_getCode", store, "latest")
        self._call("eth_getStorageAt", store, "0x" + "ff" * 32, "latest")
        self._call("eth_getTransactionCount", self._account.address, "pending")
        self._call("eth_getBlockByNumber", "0x999", *[False])
        self._call("eth_getTransactionReceipt", "0x" + WORD + "05")
        seen = self._rpc("eth_call", {"to": probe}, "latest")
        head = self._block("latest", full=False)
        self.seen.append(
            [seen[2:66], seen[66:130], "0x" + seen[130:] == head["mixHash"]]
        )
        return self.seen

    def _deploy(self, code):
        setup = f"61{len(code) // 2:04x}80600c6000396000f3"
        receipt = self._send(to="", data="0x" + setup + code)
        return to_checksum_address(receipt["contractAddress"])

    def _send(self, **fields):
        fields = {"value": 0, "gas": 300_000, "chainId": 31_337, **fields}
        if "gasPrice" not in fields:
            fields |= {"maxFeePerGas": 5 * GWEI, "maxPriorityFeePerGas": GWEI}
        signed = self._account.sign_transaction({**fields, "nonce": self._nonce})
        self._nonce += 1
        self._time += 12
        self._rpc("evm_setNextBlockTimestamp", self._time)
        tx = self._rpc("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex())
        receipt = self._receipt(tx)
        block = self._block(receipt["blockNumber"], full=True)
        self.seen.append({name: block[name] for name in SAME_FIELDS})
        self.seen.append(comparable(receipt))
        self.seen.append(comparable(block["transactions"][0]))
        return receipt

    def _block(self, name, *, full):
        return self._rpc("eth_getBlockByNumber", name, full)

    def _receipt(self, tx):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            receipt = self._rpc("eth_getTransactionReceipt", tx)
            if receipt is not None:
                return receipt
            time.sleep(0.005)  # anvil answers before it has mined
        raise AssertionError(tx)

    def _call(self, method, *params):
        try:
            self.seen.append(self._rpc(method, *params))
        except ChainError as failed:
            self.seen.append((failed.error["code"], failed.error.get("data")))


def comparable(value):
    """Leave out what differs for a reason, and letters' case."""
    if isinstance(value, dict):
        return {
            name: comparable(part)
            for name, part in value.items()
            if name not in IGNORED
        }
    if isinstance(value, list):
        return [comparable(part) for part in value]
    return value.lower() if isinstance(value, str) else value


@pytest.mark.skipif(find_anvil() is None, reason="no anvil: set PSP_ANVIL")
def test_same_script_sees_the_same_on_both_chains():
    with running_devchain(genesis_time=GENESIS) as chain:
        ours = Script(chain).run()
    with running_anvil(genesis_time=GENESIS) as chain:
        theirs = Script(chain).run()

    assert comparable(ours) == comparable(theirs)
