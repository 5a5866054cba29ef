"""Methods that read: calls, estimates, state, fees, events, proofs."""

import pytest
import rlp
from eth_utils.crypto import keccak
from trie.hexary import HexaryTrie

from tests.unit.discovery.devchain.rig import START, STRANGER, RpcFailureError


def word(value):
    return f"{value:064x}"


def store(chain, contract, slot, value):
    data = "0x" + word(slot) + word(value)
    return chain.send(to=contract, value=0, gas=100_000, data=data)


def probe(chain, contract, block):
    answer = chain("eth_call", {"to": contract}, block)[2:]
    return int(answer[:64], 16), int(answer[64:128], 16), "0x" + answer[128:]


def test_call_sees_the_block_it_names(chain, code):
    contract = chain.deploy(code.probe)
    chain("evm_mine")

    for name in ("0x1", "0x2", "latest", chain.block("0x1")["hash"]):
        block = chain.block(name)
        seen = probe(chain, contract, name)
        assert seen[0] == int(block["number"], 16)
        assert seen[1] == int(block["timestamp"], 16)
        assert seen[2] == block["mixHash"]


def test_pending_call_sees_the_next_block_now(chain, code, clock):
    contract = chain.deploy(code.probe)
    clock.now += 100

    number, timestamp, _ = probe(chain, contract, "pending")

    assert (number, timestamp) == (2, START + 100)
    assert probe(chain, contract, "latest")[0] == 1


def test_transaction_sees_the_random_word_of_its_block(chain, code):
    keep = "44600055" + "00"  # PREVRANDAO at slot 0
    contract = chain.deploy(keep)

    chain.send(to=contract, value=0, gas=100_000)

    assert chain("eth_getStorageAt", contract, "0x0") == chain.block()["mixHash"]


def test_block_hashes_are_seen_as_far_back_as_256(chain, code):
    contract = chain.deploy(code.blockhash)
    chain("anvil_mine", 258)

    def blockhash(number):
        return chain("eth_call", {"to": contract, "data": "0x" + word(number)})

    head = chain.number("eth_blockNumber")
    for number in (head - 1, head - 255, head - 256):
        assert blockhash(number) == chain.block(hex(number))["hash"]
    assert blockhash(head - 257) == blockhash(head) == "0x" + "00" * 32


def test_refusal_comes_with_its_reason_and_data(chain, code):
    contract = chain.deploy(code.refuse)

    with pytest.raises(RpcFailureError) as failed:
        chain("eth_call", {"to": contract})

    assert failed.value.code == 3
    assert failed.value.message == "execution reverted: nope"
    assert failed.value.data[:10] == "0x08c379a0"
    with pytest.raises(RpcFailureError) as failed:
        chain("eth_estimateGas", {"to": contract})
    assert failed.value.code == 3


def test_refusal_without_data_has_empty_data(chain):
    contract = chain.deploy("60006000fd")

    with pytest.raises(RpcFailureError) as failed:
        chain("eth_call", {"to": contract})

    assert (failed.value.code, failed.value.data) == (3, "0x")
    assert failed.value.message == "execution reverted"


def test_fault_is_named(chain, code):
    contract = chain.deploy(code.invalid)

    with pytest.raises(RpcFailureError, match="invalid instruction") as failed:
        chain("eth_call", {"to": contract})

    assert failed.value.code == -32000


def test_call_to_itself_a_thousand_deep_ends(chain, code):
    contract = chain.deploy(code.recurse)

    assert chain("eth_call", {"to": contract, "gas": hex(10**8)}) == "0x"


def test_call_changes_nothing(chain, code):
    contract = chain.deploy(code.store)
    data = "0x" + word(1) + word(2)

    chain("eth_call", {"to": contract, "data": data})

    assert chain("eth_getStorageAt", contract, "0x1") == "0x" + word(0)


def test_call_needs_the_value_it_sends(chain):
    rich = chain.account().address

    assert chain("eth_call", {"from": rich, "to": STRANGER, "value": "0x1"}) == "0x"
    with pytest.raises(RpcFailureError, match="insufficient funds"):
        chain("eth_call", {"to": STRANGER, "value": "0x1"})


def test_call_with_too_little_gas_does_not_start(chain):
    with pytest.raises(RpcFailureError, match="intrinsic gas too low"):
        chain("eth_call", {"to": STRANGER, "gas": "0x5207"})


def test_estimate_is_enough_and_exact_for_simple_calls(chain, code):
    contract = chain.deploy(code.store)
    data = "0x" + word(1) + word(2)
    call = {"from": chain.account().address, "to": contract, "data": data}

    gas = chain.number("eth_estimateGas", call)

    tx = chain.send(to=contract, value=0, data=data, gas=gas)
    assert int(chain.receipt(tx)["gasUsed"], 16) == gas
    assert chain.number("eth_estimateGas", {"to": STRANGER}) == 21_000


def test_estimate_is_enough_when_a_part_of_the_gas_is_forwarded(chain):
    inner = chain.deploy("5a61c350" + "11" + "600957" + "00" + "5b" + "6000" * 2 + "fd")
    # the inner one refuses if it has less than 50,000 gas left
    call = "6000600060006000600073" + inner[2:].lower() + "5af1"
    outer = chain.deploy(
        call + "15" + f"60{len(call) // 2 + 5:02x}" + "57" + "00" + "5b6000" + "6000fd"
    )

    gas = chain.number("eth_estimateGas", {"to": outer})

    chain("eth_call", {"to": outer, "gas": hex(gas)}, "pending")
    with pytest.raises(RpcFailureError):
        chain("eth_call", {"to": outer, "gas": hex(gas - gas // 16)}, "pending")


def test_estimate_covers_the_floor_of_data(chain):
    data = "0x" + "ff" * 1_000

    gas = chain.number("eth_estimateGas", {"to": STRANGER, "data": data})

    assert gas == 21_000 + 40 * 1_000
    chain.send(data=data, gas=gas)


def test_state_of_an_old_block_can_be_read(chain):
    chain.send(value=5)
    chain.send(value=5)

    balances = [chain("eth_getBalance", STRANGER, hex(i)) for i in range(3)]

    assert balances == ["0x0", "0x5", "0xa"]


def test_code_is_what_was_deployed(chain, code):
    contract = chain.deploy(code.probe)

    assert chain("eth_getCode", contract) == "0x" + code.probe
    assert chain("eth_getCode", STRANGER) == "0x"


def test_proof_leads_from_the_state_root_to_the_word(chain, code):
    contract = chain.deploy(code.store)
    for slot in range(20):
        store(chain, contract, slot, slot + 100)
    root = bytes.fromhex(chain.block()["stateRoot"][2:])

    proof = chain("eth_getProof", contract, ["0x3", "0x" + word(99)], "latest")

    nodes = [rlp.decode(bytes.fromhex(one[2:])) for one in proof["accountProof"]]
    key = keccak(bytes.fromhex(contract[2:]))
    account = rlp.decode(HexaryTrie.get_from_proof(root, key, nodes))
    assert "0x" + account[2].hex() == proof["storageHash"]
    assert "0x" + account[3].hex() == proof["codeHash"]
    assert [one["value"] for one in proof["storageProof"]] == ["0x67", "0x0"]
    for entry, slot in zip(proof["storageProof"], (3, 99), strict=True):
        nodes = [rlp.decode(bytes.fromhex(one[2:])) for one in entry["proof"]]
        key = keccak(slot.to_bytes(32, "big"))
        value = HexaryTrie.get_from_proof(account[2], key, nodes)
        assert value == (rlp.encode(103) if slot == 3 else b"")


def test_storage_root_is_canonical_without_zero_words(chain, code):
    contract = chain.deploy(code.store)
    for slot in range(5):
        store(chain, contract, slot, 7)
    store(chain, contract, 2, 0)
    expected = HexaryTrie({})
    for slot in (0, 1, 3, 4):
        expected[keccak(slot.to_bytes(32, "big"))] = rlp.encode(7)

    proof = chain("eth_getProof", contract, [], "latest")

    assert proof["storageHash"] == "0x" + expected.root_hash.hex()


def test_number_of_proven_slots_is_limited(make_chain, small_limits):
    chain = make_chain(small_limits)

    with pytest.raises(RpcFailureError, match="3 slots are more than 2"):
        chain("eth_getProof", STRANGER, ["0x0"] * 3, "latest")


def test_events_are_found_by_emitter_topic_and_block(chain, code):
    one, other = chain.deploy(code.store), chain.deploy(code.store)
    store(chain, one, 1, 0)
    store(chain, other, 1, 0)
    store(chain, one, 2, 0)

    def blocks(**wanted):
        logs = chain("eth_getLogs", {"fromBlock": "earliest", **wanted})
        return [int(log["blockNumber"], 16) for log in logs]

    assert blocks() == [3, 4, 5]
    assert blocks(address=one) == [3, 5]
    assert blocks(address=[one, other], topics=["0x" + word(1)]) == [3, 4]
    assert blocks(topics=[None]) == [3, 4, 5]
    assert blocks(topics=[["0x" + word(1), "0x" + word(2)]]) == [3, 4, 5]
    assert blocks(fromBlock="0x4", toBlock="0x4") == [4]
    assert blocks(fromBlock="0x4", toBlock="0x" + "9" * 60) == [4, 5]
    assert blocks(fromBlock="0x9") == []
    found = chain("eth_getLogs", {"blockHash": chain.block("0x4")["hash"]})
    assert [log["address"] for log in found] == [other]
    with pytest.raises(RpcFailureError, match="unknown block"):
        chain("eth_getLogs", {"blockHash": "0x" + "00" * 32})


def test_number_of_events_is_limited(make_chain, small_limits, code):
    chain = make_chain(small_limits)
    contract = chain.deploy(code.store)
    for slot in range(3):
        store(chain, contract, slot, 0)

    with pytest.raises(RpcFailureError, match="more than 2 results") as failed:
        chain("eth_getLogs", {"fromBlock": "earliest"})

    assert failed.value.code == -32005


def test_fees_of_past_blocks_and_the_next_are_told(chain):
    chain.send()
    chain("evm_mine")

    history = chain("eth_feeHistory", "0x2", "latest", [10, 90])

    fees = [chain.block(hex(i))["baseFeePerGas"] for i in (1, 2)]
    assert history["oldestBlock"] == "0x1"
    assert history["baseFeePerGas"][:2] == fees
    assert history["baseFeePerGas"][2] == chain.block("pending")["baseFeePerGas"]
    assert history["gasUsedRatio"] == [21_000 / 60_000_000, 0]
    assert [len(row) for row in history["reward"]] == [2, 2]


def test_fee_history_is_at_most_the_chain(chain):
    assert chain("eth_feeHistory", 500, "pending")["oldestBlock"] == "0x0"


def test_simple_questions_have_answers(chain):
    assert chain("web3_clientVersion").startswith("psp-devchain/")
    assert chain("net_version") == "31337"
    assert chain("eth_chainId") == "0x7a69"
    assert chain("eth_syncing") is False
    assert chain.account("alice").address in chain("eth_accounts")
    assert chain.number("eth_gasPrice") > chain.number("eth_maxPriorityFeePerGas") > 0
