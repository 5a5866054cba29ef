"""A chain in memory, and processes that send from one account."""

import asyncio

from discovery.transactions.call import Call
from discovery.transactions.client import Endpoints
from discovery.transactions.config import SenderConfig
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet
from psp.testing.payments import PaymentChain
from psp.testing.simloop import run_simulation

WALLET = Wallet(b"\x01" * 32)
TARGET = b"t" * 20


class Rig:
    """A chain, its endpoints, and any number of processes that send."""

    def __init__(self, path, endpoints=1):
        self.chain = PaymentChain(WALLET.address)
        self.endpoints = [self.chain.endpoint() for _ in range(endpoints)]
        self.path = path / "operator.key"
        self.miner = None

    def sender(self, *, limits=None, chain_id=1337, **config):
        endpoints = Endpoints(self.endpoints, chain_id)
        return Sender(
            WALLET, endpoints, self.path, limits=limits, config=SenderConfig(**config)
        )

    async def something_waits(self):
        while not self.chain.pool:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)

    async def something_is_mined(self):
        while not self.chain.mined:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)

    def start_mining(self):
        self.miner = asyncio.create_task(self.chain.mine_for_ever())


def run(tmp_path, main, *, endpoints=1, is_mining=True):
    async def simulated(_):
        rig = Rig(tmp_path, endpoints)
        if is_mining:
            rig.start_mining()
        try:
            return await main(rig)
        finally:
            if rig.miner is not None:
                rig.miner.cancel()

    return run_simulation(simulated)


def call(number=1, value=5):
    return Call(TARGET, bytes([number]), value, f"do {number}")


def actions(chain):
    return [payment.data for payment in chain.mined]
