"""The membership as one worker hands it to another: who there is, and where.

Only worker 0 reads and verifies the registry. What the others need of it is small:
whose handshakes to answer, and where circuits may be extended to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec

from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.wire.endpoint import ENDPOINT_SIZE, Endpoint

_ID_SIZE = 32


class MembersMessage(msgspec.Struct, tag="members", frozen=True):
    """Every active node's endpoints, 24 bytes each, by its id."""

    nodes: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Member:
    """An active node, as far as forwarding needs it.

    Attributes:
        endpoints: Of its record, in that order.
    """

    endpoints: Sequence[Endpoint]


class Members:
    """One state of the membership."""

    def __init__(self, members: Mapping[NodeId, Member]) -> None:
        self._members = members

    @classmethod
    def from_message(cls, message: MembersMessage) -> Self:
        """Read what worker 0 sent.

        Raises:
            DecodeError: If it is not that.
        """
        members: dict[NodeId, Member] = {}
        for key, packed in message.nodes.items():
            if len(key) != _ID_SIZE or not packed or len(packed) % ENDPOINT_SIZE:
                raise DecodeError("a member without an id or endpoints")
            members[NodeId(key)] = Member(
                tuple(
                    Endpoint.decode(packed[start : start + ENDPOINT_SIZE])
                    for start in range(0, len(packed), ENDPOINT_SIZE)
                )
            )
        return cls(members)

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._members)

    def node(self, node_id: NodeId) -> Member | None:
        """Return an active node; None for all others."""
        return self._members.get(node_id)


def members_message(nodes: Mapping[NodeId, NodeRecord]) -> MembersMessage:
    """Return what tells another worker of these nodes."""
    return MembersMessage(
        {
            bytes(node_id): b"".join(endpoint.encode() for endpoint in record.endpoints)
            for node_id, record in nodes.items()
            if record.endpoints
        }
    )
