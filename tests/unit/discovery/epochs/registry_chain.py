"""A chain in memory whose one contract answers as a registry does."""

import asyncio

from eth_abi import encode

from discovery.contract.artefacts import artefact
from discovery.transactions.calls import Relays
from discovery.transactions.client import Endpoints
from discovery.transactions.config import SenderConfig
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet
from psp.crypto.keccak import keccak256
from psp.testing.payments import PaymentChain

ETHER = 10**18
WALLET = Wallet(b"\x01" * 32)
RELAYS, BOOK = b"r" * 20, b"b" * 20
SEED = b"s" * 32
LENGTH = 3_600


def selectors(contract):
    found = {}
    for entry in artefact(contract).abi:
        if entry["type"] == "function":
            kinds = ",".join(field["type"] for field in entry["inputs"])
            selector = keccak256(f"{entry['name']}({kinds})".encode())[:4]
            found[selector] = entry
    return found


FUNCTIONS = {RELAYS: selectors("Relays"), BOOK: selectors("NodeBook")}


class RegistryChain:
    """One registry with one node, number 7, whose values a test may change.

    Attributes:
        values: What functions return, by name.
        payments: The chain below.
    """

    def __init__(self):
        self.payments = PaymentChain(WALLET.address)
        genesis = self.payments.blocks[0].timestamp
        owner = int.from_bytes(b"o" * 20)
        self.values = {
            "parameters": (genesis, LENGTH, 2 * LENGTH, ETHER, 3, 2, True, True, 0),
            "book": (BOOK,),
            "seed_of": (0, bytes(32)),
            "elected": ([],),
            "weights": ([5 * ETHER | 5 * ETHER << 96],),
            "operators": (WALLET.address,),
            "node_count": (9,),
            "head": (owner | 1 << 160,),
        }
        self.endpoint = self.payments.endpoint()
        self.endpoint.answers["eth_call"] = self._call
        self.endpoints = Endpoints([self.endpoint], self.payments.chain_id)
        self.blocks_asked = set()

    def sender(self, directory, limits, **config):
        path, sending = directory / "key", SenderConfig(**config)
        return Sender(WALLET, self.endpoints, path, limits=limits, config=sending)

    async def mine_for_ever(self):
        """Mine; what is mined has the effects that matter."""
        calls = Relays(RELAYS)
        while True:
            await asyncio.sleep(12)
            for payment in self.payments.mine().payments:
                height = self.payments.blocks[-1].number
                if payment.data == calls.request_seed().data:
                    self.values["seed_of"] = (height + 2, bytes(32))
                if payment.data == calls.reveal_seed().data:
                    self.values["seed_of"] = (1, SEED)
                if payment.data == calls.nominate(7).data:
                    word = 5 * ETHER | 5 * ETHER << 96 | self.epoch() + 1 << 224
                    self.values["weights"] = ([word],)

    def epoch(self):
        genesis = self.payments.blocks[0].timestamp
        return (self.payments.blocks[-1].timestamp - genesis) // LENGTH + 4

    def _call(self, request, block):
        self.blocks_asked.add(block)
        data = bytes.fromhex(request["data"][2:])
        entry = FUNCTIONS[bytes.fromhex(request["to"][2:])][data[:4]]
        kinds = [field["type"] for field in entry["outputs"]]
        return "0x" + encode(kinds, self.values[entry["name"]]).hex()
