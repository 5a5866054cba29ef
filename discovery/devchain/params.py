"""The parameters of one call, read by position; anything odd is the client's mistake."""

from collections.abc import Sequence
from typing import Any

from discovery.devchain.blocks import Header, Message
from discovery.devchain.errors import RpcError, refuse_params
from discovery.devchain.node import DevNode
from discovery.devchain.quantities import (
    HASH_BYTES,
    TAGS,
    read_address,
    read_data,
    read_hash,
    read_quantity,
)

BLOCK_NOT_FOUND = -32001
"""As geth and erigon: "header not found" and kin."""

CALL_GAS = 50_000_000
"""Gas of an eth_call that names none, as geth's."""

MAX_CALL_GAS = 100_000_000
"""An eth_call that names more gets this. Nothing else is answered while it runs, which
with an endless loop is half a minute."""


class Params:
    """The `params` of a request."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def at(self, position: int) -> Any:  # noqa: ANN401 - JSON
        """Return a parameter that must be there."""
        if position >= len(self._values):
            refuse_params(f"missing value for required argument {position}")
        return self._values[position]

    def optional(self, position: int, default: Any = None) -> Any:  # noqa: ANN401
        """Return a parameter, or the default if it is missing or null."""
        value = self._values[position] if position < len(self._values) else None
        return default if value is None else value

    def address(self, position: int) -> bytes:
        """Return an address."""
        return read_address(self.at(position))

    def hash(self, position: int) -> bytes:
        """Return a hash."""
        return read_hash(self.at(position))

    def quantity(self, position: int) -> int:
        """Return an integer."""
        return read_quantity(self.at(position))

    def flag(self, position: int, *, default: bool) -> bool:
        """Return a boolean."""
        value = self.optional(position, default)
        if not isinstance(value, bool):
            refuse_params(f"argument {position} is not a boolean")
        return value

    def object(self, position: int) -> dict[str, Any]:
        """Return an object."""
        value = self.at(position)
        if not isinstance(value, dict):
            refuse_params(f"argument {position} is not an object")
        return value

    def list(self, position: int) -> list[Any]:
        """Return an array."""
        value = self.at(position)
        if not isinstance(value, list):
            refuse_params(f"argument {position} is not an array")
        return value

    def block(self, node: DevNode, position: int) -> Header:
        """Return the header of a block that is named, by default the latest.

        Raises:
            RpcError: If there is no such block.
        """
        header = find_block(node, self.optional(position, "latest"))
        if header is None:
            raise RpcError(BLOCK_NOT_FOUND, "block not found")
        return header


def find_block(node: DevNode, name: object) -> Header | None:
    """Return a block by tag, number or hash (EIP-1898); None if there is none.

    Raises:
        RpcError: If the name makes no sense.
    """
    if isinstance(name, dict):
        if "blockHash" in name:
            return node.chain.header_by_hash(read_hash(name["blockHash"]))
        name = name.get("blockNumber")
    if isinstance(name, str) and name in TAGS:
        return tagged(node, name)
    if isinstance(name, str) and len(name) == 2 + 2 * HASH_BYTES:
        return node.chain.header_by_hash(read_hash(name))
    return node.chain.header(read_quantity(name, "block"))


def tagged(node: DevNode, tag: str) -> Header | None:
    """Return the block a tag stands for."""
    head = node.chain.head
    match tag:
        case "earliest":
            return node.chain.header(0)
        case "pending":
            return node.pending_header()
        case "safe" | "finalized":
            return node.chain.header(max(0, head.block_number - node.config.finality))
        case _:
            return head


def read_message(call: dict[str, Any], gas: int) -> Message:
    """Return the call an object describes; `gas` if it names none."""
    to = call.get("to")
    payload = call.get("input")
    if payload is None:
        payload = call.get("data")
    limit = call.get("gas")
    return Message(
        sender=read_address(call.get("from") or "0x" + "00" * 20, "from"),
        to=None if to in {None, "", "0x"} else read_address(to, "to"),
        gas=gas if limit is None else min(read_quantity(limit, "gas"), MAX_CALL_GAS),
        value=read_quantity(call.get("value") or 0, "value"),
        data=b"" if payload is None else read_data(payload),
    )
