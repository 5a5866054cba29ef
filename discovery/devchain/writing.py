"""Methods that change something: transactions, blocks, the clock."""

from dataclasses import replace
from typing import Any

from discovery.devchain.errors import INVALID_PARAMS, RpcError, refuse, refuse_params
from discovery.devchain.evm import UndecodableTransactionError
from discovery.devchain.node import DevNode
from discovery.devchain.params import Params, read_message
from discovery.devchain.quantities import data, read_data, read_quantity
from discovery.devchain.reading import TIP, estimate

MAX_RAW_BYTES = 128 << 10
"""Of one transaction: geth's txMaxSize."""


def send_raw_transaction(node: DevNode, params: Params) -> str:
    """eth_sendRawTransaction."""
    return _submit(node, read_data(params.at(0), "transaction"))


def send_transaction(node: DevNode, params: Params) -> str:
    """eth_sendTransaction, for the accounts of eth_accounts."""
    call = params.object(0)
    message = read_message(call, 0)
    account = node.accounts.get(message.sender)
    if account is None:
        refuse("unknown account")
    gas = message.gas or estimate(node, call, "pending")
    nonce = call.get("nonce")
    raw = node.chain.evm.sign(
        replace(message, gas=gas),
        account.key,
        node.pending_nonce(message.sender)
        if nonce is None
        else read_quantity(nonce, "nonce"),
        _fees(node, call),
    )
    return _submit(node, raw)


def mine(node: DevNode, params: Params) -> str:
    """evm_mine: one block, at the time given as a number or in an object."""
    wanted = params.optional(0)
    if isinstance(wanted, dict):
        wanted = wanted.get("timestamp")
    if wanted is not None:
        node.clock.set_next(read_quantity(wanted), node.chain.head.timestamp)
    node.mine()
    return "0x0"


def mine_many(node: DevNode, params: Params) -> None:
    """anvil_mine: a number of blocks, and seconds between them."""
    count = read_quantity(params.optional(0, 1))
    interval = read_quantity(params.optional(1, 0))
    if count > node.limits.mine:
        refuse_params(f"{count} blocks are more than {node.limits.mine}")
    for i in range(count):
        if i and interval:
            head = node.chain.head.timestamp
            node.clock.set_next(head + interval, head)
        node.mine()


def increase_time(node: DevNode, params: Params) -> int:
    """evm_increaseTime: seconds; the answer is the clock's whole offset."""
    return node.advance_clock(params.quantity(0))


def set_next_block_timestamp(node: DevNode, params: Params) -> None:
    """evm_setNextBlockTimestamp."""
    node.clock.set_next(params.quantity(0), node.chain.head.timestamp)


def set_automine(node: DevNode, params: Params) -> bool:
    """evm_setAutomine; turned on, what waits goes into a block at once."""
    node.automine = params.flag(0, default=True)
    if node.automine and len(node.pool):
        node.mine()
    return True


def set_balance(node: DevNode, params: Params) -> None:
    """anvil_setBalance, in a block of its own."""
    node.fund(params.address(0), params.quantity(1))


def snapshot(node: DevNode, _params: Params) -> str:
    """evm_snapshot."""
    return hex(node.snapshot())


def revert(node: DevNode, params: Params) -> bool:
    """evm_revert."""
    return node.revert(params.quantity(0))


def reorganise(node: DevNode, params: Params) -> None:
    """dev_reorg: replace the newest blocks; true keeps their transactions."""
    depth = params.quantity(0)
    if depth > node.limits.mine:
        refuse_params(f"{depth} blocks are more than {node.limits.mine}")
    node.reorganise(depth, replay=params.flag(1, default=False))


def _submit(node: DevNode, raw: bytes) -> str:
    if len(raw) > MAX_RAW_BYTES:
        refuse(f"oversized data: transaction size {len(raw)}, limit {MAX_RAW_BYTES}")
    try:
        transaction = node.chain.evm.decode_transaction(raw)
    except UndecodableTransactionError as error:
        raise RpcError(INVALID_PARAMS, f"invalid transaction: {error}") from error
    node.submit(transaction)
    return data(transaction.hash)


def _fees(node: DevNode, call: dict[str, Any]) -> tuple[int, int]:
    price = call.get("gasPrice")
    if price is not None:
        exact = read_quantity(price, "gasPrice")
        return exact, exact
    base_fee = int(node.pending_header().base_fee_per_gas)
    tip = read_quantity(call.get("maxPriorityFeePerGas", TIP), "maxPriorityFeePerGas")
    most = call.get("maxFeePerGas", 2 * base_fee + tip)
    return read_quantity(most, "maxFeePerGas"), tip
