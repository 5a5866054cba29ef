"""The development chain as a process: killed, shared, and seen by web3."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from eth_account import Account
from web3 import Web3

from discovery.devchain.accounts import dev_account
from discovery.devchain.process import (
    ChainError,
    DevChainProcess,
    call,
    running_devchain,
)

ROOT = Path(__file__).parents[2]
PAYER = Account.from_key(dev_account("alice").key)
STRANGER = "0x" + "77" * 20
BOOK = json.loads((ROOT / "discovery/contract/artefacts/NodeBook.json").read_text())
GWEI = 10**9


def payment(nonce):
    signed = PAYER.sign_transaction(
        {
            "chainId": 31_337,
            "nonce": nonce,
            "to": STRANGER,
            "value": 1,
            "gas": 21_000,
            "maxFeePerGas": 5 * GWEI,
            "maxPriorityFeePerGas": GWEI,
        }
    )
    return "0x" + signed.raw_transaction.hex()


class Sender(threading.Thread):
    """Sends one payment after the other until nobody answers."""

    def __init__(self, chain, enough):
        super().__init__()
        self._chain = chain
        self._enough = enough
        self.acknowledged = []
        self.is_enough = threading.Event()

    def run(self):
        for nonce in itertools.count():
            try:
                tx = self._chain.rpc("eth_sendRawTransaction", payment(nonce))
            except (OSError, ValueError):
                return
            self.acknowledged.append(tx)
            if len(self.acknowledged) == self._enough:
                self.is_enough.set()


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b"Z" not in Path(f"/proc/{pid}/stat").read_bytes().split(b")")[-1][:3]


def wait_until(condition, within=20.0):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_chain_killed_amid_sending_has_lost_nothing_it_acknowledged(tmp_path):
    path = tmp_path / "chain.db"
    with running_devchain(path) as chain:
        sender = Sender(chain, enough=20)
        sender.start()
        assert sender.is_enough.wait(20)
        chain.kill()
        sender.join()

    with running_devchain(path) as chain:
        receipts = [
            chain.rpc("eth_getTransactionReceipt", tx) for tx in sender.acknowledged
        ]
        nonce = int(chain.rpc("eth_getTransactionCount", PAYER.address, "latest"), 16)
        chain.rpc("eth_sendRawTransaction", payment(nonce))

    assert [one["status"] for one in receipts] == ["0x1"] * len(receipts)
    assert len(receipts) >= 20


def test_killed_chain_still_has_what_waited_for_a_block(tmp_path):
    path = tmp_path / "chain.db"
    with running_devchain(path, block_time=3_600) as chain:
        txs = [chain.rpc("eth_sendRawTransaction", payment(i)) for i in range(5)]
        chain.kill()

    with running_devchain(path, block_time=3_600) as chain:
        chain.rpc("evm_mine")
        receipts = [chain.rpc("eth_getTransactionReceipt", tx) for tx in txs]

    assert [one["status"] for one in receipts] == ["0x1"] * 5


def test_two_processes_share_a_file_and_the_second_succeeds_the_first(tmp_path):
    path = tmp_path / "chain.db"
    with running_devchain(path) as first, running_devchain(path) as second:
        tx = second.rpc("eth_sendRawTransaction", payment(0))
        assert first.rpc("eth_getTransactionReceipt", tx)["status"] == "0x1"
        assert second.urls == first.urls

        first.kill()
        wait_until(lambda: answers(second))

        assert second.rpc("eth_getTransactionReceipt", tx)["status"] == "0x1"
        second.rpc("eth_sendRawTransaction", payment(1))


def answers(chain):
    try:
        return chain.rpc("eth_chainId") == "0x7a69"
    except OSError:
        return False


def test_chain_ends_with_the_process_that_started_it():
    program = (
        "import os, signal\n"
        "from discovery.devchain.process import DevChainProcess\n"
        "print(DevChainProcess([]).pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )

    pid = int(ended.stdout)
    wait_until(lambda: not is_running(pid))


def test_chain_that_cannot_start_is_an_error():
    with pytest.raises(ChainError, match="did not start"):
        DevChainProcess(["--unheard-of"])


def test_stopped_chain_says_so_to_nobody_and_leaves_no_process():
    with running_devchain() as chain:
        pid = chain.pid

    assert not is_running(pid)
    with pytest.raises(ConnectionRefusedError):
        call(chain.url, "eth_chainId")


def add_to_book(web3, book, owner, number):
    return book.functions.add(
        owner,
        4,
        number.to_bytes(32, "big"),
        number.to_bytes(32, "big"),
        [b"s" * 32, b"t" * 32],
        [b"\x01\x06" + bytes([10, 0, 0, number]) + b"\x20\x20" + bytes(24)]
        + [bytes(32)] * 3,
    ).transact({"from": owner, "gas": 400_000})


def test_web3_works_with_contracts_and_a_dozen_nodes_take_little_memory():
    with running_devchain(endpoints=3) as chain:
        web3 = Web3(Web3.HTTPProvider(chain.url))
        owner = web3.to_checksum_address(chain.accounts[0])
        contract = web3.eth.contract(abi=BOOK["abi"], bytecode=BOOK["bytecode"])
        tx = contract.constructor().transact({"from": owner})
        receipt = web3.eth.wait_for_transaction_receipt(tx)
        book = web3.eth.contract(receipt.contractAddress, abi=BOOK["abi"])

        for number in range(1, 13):
            add_to_book(web3, book, owner, number)

        others = [Web3(Web3.HTTPProvider(url)) for url in chain.urls]
        hashes = {other.eth.get_block("latest").hash for other in others}
        page = book.functions.page(1, 240).call()
        slots = [f"0x{slot:064x}" for slot in range(2)]
        proof = web3.eth.get_proof(book.address, slots, "latest")
        memory = memory_megabytes(chain.pid)

    assert len(set(chain.urls)) == 3
    assert len(hashes) == 1
    assert len(page) == 12 * 6
    assert [int(one.value.hex(), 16) for one in proof.storageProof] == [
        int(owner, 16),
        12,
    ]
    assert memory < 100


def memory_megabytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError(pid)
