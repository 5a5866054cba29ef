"""How blocks, transactions, receipts and events look in JSON (execution-apis)."""

from typing import Any

import rlp
from eth_utils.address import to_checksum_address

from discovery.devchain.blocks import Header, Transaction
from discovery.devchain.evm import encode_header
from discovery.devchain.quantities import data, word
from discovery.devchain.store import LogRow, TransactionRow

Json = dict[str, Any]

UNCLES: list[str] = []
LEGACY, ACCESS_LIST, DYNAMIC_FEE, SET_CODE = 0, 1, 2, 4


def address(value: bytes) -> str:
    """Return an address with the checksum in its letters (EIP-55)."""
    return str(to_checksum_address(value))


def block_json(header: Header, transactions: list[Any], raw_size: int) -> Json:
    """Return a block; keccak(rlp(its header fields)) is its hash.

    Args:
        header: Its header.
        transactions: Hashes or whole transactions, as JSON.
        raw_size: Bytes of the transactions.
    """
    return {
        "number": hex(header.block_number),
        "hash": data(header.hash),
        "parentHash": data(header.parent_hash),
        "sha3Uncles": data(header.uncles_hash),
        "miner": address(header.coinbase),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transaction_root),
        "receiptsRoot": data(header.receipt_root),
        "logsBloom": f"0x{header.bloom:0512x}",
        "difficulty": hex(header.difficulty),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "withdrawalsRoot": data(header.withdrawals_root),
        "blobGasUsed": hex(header.blob_gas_used),
        "excessBlobGas": hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": data(header.parent_beacon_block_root),
        "requestsHash": data(header.requests_hash),
        "size": hex(len(encode_header(header)) + raw_size),
        "uncles": UNCLES,
        "withdrawals": [],
        "transactions": transactions,
    }


def transaction_json(
    transaction: Transaction, row: TransactionRow | None, block_hash: bytes | None
) -> Json:
    """Return a transaction; row and block hash are None while it waits."""
    evm = transaction.evm
    kind = transaction.type
    view: Json = {
        "hash": data(transaction.hash),
        "blockHash": None if block_hash is None else data(block_hash),
        "blockNumber": None if row is None else hex(row.block),
        "transactionIndex": None if row is None else hex(row.position),
        "from": address(transaction.sender),
        "to": address(evm.to) if evm.to else None,
        "value": hex(evm.value),
        "gas": hex(evm.gas),
        "gasPrice": hex(evm.max_fee_per_gas if row is None else row.price),
        "nonce": hex(evm.nonce),
        "input": data(evm.data),
        "type": hex(kind),
        "r": hex(evm.r),
        "s": hex(evm.s),
    }
    if kind == LEGACY:
        view["v"] = hex(int.from_bytes(rlp.decode(transaction.raw)[6], "big"))
        if evm.chain_id is not None:
            view["chainId"] = hex(evm.chain_id)
        return view
    view |= {
        "v": hex(evm.y_parity),
        "yParity": hex(evm.y_parity),
        "chainId": hex(evm.chain_id or 0),
        "accessList": [
            {"address": address(who), "storageKeys": [word(slot) for slot in slots]}
            for who, slots in evm.access_list
        ],
    }
    if kind != ACCESS_LIST:
        view["maxFeePerGas"] = hex(evm.max_fee_per_gas)
        view["maxPriorityFeePerGas"] = hex(evm.max_priority_fee_per_gas)
    if kind == SET_CODE:
        view["authorizationList"] = [
            {
                "chainId": hex(item.chain_id),
                "address": address(item.address),
                "nonce": hex(item.nonce),
                "yParity": hex(item.y_parity),
                "r": hex(item.r),
                "s": hex(item.s),
            }
            for item in getattr(evm, "authorization_list")  # noqa: B009
        ]
    return view


def receipt_json(
    row: TransactionRow, transaction: Transaction, header: Header, logs: list[LogRow]
) -> Json:
    """Return a transaction's receipt."""
    to = transaction.evm.to
    return {
        "transactionHash": data(row.hash),
        "transactionIndex": hex(row.position),
        "blockHash": data(header.hash),
        "blockNumber": hex(row.block),
        "from": address(row.sender),
        "to": address(to) if to else None,
        "cumulativeGasUsed": hex(row.cumulative_gas),
        "gasUsed": hex(row.gas_used),
        "effectiveGasPrice": hex(row.price),
        "contractAddress": None if row.created is None else address(row.created),
        "logs": [log_json(log, header) for log in logs],
        "logsBloom": data(row.bloom),
        "status": hex(row.status),
        "type": hex(transaction.type),
    }


def log_json(row: LogRow, header: Header) -> Json:
    """Return an event."""
    return {
        "address": address(row.address),
        "topics": [data(topic) for topic in row.topics],
        "data": data(row.data),
        "blockNumber": hex(row.block),
        "blockHash": data(header.hash),
        "blockTimestamp": hex(header.timestamp),
        "transactionHash": data(row.tx_hash),
        "transactionIndex": hex(row.tx_position),
        "logIndex": hex(row.position),
        "removed": False,
    }
