"""EXTEND: what a hop is told about the hop to come.

::

    0          32           56                        1400      1432
    +----------+------------+-------------------------+---------+
    | node id  | endpoint   | client handshake        | zeros   |
    +----------+------------+-------------------------+---------+

The answer, EXTENDED, is a relay handshake of 1,184 bytes and nothing else. Both travel
in two parts, which `psp.circuit.exchange` takes care of. Source: SPEC.md section 4.
"""

from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.wire.create import CLIENT_HANDSHAKE_SIZE
from psp.wire.endpoint import ENDPOINT_SIZE, Endpoint

EXTEND_SIZE = 1432
_ENDPOINT_END = NODE_ID_SIZE + ENDPOINT_SIZE
_HANDSHAKE_END = _ENDPOINT_END + CLIENT_HANDSHAKE_SIZE


@dataclass(frozen=True, slots=True)
class Extend:
    """Data of an EXTEND message, both parts together.

    Attributes:
        node_id: The relay to extend to.
        endpoint: One of that relay's own, by the registry.
        client_handshake: 1,344 bytes to pass on.
    """

    node_id: NodeId
    endpoint: Endpoint
    client_handshake: bytes

    def encode(self) -> bytes:
        """Return the 1,432 bytes."""
        if (len(self.node_id), len(self.client_handshake)) != (
            NODE_ID_SIZE,
            CLIENT_HANDSHAKE_SIZE,
        ):
            raise LocalProtocolError("wrong size of node id or client handshake")
        data = self.node_id + self.endpoint.encode() + self.client_handshake
        return data.ljust(EXTEND_SIZE, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the data of an EXTEND message.

        Raises:
            DecodeError: If ``data`` is anything else.
        """
        if len(data) != EXTEND_SIZE:
            raise DecodeError(f"EXTEND of {len(data)} bytes")
        if any(data[_HANDSHAKE_END:]):
            raise DecodeError("padding is not zero")
        return cls(
            NodeId(data[:NODE_ID_SIZE]),
            Endpoint.decode(data[NODE_ID_SIZE:_ENDPOINT_END]),
            data[_ENDPOINT_END:_HANDSHAKE_END],
        )
