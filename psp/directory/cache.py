"""What a client keeps of the directory, so that it can start when nobody answers.

The registry's file, the newest descriptor of each relay, and the highest sequence ever
seen of each, below which nothing is taken again. Reading and writing the file is the
owner's affair.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self

import msgspec

from psp.errors import DecodeError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.netdoc.descriptor import MAX_DESCRIPTOR_BYTES, Descriptor
from psp.units import UnixTime
from psp.wire.network import Network

MAX_NODES = 20_000
MAX_REGISTRY_BYTES = 16 << 20
SEEN_LIFE = 86_400
"""Seconds a relay counts as known to run after its last descriptor was issued, while no
newer directory can be had (R-RPC-2: 24 hours)."""


class _Sequence(msgspec.Struct, array_like=True, frozen=True):
    node_id: Annotated[
        bytes, msgspec.Meta(min_length=NODE_ID_SIZE, max_length=NODE_ID_SIZE)
    ]
    sequence: Annotated[int, msgspec.Meta(ge=0)]


class _Cache(msgspec.Struct, frozen=True, tag="psp-directory-v1"):
    registry: Annotated[bytes, msgspec.Meta(max_length=MAX_REGISTRY_BYTES)]
    registry_sequence: Annotated[int, msgspec.Meta(ge=0)]
    descriptors: Annotated[
        list[Annotated[bytes, msgspec.Meta(max_length=MAX_DESCRIPTOR_BYTES)]],
        msgspec.Meta(max_length=MAX_NODES),
    ]
    highest: Annotated[list[_Sequence], msgspec.Meta(max_length=MAX_NODES)]


@dataclass(frozen=True, slots=True)
class DirectoryCache:
    """The kept state.

    Attributes:
        registry: The registry's file; empty if there is none. Its signatures are
            verified again by whoever uses it.
        registry_sequence: The highest sequence number of a registry ever used.
        descriptors: The newest one of each relay, expired or not.
        highest: The highest sequence of each relay.
    """

    registry: bytes = field(default=b"", repr=False)
    registry_sequence: int = 0
    descriptors: Mapping[NodeId, Descriptor] = field(default_factory=dict, repr=False)
    highest: Mapping[NodeId, int] = field(default_factory=dict, repr=False)

    def seen(self, unix_now: UnixTime) -> frozenset[NodeId]:
        """Return the relays that said something within a day."""
        return frozenset(
            node_id
            for node_id, descriptor in self.descriptors.items()
            if unix_now < descriptor.issued + SEEN_LIFE
        )

    def trimmed(self, members: Collection[NodeId]) -> Self:
        """Return the same without relays that have left the registry."""
        return type(self)(
            self.registry,
            self.registry_sequence,
            {key: d for key, d in self.descriptors.items() if key in members},
            {key: number for key, number in self.highest.items() if key in members},
        )

    def encode(self) -> bytes:
        """Return the state for the disk."""
        return msgspec.msgpack.encode(
            _Cache(
                self.registry,
                self.registry_sequence,
                [descriptor.encode() for descriptor in self.descriptors.values()],
                [_Sequence(key, number) for key, number in self.highest.items()],
            )
        )

    @classmethod
    def decode(cls, data: bytes, network: Network) -> Self:
        """Read a state; all descriptors are verified again.

        Raises:
            DecodeError: If any part of it is not valid.
        """
        try:
            cache = msgspec.msgpack.decode(data, type=_Cache)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise DecodeError("not a directory cache") from None
        descriptors = [Descriptor.decode(item, network) for item in cache.descriptors]
        by_node = {descriptor.node_id: descriptor for descriptor in descriptors}
        highest = {NodeId(entry.node_id): entry.sequence for entry in cache.highest}
        if len(by_node) != len(descriptors) or len(highest) != len(cache.highest):
            raise DecodeError("a relay stands twice in the directory cache")
        if any(d.sequence > highest.get(key, 0) for key, d in by_node.items()):
            raise DecodeError("a descriptor above the highest sequence seen")
        return cls(cache.registry, cache.registry_sequence, by_node, highest)
