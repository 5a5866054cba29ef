"""py-evm's own chain accepts the blocks we make from its parts."""

import ast
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlock
from eth_typing import BlockNumber

import discovery.devchain
from discovery.devchain.evm import (
    EVM_RECURSION_LIMIT,
    UndecodableTransactionError,
    decode_header,
    encode_header,
)

FOLDER = Path(discovery.devchain.__file__).parent


class Judge(MiningChain):
    chain_id = 31_337
    vm_configuration = ((BlockNumber(0), PragueVM),)


def judge_from(chain):
    """py-evm's chain with our block 0."""
    account = {"nonce": 0, "code": b"", "storage": {}}
    state = {
        address: {**account, "balance": chain.node.config.balance}
        for address in chain.node.accounts
    }
    ours = chain.node.chain.header(0)
    fields = {
        "difficulty": 0,
        "gas_limit": ours.gas_limit,
        "timestamp": ours.timestamp,
        "nonce": ours.nonce,
        "base_fee_per_gas": ours.base_fee_per_gas,
        "parent_beacon_block_root": ours.parent_beacon_block_root,
    }
    judge = Judge.from_genesis(AtomicDB(), fields, state)
    assert judge.get_canonical_head().hash == ours.hash
    return judge


def block_of(chain, number):
    transactions = [
        chain.node.chain.evm.decode_transaction(row.raw).evm
        for row in chain.node.chain.store.transactions(number)
    ]
    header = chain.node.chain.header(number)
    return PragueBlock(header, transactions, uncles=[], withdrawals=[])


def test_installed_py_evm_is_the_one_this_was_written_against():
    assert version("py-evm") == "0.12.1b1"


def test_py_evm_leaves_the_recursion_limit_of_the_process_alone(chain, code):
    before = sys.getrecursionlimit()
    contract = chain.deploy(code.recurse)

    chain.send(to=contract, value=0, gas=10_000_000)

    assert sys.getrecursionlimit() == before < EVM_RECURSION_LIMIT


def test_only_one_file_knows_py_evm():
    users = {
        path.name
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").split(".")[0] in {"eth", "trie"}
    }

    assert users == {"evm.py"}


def test_blocks_are_accepted_by_another_chain(chain, code):
    store = chain.deploy(code.store)
    refuse = chain.deploy(code.refuse)
    invalid = chain.deploy(code.invalid)
    chain("evm_mine")
    chain.automine(on=False)
    word = "00" * 31
    chain.send(to=store, value=0, gas=100_000, data="0x" + word + "01" + word + "02")
    chain.send(to=store, value=0, gas=100_000, data="0x" + word + "01" + word + "00")
    chain.send("bob", to=refuse, value=0, gas=100_000)
    chain.send("bob", to=invalid, value=0, gas=100_000)
    chain.send("admin", gasPrice=3 * 10**9)
    chain.send("admin", gas=40_000, accessList=[{"address": store, "storageKeys": []}])
    chain.send("sponsor", to=store, value=0, gas=60_000, data="0x" + "ff" * 900)
    chain("evm_mine")
    chain.automine(on=True)
    chain.send()
    judge = judge_from(chain)

    for number in range(1, chain.number("eth_blockNumber") + 1):
        judge.import_block(block_of(chain, number))

    head = judge.get_canonical_head()
    assert head.hash.hex() == chain.block()["hash"][2:]
    assert len(chain.block("0x5")["transactions"]) == 7


def test_header_survives_encoding(chain):
    chain.send()
    header = chain.node.chain.head

    again = decode_header(encode_header(header))

    assert again.hash == header.hash


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00", b"\xc0", b"\x02\xc0", b"\x7f", b"\x05" + bytes(40), bytes(200)],
)
def test_bytes_that_are_no_transaction_are_named_so(chain, raw):
    with pytest.raises(UndecodableTransactionError):
        chain.node.chain.evm.decode_transaction(raw)


def test_changed_signature_is_another_sender_or_none(chain):
    raw = bytearray(bytes.fromhex(chain.signed()[2:]))
    raw[-1] ^= 1
    ours = chain.node.chain.evm.decode_transaction(bytes.fromhex(chain.signed()[2:]))

    try:
        changed = chain.node.chain.evm.decode_transaction(bytes(raw))
    except UndecodableTransactionError:
        return
    assert changed.sender != ours.sender
