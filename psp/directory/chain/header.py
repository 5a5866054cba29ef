"""Block headers: what everything else that is read from a chain hangs on.

A block's hash is Keccak-256 over the RLP of its header. An endpoint sends the header as
JSON next to the hash; it is taken only if its fields give that hash, so once several
endpoints agree on the hash, the state root is agreed upon too. Later forks of Ethereum
append fields, always in the same order, and a field never comes without those before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from psp.crypto.keccak import HASH_SIZE, keccak256
from psp.directory.chain.json_values import bytes_up_to, fixed_bytes, quantity
from psp.errors import DecodeError
from psp.units import UnixTime
from psp.wire import rlp

MAX_EXTRA_BYTES = 4_096
"""32 on Ethereum; chains run by authorities keep their list of signers there."""

_FIXED: Mapping[str, int] = {
    "parentHash": 32,
    "sha3Uncles": 32,
    "miner": 20,
    "stateRoot": 32,
    "transactionsRoot": 32,
    "receiptsRoot": 32,
    "logsBloom": 256,
    "mixHash": 32,
    "nonce": 8,
    "withdrawalsRoot": 32,
    "parentBeaconBlockRoot": 32,
    "requestsHash": 32,
}
"""Fields of a fixed number of bytes; ``extraData`` has any, the rest are integers."""

_WIDE = frozenset({"difficulty", "baseFeePerGas"})
"""Integers of 256 bits; the others have 64."""

_ALWAYS = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
)
_LATER = (
    "baseFeePerGas",  # London, EIP-1559
    "withdrawalsRoot",  # Shanghai, EIP-4895
    "blobGasUsed",  # Cancun, EIP-4844
    "excessBlobGas",
    "parentBeaconBlockRoot",  # Cancun, EIP-4788
    "requestsHash",  # Prague, EIP-7685
)


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """The header of one block, as far as readers need it.

    Attributes:
        number: Height of the block.
        hash: Its name, 32 bytes: that of exactly these fields and all others.
        parent_hash: Name of the block before, 32 bytes.
        state_root: Root of the trie of all accounts after this block, 32 bytes.
        timestamp: As the block's builder set it.
        prevrandao: The beacon chain's random value, 32 bytes (``mixHash``).
    """

    number: int
    hash: bytes
    parent_hash: bytes
    state_root: bytes
    timestamp: UnixTime
    prevrandao: bytes

    @classmethod
    def from_json(cls, block: object) -> Self:
        """Read the result of ``eth_getBlockByNumber`` or ``eth_getBlockByHash``.

        Raises:
            DecodeError: If a field is missing, malformed or unknown to us but hashed,
                that is: if the fields do not give the hash that stands beside them.
        """
        if not isinstance(block, dict):
            raise DecodeError("a block is a JSON object")
        named = fixed_bytes(block.get("hash"), HASH_SIZE)
        fields = {name: _field(name, block.get(name)) for name in _names(block)}
        if keccak256(rlp.encode(tuple(fields.values()))) != named:
            raise DecodeError("a block header does not hash to its hash")
        return cls(
            number=int.from_bytes(fields["number"]),
            hash=named,
            parent_hash=fields["parentHash"],
            state_root=fields["stateRoot"],
            timestamp=UnixTime(int.from_bytes(fields["timestamp"])),
            prevrandao=fields["mixHash"],
        )


def _names(block: Mapping[object, object]) -> tuple[str, ...]:
    """Return the names of a block's fields, in the order in which they are hashed."""
    has = [block.get(name) is not None for name in _LATER]
    later = sum(has)
    if not all(has[:later]):
        raise DecodeError("a block header lacks a field that comes before another")
    return _ALWAYS + _LATER[:later]


def _field(name: str, value: object) -> bytes:
    """Return the bytes that stand for a field in the header's RLP."""
    if name in _FIXED:
        return fixed_bytes(value, _FIXED[name])
    if name == "extraData":
        return bytes_up_to(value, MAX_EXTRA_BYTES)
    return rlp.encode_int(quantity(value, 256 if name in _WIDE else 64))
