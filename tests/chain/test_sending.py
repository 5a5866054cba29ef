"""Processes that share an account and are killed (discovery/transactions/sender.py)."""

import random
import subprocess
import sys
import time

import pytest

from discovery.transactions.wallet import Wallet, address_text
from psp.crypto.keccak import keccak256
from tests.chain.chains import ETHER

ACTIONS = 6
"""Of each process: payments of one wei, each to an address of its own."""

PROGRAM = """
import asyncio, sys
from pathlib import Path
from discovery.transactions.call import transfer
from discovery.transactions.client import Endpoints
from discovery.transactions.config import SenderConfig
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet
from psp.runtime.rpc import RpcEndpoint, new_session

async def main(url, chain_id, key, secret, *targets):
    async with new_session(1) as session:
        endpoints = Endpoints([RpcEndpoint(url, session)], int(chain_id))
        config = SenderConfig(first_poll=0.01, poll_every=0.1, lock_wait=20)
        wallet = Wallet(bytes.fromhex(secret))
        sender = Sender(wallet, endpoints, Path(key), config=config)
        print("ready", flush=True)
        for target in map(bytes.fromhex, targets):
            if not await endpoints.balance(target):
                await sender.send(transfer(target, 1))

asyncio.run(main(*sys.argv[1:]))
"""


def targets_of(name):
    return [keccak256(name, bytes([i]))[-20:] for i in range(ACTIONS)]


@pytest.mark.timeout(120)  # eight times Python and its libraries
def test_killed_processes_pay_each_action_once(chain, tmp_path):
    secret = keccak256(str(tmp_path).encode())
    wallet, dice = Wallet(secret), random.Random(7)
    payment = {"from": chain.accounts[0], "to": wallet.address_text, "value": ETHER}
    chain.receipt(chain.w3.eth.send_transaction(payment))
    uri, chain_id = chain.w3.provider.endpoint_uri, str(chain.w3.eth.chain_id)
    lists = [targets_of(secret + name) for name in (b"a", b"b")]

    def start(targets):
        arguments = [uri, chain_id, tmp_path / "key", secret.hex()]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments, *(t.hex() for t in targets)],
            stdout=subprocess.PIPE,
        )

    def kill_soon(process):
        process.stdout.readline()
        time.sleep(dice.uniform(0.01, 0.15))
        process.kill()
        process.communicate()

    for _ in range(2):
        both = [start(targets) for targets in lists]
        for process in both:
            kill_soon(process)
    for process in [start(targets) for targets in lists]:
        process.communicate()
        assert process.returncode == 0

    paid = [chain.balance(address_text(t)) for targets in lists for t in targets]
    assert paid == [1] * (2 * ACTIONS)
    assert chain.w3.eth.get_transaction_count(wallet.address_text) == 2 * ACTIONS
