"""Methods that only read: state, blocks, transactions, events, proofs, calls."""

from dataclasses import replace
from typing import Any

from discovery.devchain.blocks import CallResult, Header, Message
from discovery.devchain.errors import (
    LIMIT,
    REVERTED,
    RpcError,
    refuse,
    refuse_params,
)
from discovery.devchain.evm import InvalidTransactionError
from discovery.devchain.node import DevNode
from discovery.devchain.params import CALL_GAS, Params, find_block, read_message
from discovery.devchain.quantities import (
    data,
    read_address,
    read_hash,
    read_quantity,
    word,
)
from discovery.devchain.store import LogFilter, TransactionRow
from discovery.devchain.views import (
    Json,
    address,
    block_json,
    log_json,
    receipt_json,
    transaction_json,
)

TIP = 10**9
"""The tip suggested to clients, wei per gas."""

MAX_BLOCK = 2**62
"""Beyond any block, and an integer to SQLite."""

MAX_TOPICS = 4
MAX_CHOICES = 256
"""Alternatives in one place of a filter."""

ERROR_STRING = bytes.fromhex("08c379a0")
"""Selector of Error(string), what `revert("...")` and Vyper's reasons encode to."""


def client_version(_node: DevNode, _params: Params) -> str:
    """web3_clientVersion."""
    return "psp-devchain/1 py-evm/0.12.1b1"


def net_version(node: DevNode, _params: Params) -> str:
    """net_version."""
    return str(node.chain.evm.chain_id)


def chain_id(node: DevNode, _params: Params) -> str:
    """eth_chainId."""
    return hex(node.chain.evm.chain_id)


def syncing(_node: DevNode, _params: Params) -> bool:
    """eth_syncing: never."""
    return False


def accounts(node: DevNode, _params: Params) -> list[str]:
    """eth_accounts: those the node signs for."""
    return [address(one) for one in node.accounts]


def block_number(node: DevNode, _params: Params) -> str:
    """eth_blockNumber."""
    return hex(node.chain.head.block_number)


def gas_price(node: DevNode, _params: Params) -> str:
    """eth_gasPrice: the next base fee and the suggested tip."""
    return hex(node.pending_header().base_fee_per_gas + TIP)


def max_priority_fee(_node: DevNode, _params: Params) -> str:
    """eth_maxPriorityFeePerGas."""
    return hex(TIP)


def fee_history(node: DevNode, params: Params) -> Json:
    """eth_feeHistory; the same tip for every percentile."""
    newest = params.block(node, 1)
    top = min(newest.block_number, node.chain.head.block_number)
    count = min(params.quantity(0), 1_024, top + 1)
    percentiles = params.optional(2, [])
    if not isinstance(percentiles, list) or len(percentiles) > 100:
        refuse_params("percentiles are not an array of at most 100")
    headers = [node.chain.header(top - count + 1 + i) for i in range(count)]
    known = [header for header in headers if header is not None]
    following = node.chain.header(top + 1) or node.pending_header()
    history: Json = {
        "oldestBlock": hex(top - count + 1),
        "baseFeePerGas": [hex(one.base_fee_per_gas) for one in (*known, following)],
        "gasUsedRatio": [one.gas_used / one.gas_limit for one in known],
    }
    if percentiles:
        history["reward"] = [[hex(TIP)] * len(percentiles) for _ in known]
    return history


def balance(node: DevNode, params: Params) -> str:
    """eth_getBalance."""
    return hex(node.chain.account(params.block(node, 1), params.address(0)).balance)


def transaction_count(node: DevNode, params: Params) -> str:
    """eth_getTransactionCount; with "pending" those that wait are counted."""
    who = params.address(0)
    if params.optional(1) == "pending":
        return hex(node.pending_nonce(who))
    return hex(node.chain.account(params.block(node, 1), who).nonce)


def code(node: DevNode, params: Params) -> str:
    """eth_getCode."""
    return data(node.chain.code(params.block(node, 1), params.address(0)))


def storage_at(node: DevNode, params: Params) -> str:
    """eth_getStorageAt."""
    slot = params.quantity(1)
    return word(node.chain.storage(params.block(node, 2), params.address(0), slot))


def proof(node: DevNode, params: Params) -> Json:
    """eth_getProof (EIP-1186)."""
    who = params.address(0)
    names = params.list(1)
    if len(names) > node.limits.slots:
        refuse_params(f"{len(names)} slots are more than {node.limits.slots}")
    slots = [read_quantity(name, "slot") for name in names]
    proven = node.chain.prove(params.block(node, 2), who, slots)
    account = proven.account
    return {
        "address": address(who),
        "balance": hex(account.balance),
        "nonce": hex(account.nonce),
        "codeHash": data(account.code_hash),
        "storageHash": data(account.storage_root),
        "accountProof": [data(step) for step in proven.nodes],
        "storageProof": [
            {
                "key": name,
                "value": hex(value),
                "proof": [data(step) for step in steps],
            }
            for name, (value, steps) in zip(names, proven.words, strict=True)
        ],
    }


def block_by_name(node: DevNode, params: Params) -> Json | None:
    """eth_getBlockByNumber and eth_getBlockByHash; null for one that is not there."""
    header = find_block(node, params.at(0))
    is_full = params.flag(1, default=False)
    if header is None:
        return None
    rows = node.chain.store.transactions(header.block_number)
    views: list[Any] = [
        _transaction_view(node, row, header) if is_full else data(row.hash)
        for row in rows
    ]
    return block_json(header, views, sum(len(row.raw) for row in rows))


def transaction_by_hash(node: DevNode, params: Params) -> Json | None:
    """eth_getTransactionByHash; also of one that waits."""
    tx_hash = params.hash(0)
    row = node.chain.store.transaction_by_hash(tx_hash)
    if row is not None:
        return _transaction_view(node, row, node.chain.header(row.block))
    waiting = node.pool.get(tx_hash)
    return None if waiting is None else transaction_json(waiting, None, None)


def receipt(node: DevNode, params: Params) -> Json | None:
    """eth_getTransactionReceipt; null until it is in a block."""
    row = node.chain.store.transaction_by_hash(params.hash(0))
    header = None if row is None else node.chain.header(row.block)
    if row is None or header is None:
        return None
    logs = node.chain.store.logs_of(row.block, row.position)
    transaction = node.chain.evm.decode_transaction(row.raw)
    return receipt_json(row, transaction, header, logs)


def logs(node: DevNode, params: Params) -> list[Json]:
    """eth_getLogs."""
    wanted = _read_filter(node, params.object(0))
    limit = node.limits.logs
    rows = node.chain.store.logs(wanted, limit + 1)
    if len(rows) > limit:
        raise RpcError(LIMIT, f"query returned more than {limit} results")
    views = []
    for row in rows:
        header = node.chain.header(row.block)
        if header is not None:
            views.append(log_json(row, header))
    return views


def call(node: DevNode, params: Params) -> str:
    """eth_call: in the named block's state, with its number and time."""
    if params.optional(2) is not None or params.optional(3) is not None:
        refuse_params("state and block overrides are not supported")
    message = read_message(params.object(0), CALL_GAS)
    result = run(node, params.block(node, 1), message)
    raise_if_failed(result)
    return data(result.output)


def estimate_gas(node: DevNode, params: Params) -> str:
    """eth_estimateGas: in the next block, unless another is named."""
    return hex(estimate(node, params.object(0), params.optional(1, "pending")))


def estimate(node: DevNode, call_object: dict[str, Any], block: object) -> int:
    """Return a gas limit with which the call succeeds.

    Most calls need exactly what they used; those that forward a part of their gas, or
    look at it, need more: the gap is then closed by halving.

    Raises:
        RpcError: If it fails with all the gas of a block.
    """
    header = find_block(node, "pending" if block == "latest" else block)
    if header is None:
        refuse("block not found")
    message = read_message(call_object, int(header.gas_limit))
    most = min(message.gas, int(header.gas_limit))
    result = run(node, header, replace(message, gas=most))
    raise_if_failed(result)
    floor = 21_000 + 10 * (4 * len(message.data) - 3 * message.data.count(0))
    low = max(result.gas_used, floor)
    if run(node, header, replace(message, gas=low)).error is None:
        return low
    high = most
    while high - low > low // 64:
        middle = min((low + high) // 2, 2 * low)
        if run(node, header, replace(message, gas=middle)).error is None:
            high = middle
        else:
            low = middle
    return high


def run(node: DevNode, header: Header, message: Message) -> CallResult:
    """Run a call.

    Raises:
        RpcError: If the sender cannot pay the value, or the gas is too little to start.
    """
    funds = node.chain.account(header, message.sender).balance
    if funds < message.value:
        refuse(f"insufficient funds for transfer: balance {funds}")
    try:
        return node.chain.call(header, message)
    except InvalidTransactionError as error:
        refuse(str(error))


def raise_if_failed(result: CallResult) -> None:
    """Tell the client why a call failed.

    Raises:
        RpcError: If it did; with the revert's data if there are any.
    """
    if result.error is None:
        return
    if not result.is_reverted:
        refuse(result.error)
    reason = _revert_reason(result.output)
    message = "execution reverted" + (f": {reason}" if reason else "")
    raise RpcError(REVERTED, message, data(result.output))


def _revert_reason(output: bytes) -> str:
    if output[:4] != ERROR_STRING or len(output) < 68:
        return ""
    size = int.from_bytes(output[36:68], "big")
    return output[68 : 68 + min(size, 1_024)].decode("utf-8", "replace")


def _transaction_view(
    node: DevNode, row: TransactionRow, header: Header | None
) -> Json:
    transaction = node.chain.evm.decode_transaction(row.raw)
    return transaction_json(transaction, row, None if header is None else header.hash)


def _read_filter(node: DevNode, wanted: dict[str, Any]) -> LogFilter:
    if wanted.get("blockHash") is not None:
        header = node.chain.header_by_hash(read_hash(wanted["blockHash"]))
        if header is None:
            refuse("unknown block")
        first = last = int(header.block_number)
    else:
        first = _read_border(node, wanted.get("fromBlock"))
        last = _read_border(node, wanted.get("toBlock"))
    topics = wanted.get("topics") or []
    if not isinstance(topics, list) or len(topics) > MAX_TOPICS:
        refuse_params("topics are not an array of at most 4")
    return LogFilter(
        first,
        last,
        [read_address(one) for one in _choices(wanted.get("address"))],
        [[read_hash(one, "topic") for one in _choices(topic)] for topic in topics],
    )


def _read_border(node: DevNode, name: object) -> int:
    header = find_block(node, "latest" if name is None else name)
    if header is not None:
        return int(header.block_number)
    return min(read_quantity(name, "block"), MAX_BLOCK)


def _choices(value: object) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or len(value) > MAX_CHOICES:
        refuse_params(f"a filter has more than {MAX_CHOICES} alternatives")
    return value
