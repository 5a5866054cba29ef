"""The development chain as a process, seen by web3."""

import pytest
from eth_account import Account
from web3 import Web3

from discovery.devchain.accounts import dev_account
from discovery.devchain.process import ChainError, running_devchain

PAYER = Account.from_key(dev_account("alice").key)
STRANGER = Web3.to_checksum_address("0x" + "77" * 20)


def payment(web3, nonce, value=1):
    return PAYER.sign_transaction(
        {
            "chainId": web3.eth.chain_id,
            "nonce": nonce,
            "to": STRANGER,
            "value": value,
            "gas": 21_000,
            "maxFeePerGas": 3 * 10**9,
            "maxPriorityFeePerGas": 10**9,
        }
    ).raw_transaction


def test_killed_chain_has_lost_nothing_it_acknowledged(tmp_path):
    path = tmp_path / "chain.db"
    with running_devchain(path) as chain:
        web3 = Web3(Web3.HTTPProvider(chain.url))
        acknowledged = [
            web3.eth.send_raw_transaction(payment(web3, nonce)) for nonce in range(5)
        ]
        chain.kill()

    with running_devchain(path) as chain:
        web3 = Web3(Web3.HTTPProvider(chain.url))
        receipts = [web3.eth.get_transaction_receipt(one) for one in acknowledged]

    assert [one.status for one in receipts] == [1] * 5


def test_chain_serves_the_same_blocks_on_each_endpoint():
    with running_devchain(endpoints=3) as chain:
        chain.rpc("evm_mine")

        heads = {
            Web3(Web3.HTTPProvider(url)).eth.get_block("latest").hash
            for url in chain.urls
        }

    assert len(set(chain.urls)) == 3
    assert len(heads) == 1


def test_unknown_method_is_an_error_and_no_end():
    with running_devchain() as chain:
        with pytest.raises(ChainError, match="-32601"):
            chain.rpc("eth_unheard")

        assert chain.rpc("eth_blockNumber") == "0x0"
