"""A development chain in memory, asked over JSON-RPC without a network."""

import json
from itertools import count

from eth_account import Account

from discovery.devchain.accounts import dev_account
from discovery.devchain.config import DevChainConfig
from discovery.devchain.dispatch import Dispatcher
from discovery.devchain.node import DevNode

START = 1_800_000_000
STRANGER = "0x" + "77" * 20
GWEI = 10**9


class RpcFailureError(Exception):
    def __init__(self, error):
        super().__init__(error)
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data")


class Clock:
    """A wall clock that moves when told to."""

    def __init__(self):
        self.now = float(START)

    def __call__(self):
        return self.now


class Chain:
    """A node and everything a test does with it."""

    def __init__(self, clock, limits=None, **settings):
        self.clock = clock
        self.node = DevNode(DevChainConfig(**settings), clock, limits)
        self.faults = []
        self._dispatcher = Dispatcher(
            self.node, lambda *fault: self.faults.append(fault)
        )
        self._ids = count(1)

    def post(self, body):
        return self._dispatcher.answer(body)

    def __call__(self, method, *params):
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method}
        body = json.dumps({**request, "params": params}).encode()
        response = json.loads(self.post(body))
        assert response["id"] == request["id"]
        assert not self.faults
        if "error" in response:
            raise RpcFailureError(response["error"])
        return response["result"]

    def number(self, method, *params):
        return int(self(method, *params), 16)

    def account(self, name="alice"):
        return Account.from_key(dev_account(name).key)

    def signed(self, name="alice", **fields):
        """A raw transaction; what is not named is a payment of 1 wei to a stranger."""
        account = self.account(name)
        transaction = {
            "chainId": 31_337,
            "nonce": fields.pop("nonce", None),
            "to": STRANGER,
            "value": 1,
            "gas": 21_000,
            "maxFeePerGas": 5 * GWEI,
            "maxPriorityFeePerGas": GWEI,
            **fields,
        }
        if transaction["nonce"] is None:
            transaction["nonce"] = self.number(
                "eth_getTransactionCount", account.address, "pending"
            )
        if "gasPrice" in fields:
            del transaction["maxFeePerGas"], transaction["maxPriorityFeePerGas"]
        if transaction["to"] is None:
            transaction["to"] = ""
        return "0x" + account.sign_transaction(transaction).raw_transaction.hex()

    def send(self, name="alice", **fields):
        return self("eth_sendRawTransaction", self.signed(name, **fields))

    def deploy(self, code, name="deployer"):
        """Put code on the chain; return its address."""
        size = len(bytes.fromhex(code))
        # PUSH2 size, DUP1, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 0, RETURN
        setup = f"61{size:04x}80600c6000396000f3"
        tx = self.send(name, to=None, value=0, data="0x" + setup + code, gas=500_000)
        receipt = self("eth_getTransactionReceipt", tx)
        assert receipt["status"] == "0x1"
        return receipt["contractAddress"]

    def receipt(self, tx):
        return self("eth_getTransactionReceipt", tx)

    def block(self, name="latest", *, full=False):
        return self("eth_getBlockByNumber", name, full)

    def automine(self, *, on):
        self("evm_setAutomine", on)


class Code:
    """Contracts, written out by hand."""

    probe = "43600052" + "42602052" + "44604052" + "60606000f3"
    """Returns NUMBER, TIMESTAMP, PREVRANDAO."""

    store = "602035" + "600035" + "55" + "600035" + "6000" + "6000" + "a1" + "00"
    """Stores the second word of the input at the first, and logs the first as topic."""

    refuse = (
        "7f08c379a0" + "00" * 28 + "600052"  # selector of Error(string)
        "6020600452" + "6004602452" + "7f6e6f7065" + "00" * 28 + "604452"  # "nope"
        "60646000fd"
    )
    """Reverts with Error("nope")."""

    invalid = "fe"
    """An instruction that takes all gas."""

    recurse = "6000600060006000600030" + "5a" + "f1" + "00"
    """Calls itself with all gas that may be forwarded."""

    blockhash = "600035" + "40" + "600052" + "60206000f3"
    """Returns the hash of the block of that number."""
