"""The book of nodes: which records there are, that none is missing, and which count.

A listing is the words of all records by number, each record delimiting itself: its head
says how many words follow::

    head | identity | onion key | signature (2) | 1 … 4 words of endpoints     active, revoked
    head                                                                       retired

A record counts if it is active, its endpoints are well-formed, its identity is a usable
key, and that key has signed it (`psp.netdoc.node_record`). Anybody can copy an identity
into a record of his own, so of several that count the lowest number is taken, and an
identity with a revoked record that it signed itself is dead for ever, under every owner.
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from psp.directory.chain import counted, layout
from psp.directory.chain.layout import WORD, mapping_slot
from psp.directory.chain.listed import (
    REVOKED,
    SIGNATURE_SIZE,
    ListedRecord,
    NotCounted,
    changed_numbers,
    flags_of,
    joined,
    merged,
)
from psp.directory.chain.trie import StorageTrie
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.node_record import KEY_SIZE, NodeRecord, node_signing_input
from psp.wire.link_specifiers import MAX_WORDS, unpack
from psp.wire.network import Network

__all__ = [
    "MAX_NODES",
    "BookTrie",
    "ListedNode",
    "NodeList",
    "NodeStatus",
    "NotCounted",
    "book_root",
    "changed_numbers",
    "join_listing",
    "merged",
    "read_nodes",
    "recall_nodes",
    "split_listing",
    "split_records",
]

MAX_NODES = 65_536
"""Numbers given, retired ones included. Our choice: 19 MB of records at most, which a
phone can hold, and more than six times the nodes that this design is measured for."""

_KEYS = 3 * WORD
"""Bytes of head, identity and onion key."""
_ENDPOINTS = _KEYS + SIGNATURE_SIZE


class NodeStatus(enum.IntEnum):
    """What the contract says of a record."""

    ACTIVE = 1
    RETIRED = 2
    REVOKED = REVOKED


class ListedNode(ListedRecord):
    """One node's record."""

    __slots__ = ()

    @property
    def status(self) -> NodeStatus:
        """What the contract says of it."""
        return NodeStatus(self.raw[11] & 15)

    @property
    def onion_epoch(self) -> int:
        """Epoch of the last change of the onion key."""
        return int.from_bytes(self.raw[0:4])

    @property
    def registered(self) -> int:
        """Epoch of registration."""
        return int.from_bytes(self.raw[4:8])

    @property
    def onion_key(self) -> bytes:
        """X25519 key, 32 bytes; empty if the record was cleared."""
        return self.raw[2 * WORD : 2 * WORD + KEY_SIZE]

    @property
    def signature(self) -> bytes:
        """The node's own, 64 bytes; empty if the record was cleared."""
        return self.raw[_KEYS:_ENDPOINTS]

    @property
    def endpoint_words(self) -> tuple[bytes, ...]:
        """Packed endpoints (`psp.wire.link_specifiers`)."""
        return tuple(
            self.raw[start : start + WORD]
            for start in range(_ENDPOINTS, len(self.raw), WORD)
        )


Verdict = NodeRecord | NotCounted
"""What a record says, or why it cannot be believed; true whatever others say."""


@dataclass(frozen=True, slots=True)
class NodeList:
    """The book, read.

    Attributes:
        network: Which network.
        listed: Every record, the i-th with number i + 1.
        nodes: The nodes that count, read-only.
        numbers: Identity by number of those, read-only.
        refused: How many records do not count, by reason.
        verdicts: On each record by itself.
    """

    network: Network
    listed: tuple[ListedNode, ...] = field(repr=False)
    nodes: Mapping[NodeId, NodeRecord] = field(repr=False, compare=False)
    numbers: Mapping[int, NodeId] = field(repr=False, compare=False)
    refused: Mapping[NotCounted, int] = field(compare=False)
    verdicts: tuple[Verdict, ...] = field(repr=False, compare=False)

    @property
    def listing(self) -> bytes:
        """The whole listing."""
        return joined(self.listed)

    @property
    def flags(self) -> bytes:
        """The verdicts, a byte each, for `recall_nodes`."""
        return flags_of(self.verdicts)


def split_listing(data: bytes, *, first: int = 1) -> tuple[ListedNode, ...]:
    """Cut a listing, or a page of one, into records.

    Raises:
        DecodeError: If it is not one, or has more than 65,536 records.
    """
    nodes: list[ListedNode] = []
    start = 0
    while start < len(data):
        if len(nodes) == MAX_NODES:
            raise DecodeError(f"more than {MAX_NODES} nodes")
        end = start + _record_size(data, start)
        nodes.append(ListedNode(first + len(nodes), data[start:end]))
        start = end
    return tuple(nodes)


def split_records(data: bytes, numbers: Sequence[int]) -> tuple[ListedNode, ...]:
    """Cut the records of chosen nodes apart.

    Raises:
        DecodeError: If they are not as many well-formed records.
    """
    nodes = split_listing(data)
    if len(nodes) != len(numbers):
        raise DecodeError(f"{len(nodes)} records instead of {len(numbers)}")
    return tuple(
        ListedNode(number, node.raw)
        for number, node in zip(numbers, nodes, strict=True)
    )


def join_listing(listed: Sequence[ListedNode]) -> bytes:
    """Return the listing of some records, in their order."""
    return joined(listed)


def book_root(listed: Sequence[ListedNode], keeper: bytes) -> bytes:
    """Return the storage root of a book with exactly these records, 32 bytes.

    Args:
        listed: Every record, by number.
        keeper: Address of Relays, the only contract that writes the book.
    """
    return BookTrie(keeper).root(listed)


class BookTrie:
    """The book's storage, kept to tell the root of the next listing in milliseconds."""

    def __init__(self, keeper: bytes) -> None:
        """Start with an empty book of this keeper (address of Relays)."""
        self._trie = StorageTrie([(layout.BOOK_KEEPER, int.from_bytes(keeper))])
        self._held: tuple[ListedNode, ...] = ()

    def root(self, listed: Sequence[ListedNode]) -> bytes:
        """Return the storage root of a book with exactly these records, 32 bytes."""
        for old, new in zip(self._held, listed, strict=False):
            if old.raw != new.raw:
                self._trie.update(_words(old, is_gone=True))
                self._trie.update(_words(new))
        for old in self._held[len(listed) :]:
            self._trie.update(_words(old, is_gone=True))
        for new in listed[len(self._held) :]:
            self._trie.update(_words(new))
        self._trie.update([(layout.BOOK_COUNT, len(listed))])
        self._held = tuple(listed)
        return self._trie.root()


def read_nodes(
    network: Network, listed: Sequence[ListedNode], previous: NodeList | None = None
) -> NodeList:
    """Verify all records and take those that count.

    Takes 0.13 ms for each record that is not, byte for byte, one of ``previous``:
    whoever must not wait calls this in a thread.

    Args:
        network: Which network; its name is in what nodes sign.
        listed: Every record, by number.
        previous: What was verified earlier.
    """
    verdicts = counted.judge(network, listed, previous, _verdict)
    return _counted(network, tuple(listed), verdicts)


def recall_nodes(
    network: Network, listed: Sequence[ListedNode], flags: bytes
) -> NodeList:
    """Take those records that counted earlier, without verifying them again.

    Args:
        network: Which network.
        listed: Every record, by number.
        flags: `NodeList.flags` of the same records, from where nobody else writes.

    Raises:
        DecodeError: If these cannot be their flags.
    """
    return _counted(network, tuple(listed), counted.recall(listed, flags, _record))


def _counted(
    network: Network, listed: tuple[ListedNode, ...], verdicts: tuple[Verdict, ...]
) -> NodeList:
    total = counted.count(listed, verdicts)
    nodes = {record.node_id: record for record in total.counting.values()}
    numbers = {number: record.node_id for number, record in total.counting.items()}
    return NodeList(
        network,
        listed,
        MappingProxyType(nodes),
        MappingProxyType(numbers),
        MappingProxyType(total.refused),
        verdicts,
    )


def _record(node: ListedNode) -> NodeRecord:
    """Return what a record says of itself.

    Raises:
        DecodeError: If its endpoints are malformed or it is retired.
    """
    return NodeRecord(
        node_id=NodeId(node.identity),
        onion_key=node.onion_key,
        endpoints=unpack(node.endpoint_words),
        operator=node.owner,
        version=node.version,
    )


def _verdict(network: Network, node: ListedNode) -> Verdict:
    """Verify one record, active or revoked."""
    if node.status is NodeStatus.RETIRED:
        return NotCounted.RETIRED
    try:
        record = _record(node)
    except DecodeError:
        return NotCounted.ENDPOINTS
    text = node_signing_input(network, record)
    return counted.doubt(record.node_id, text, node.signature) or record


def _record_size(data: bytes, start: int) -> int:
    """Return how many bytes the record at ``start`` takes.

    Raises:
        DecodeError: If they are not there, or the head is none that the contract writes.
    """
    head = data[start : start + WORD]
    status, words = (head[11] & 15, head[11] >> 4) if len(head) == WORD else (0, 0)
    if status == NodeStatus.RETIRED and words == 0:
        return WORD
    if status not in {NodeStatus.ACTIVE, NodeStatus.REVOKED}:
        raise DecodeError(f"a record of status {status}")
    size = _ENDPOINTS + words * WORD
    if not 0 < words <= MAX_WORDS or start + size > len(data):
        raise DecodeError(f"a record with {words} words of endpoints, or cut off")
    return size


def _words(node: ListedNode, *, is_gone: bool = False) -> Iterator[tuple[int, int]]:
    """Yield slot and value of every word of a record, zeros for one that is gone."""
    base = mapping_slot(layout.BOOK_RECORDS, node.number)
    for i in range(len(node.raw) // WORD):
        value = int.from_bytes(node.raw[i * WORD : (i + 1) * WORD])
        yield base + i, 0 if is_gone else value
