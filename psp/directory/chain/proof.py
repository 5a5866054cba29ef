"""Merkle-Patricia proofs: words of a contract's storage under a block's state root.

::

    state root ── path keccak(address) ──> account: nonce, balance, storage root, code hash
    storage root ── path keccak(slot) ──> word, or nothing, which is a word of zeros

A proof is the list of nodes on the way from the root, each named by its hash in the one
before. It may end in a leaf, or in the node that shows that there is none. Nodes of
less than 32 bytes lie inside the one before and are not listed. A proof is refused
unless every node of it is used, in this order (Yellow Paper, appendix D).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psp.crypto.keccak import HASH_SIZE, keccak256
from psp.directory.chain.json_values import bytes_up_to
from psp.errors import DecodeError
from psp.wire import rlp
from psp.wire.rlp import Item

EMPTY_ROOT = keccak256(rlp.encode(b""))
"""Root of a trie that holds nothing."""
NO_CODE = keccak256(b"")
"""Code hash of an account that is no contract."""
SLOT_SIZE = 32
MAX_NODES = 65
"""The root and one node for each of the path's 64 digits."""
MAX_NODE_BYTES = 576
"""A branch of 16 hashes has 532, leaves have less."""
MAX_SLOTS = 1_024
"""Storage words in one answer; 35 + 512 are what an election takes."""

_BRANCH, _SHORT = 17, 2
"""Items of the two shapes of a node."""


class ProofError(DecodeError):
    """A proof does not prove anything about this root."""


class NoAccountError(DecodeError):
    """It is proven that there is no such account."""


@dataclass(frozen=True, slots=True)
class Account:
    """A proven account.

    Attributes:
        nonce: Transactions sent, or contracts made.
        balance: In wei.
        storage_root: Root of the trie of its storage, 32 bytes.
        code_hash: Keccak-256 of its code, 32 bytes.
    """

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes

    @property
    def has_code(self) -> bool:
        """Whether it is a contract."""
        return self.code_hash != NO_CODE


@dataclass(frozen=True, slots=True)
class AccountProof:
    """The nodes that ``eth_getProof`` returns, not verified.

    Attributes:
        account: Nodes from the state root.
        storage: Nodes from the storage root, for each slot asked for, in that order.
    """

    account: tuple[bytes, ...]
    storage: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class ProvenAccount:
    """An account with some words of its storage, all proven.

    Attributes:
        account: The account.
        words: Value of each slot asked for; 0 where nothing is stored.
    """

    account: Account
    words: Mapping[int, int]


def read_proof(
    value: object, *, state_root: bytes, address: bytes, slots: Sequence[int]
) -> ProvenAccount:
    """Read and verify the result of ``eth_getProof``.

    What the answer says beside the proofs, and which slots it claims to be about, does
    not matter: the i-th proof must hold for the i-th slot.

    Args:
        value: The result, as JSON objects.
        state_root: Of the header at the block asked for.
        address: The account, 20 bytes.
        slots: As asked for.

    Raises:
        ProofError: If a proof does not hold.
        NoAccountError: If it holds, and there is no such account.
        DecodeError: If the answer is malformed.
    """
    proof = decode_proof(value, len(slots))
    nodes = _Nodes()
    found = _account(nodes, state_root, address, proof.account)
    if found is None:
        raise NoAccountError("there is no such account at this block")
    words = {
        slot: _word(nodes, found.storage_root, slot, storage)
        for slot, storage in zip(slots, proof.storage, strict=True)
    }
    return ProvenAccount(found, words)


def account(
    state_root: bytes, address: bytes, nodes: Sequence[bytes]
) -> Account | None:
    """Return a proven account; None if it is proven that there is none.

    Raises:
        DecodeError: If the nodes prove nothing about this root.
    """
    return _account(_Nodes(), state_root, address, nodes)


def storage_word(storage_root: bytes, slot: int, nodes: Sequence[bytes]) -> int:
    """Return a proven word of a contract's storage; 0 if nothing is stored there.

    Raises:
        DecodeError: If the nodes prove nothing about this root.
    """
    return _word(_Nodes(), storage_root, slot, nodes)


def decode_proof(value: object, slots: int) -> AccountProof:
    """Read the result of ``eth_getProof`` for a number of slots, without verifying.

    Raises:
        DecodeError: If it is malformed or too large.
    """
    if not isinstance(value, dict):
        raise DecodeError("a proof is a JSON object")
    storage = value.get("storageProof")
    if slots > MAX_SLOTS or not isinstance(storage, list) or len(storage) != slots:
        raise DecodeError(f"not the proof of {slots} slots")
    if not all(isinstance(entry, dict) for entry in storage):
        raise DecodeError("the proof of a slot is a JSON object")
    return AccountProof(
        _node_list(value.get("accountProof")),
        tuple(_node_list(entry.get("proof")) for entry in storage),
    )


def _node_list(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > MAX_NODES:
        raise DecodeError(f"not a list of at most {MAX_NODES} nodes")
    return tuple(bytes_up_to(node, MAX_NODE_BYTES) for node in value)


class _Nodes:
    """Nodes read so far: proofs of one account share most of their upper ones."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, Item]] = {}

    def read(self, data: bytes, name: bytes) -> Item:
        """Return a node.

        Raises:
            DecodeError: If its hash is not ``name``, or it is not RLP.
        """
        if data not in self._known:
            self._known[data] = keccak256(data), rlp.decode(data)
        digest, node = self._known[data]
        if digest != name:
            raise ProofError("a node of a proof is not the one its parent names")
        return node


def _account(
    nodes: _Nodes, state_root: bytes, address: bytes, proof: Sequence[bytes]
) -> Account | None:
    value = _value(nodes, state_root, address, proof)
    if value is None:
        return None
    fields = rlp.decode(value)
    if isinstance(fields, bytes) or len(fields) != 4:
        raise ProofError("an account has four fields")
    return Account(
        rlp.decode_int(fields[0], 64),
        rlp.decode_int(fields[1], 256),
        _hash(fields[2]),
        _hash(fields[3]),
    )


def _word(nodes: _Nodes, root: bytes, slot: int, proof: Sequence[bytes]) -> int:
    value = _value(nodes, root, slot.to_bytes(SLOT_SIZE), proof)
    # Anvil keeps words of zero in its tries, so a stored zero is no contradiction.
    return 0 if value is None else rlp.decode_int(rlp.decode(value), 256)


def _value(
    nodes: _Nodes, root: bytes, key: bytes, proof: Sequence[bytes]
) -> bytes | None:
    """Return the bytes stored under a key; None if it is proven that there are none."""
    if root == EMPTY_ROOT and not proof:
        return None
    listed = iter(proof)
    step: tuple[Item, str] | bytes | None = (root, keccak256(key).hex())
    while isinstance(step, tuple):
        reference, rest = step
        step = _step(_resolve(nodes, reference, listed), rest)
    if next(listed, None) is not None:
        raise ProofError("a proof goes on after its end")
    return step


def _resolve(nodes: _Nodes, reference: Item, listed: Iterator[bytes]) -> Item:
    if isinstance(reference, tuple):
        return reference
    data = next(listed, None)
    if data is None or len(reference) != HASH_SIZE:
        raise ProofError("a proof ends before its leaf")
    return nodes.read(data, reference)


def _step(node: Item, rest: str) -> tuple[Item, str] | bytes | None:
    """Go one node down.

    Returns:
        What is next with the rest of the path, or the value, or None if there is none.
    """
    if node == b"":  # a trie that holds nothing
        return None
    if len(node) == _BRANCH and isinstance(node, tuple) and rest:
        child = node[int(rest[0], 16)]
        return (child, rest[1:]) if child != b"" else None
    if len(node) == _SHORT and isinstance(node, tuple):
        return _short_step(node[0], node[1], rest)
    raise ProofError("not a node of a trie of hashed keys")


def _short_step(
    encoded: Item, content: Item, rest: str
) -> tuple[Item, str] | bytes | None:
    """Go down a leaf or an extension: nodes that hold a piece of the path.

    The first digit of the piece tells its kind: 0 or 1 for an extension, 2 or 3 for a
    leaf; even ones are followed by a zero.
    """
    digits = encoded.hex() if isinstance(encoded, bytes) else ""
    kind, piece = digits[:2], digits[2:]
    if kind[:1] in {"1", "3"}:
        kind, piece = kind[:1], digits[1:]
    if kind in {"20", "3"} and len(piece) == len(rest) and isinstance(content, bytes):
        return content if piece == rest else None
    if kind in {"00", "1"} and piece:
        return (content, rest[len(piece) :]) if rest.startswith(piece) else None
    raise ProofError("not a node of a trie of hashed keys")


def _hash(item: Item) -> bytes:
    if not isinstance(item, bytes) or len(item) != HASH_SIZE:
        raise ProofError("not a hash")
    return item
