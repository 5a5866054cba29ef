"""JSON-RPC 2.0: from the bytes of a request to the bytes of the answer.

Whatever comes in, the answer is a well-formed response and the node goes on.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from discovery.devchain import reading, writing
from discovery.devchain.errors import (
    INTERNAL,
    INVALID_PARAMS,
    INVALID_REQUEST,
    NO_METHOD,
    PARSE,
    RpcError,
)
from discovery.devchain.node import DevNode
from discovery.devchain.params import Params

Method = Callable[[DevNode, Params], object]

METHODS: dict[str, Method] = {
    "web3_clientVersion": reading.client_version,
    "net_version": reading.net_version,
    "eth_chainId": reading.chain_id,
    "eth_syncing": reading.syncing,
    "eth_accounts": reading.accounts,
    "eth_blockNumber": reading.block_number,
    "eth_gasPrice": reading.gas_price,
    "eth_maxPriorityFeePerGas": reading.max_priority_fee,
    "eth_feeHistory": reading.fee_history,
    "eth_getBalance": reading.balance,
    "eth_getTransactionCount": reading.transaction_count,
    "eth_getCode": reading.code,
    "eth_getStorageAt": reading.storage_at,
    "eth_getProof": reading.proof,
    "eth_getBlockByNumber": reading.block_by_name,
    "eth_getBlockByHash": reading.block_by_name,
    "eth_getTransactionByHash": reading.transaction_by_hash,
    "eth_getTransactionReceipt": reading.receipt,
    "eth_getLogs": reading.logs,
    "eth_call": reading.call,
    "eth_estimateGas": reading.estimate_gas,
    "eth_sendRawTransaction": writing.send_raw_transaction,
    "eth_sendTransaction": writing.send_transaction,
    "evm_mine": writing.mine,
    "evm_increaseTime": writing.increase_time,
    "evm_setNextBlockTimestamp": writing.set_next_block_timestamp,
    "evm_setAutomine": writing.set_automine,
    "evm_snapshot": writing.snapshot,
    "evm_revert": writing.revert,
    "anvil_mine": writing.mine_many,
    "anvil_setBalance": writing.set_balance,
    "dev_reorg": writing.reorganise,
}
"""Everything the node answers to."""


MAX_NESTING = 32
"""Arrays and objects inside each other; an access list in a batch takes 6. py-evm raises
Python's recursion limit so far that decoding much deeper ones overflows the stack."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class Dispatcher:
    """Answers requests with one node, one at a time."""

    def __init__(
        self, node: DevNode, on_fault: Callable[[str, Exception], None]
    ) -> None:
        """Start.

        Args:
            node: Which answers.
            on_fault: Told the method and the error when our own code failed.
        """
        self._node = node
        self._on_fault = on_fault

    def answer(self, body: bytes) -> bytes:
        """Answer a request or a batch; empty if nobody wants an answer."""
        if _nesting(body) > MAX_NESTING:
            return _encode(_failed(None, RpcError(PARSE, "nested too deep")))
        try:
            request = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return _encode(_failed(None, RpcError(PARSE, "parse error")))
        if not isinstance(request, list):
            response = self._one(request)
            return b"" if response is None else _encode(response)
        limit = self._node.limits.batch
        if not 1 <= len(request) <= limit:
            refused = RpcError(
                INVALID_REQUEST, f"batch of {len(request)} calls, not 1 to {limit}"
            )
            return _encode(_failed(None, refused))
        responses = [self._one(one) for one in request]
        wanted = [response for response in responses if response is not None]
        return _encode(wanted) if wanted else b""

    def _one(self, request: object) -> dict[str, Any] | None:
        if not isinstance(request, dict):
            return _failed(None, RpcError(INVALID_REQUEST, "request is not an object"))
        call_id = request.get("id")
        if isinstance(call_id, bool | dict | list):
            return _failed(None, RpcError(INVALID_REQUEST, "id is not simple"))
        try:
            result = self._call(request)
        except RpcError as error:
            response = _failed(call_id, error)
        else:
            response = {"jsonrpc": "2.0", "id": call_id, "result": result}
        return response if "id" in request else None

    def _call(self, request: dict[str, Any]) -> object:
        name = request.get("method")
        params = request.get("params", [])
        if not isinstance(name, str):
            raise RpcError(INVALID_REQUEST, "method is not a string")
        method = METHODS.get(name)
        if method is None:
            raise RpcError(
                NO_METHOD, f"the method {name[:64]} does not exist/is not available"
            )
        if not isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "params are not an array")
        try:
            return method(self._node, Params(params))
        except RpcError:
            raise
        except Exception as error:  # the supervisor of all methods
            self._node.chain.discard()
            self._on_fault(name, error)
            raise RpcError(
                INTERNAL, f"internal error: {type(error).__name__}"
            ) from error


def _nesting(body: bytes) -> int:
    if body.count(b"[") + body.count(b"{") <= MAX_NESTING:
        return 0  # cannot be deeper, wherever they are
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _failed(call_id: object, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "error": error.encode()}


def _encode(response: object) -> bytes:
    return msgspec.json.encode(response)
