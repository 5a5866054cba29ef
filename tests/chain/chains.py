"""A chain as the contract tests see it: web3, its accounts, and hands on its clock."""

import re

from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError, Web3RPCError

from discovery.contract.artefacts import artefact

GAS = 16_000_000
"""Given with each transaction: asking the node for an estimate runs it twice."""

ETHER = 10**18


class Chain:
    """One chain over JSON-RPC.

    Attributes:
        w3: The client, which is not ours.
        accounts: Addresses that the node signs for, each with plenty of money.
    """

    def __init__(self, url):
        self.w3 = Web3(HTTPProvider(url, request_kwargs={"timeout": 60}))
        self.accounts = self.w3.eth.accounts

    def rpc(self, method, *params):
        """Call a method that web3 does not know."""
        answer = self.w3.provider.make_request(method, list(params))
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def deploy(self, name, *args):
        """Deploy a contract from the first account."""
        compiled = artefact(name)
        return self.deploy_code(compiled.abi, compiled.bytecode, *args)

    def deploy_code(self, abi, bytecode, *args):
        """Deploy any code from the first account."""
        factory = self.w3.eth.contract(abi=abi, bytecode=bytecode)
        receipt = self.send(factory.constructor(*args))
        return self.w3.eth.contract(address=receipt["contractAddress"], abi=abi)

    def send(self, call, sender=0, value=0):
        """Send a transaction that has to succeed; return its receipt."""
        options = {"from": self.account(sender), "value": value, "gas": GAS}
        receipt = self.receipt(call.transact(options))
        assert receipt["status"] == 1, "reverted"
        return receipt

    def receipt(self, transaction_hash):
        """Wait for a transaction to be in a block."""
        return self.w3.eth.wait_for_transaction_receipt(
            transaction_hash, timeout=20, poll_latency=0.002
        )

    def refusal(self, call, sender=0, value=0):
        """Return the word with which a call is refused."""
        options = {"from": self.account(sender), "value": value, "gas": GAS}
        try:
            call.call(options)
        except (ContractLogicError, Web3RPCError) as error:
            return re.sub(r"^.*execution reverted:? ?", "", error.message or "")
        raise AssertionError("not refused")

    def account(self, sender):
        """Return an address, given as such or as the number of an account."""
        return self.accounts[sender] if isinstance(sender, int) else sender

    def balance(self, address):
        """Return what an account has, in wei."""
        return self.w3.eth.get_balance(address)

    def now(self):
        """Return the time stamp of the newest block."""
        return self.w3.eth.get_block("latest")["timestamp"]

    def mine(self, blocks=1):
        """Add empty blocks."""
        self.rpc("anvil_mine", hex(blocks))

    def go_to(self, timestamp):
        """Add a block with this time stamp."""
        self.rpc("evm_setNextBlockTimestamp", timestamp)
        self.mine()
        assert self.now() == timestamp

    def wait(self, seconds):
        """Let time pass."""
        self.go_to(self.now() + seconds)

    def slot(self, address, slot):
        """Return a word of a contract's storage."""
        return int.from_bytes(self.w3.eth.get_storage_at(address, slot), "big")
