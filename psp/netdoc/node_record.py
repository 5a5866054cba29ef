"""What the registry says of a node and of a user: all that a reader must rely on.

Keys, endpoints and operator come from the registry alone; were they taken from a
relay's own word, it could hand each client a key or a port of its own and recognise
the client by it later. Advisory facts are in `psp.netdoc.descriptor`.

A node signs its own record (big-endian)::

    "psp-node-v1" | chain id 8 | registry 20 | operator 20 | node id 32
        | onion key 32 | 24 bytes per endpoint

so that whoever keeps the registry can leave a node out or show an old record, but
cannot change a key or an endpoint. The operator in it makes a copied record invalid
under any other owner.
"""

import enum
from dataclasses import dataclass

from psp.crypto.kdf import Label
from psp.ids import NodeId, UserId
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

KEY_SIZE = 32
OPERATOR_SIZE = 20
"""An account of the chain."""
FAMILY_SIZE = 16
MAX_ENDPOINTS = 16
"""One per worker process; as many IPv4 endpoints as the chain's record holds."""
MAX_FAMILIES = 4
"""A node that claims a family only keeps itself off paths; the claim is kept small."""


class Status(enum.StrEnum):
    """Whether a registration counts."""

    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """One registered relay.

    Attributes:
        node_id: Its Ed25519 identity.
        onion_key: X25519 public key for circuit handshakes, 32 bytes.
        endpoints: Where it listens, one per worker, the first preferred.
        operator: Account that registered it, 20 bytes; one operator, many nodes.
        previous_onion_key: The key before, still answered for one period; None when
            the key has not been changed lately.
        families: 16-byte ids of the groups it says it belongs to, sorted.
        version: Rises with every change of the record.
    """

    node_id: NodeId
    onion_key: bytes
    endpoints: tuple[Endpoint, ...]
    operator: bytes
    previous_onion_key: bytes | None = None
    families: tuple[bytes, ...] = ()
    version: int = 1


@dataclass(frozen=True, slots=True)
class UserRecord:
    """One registered user.

    Attributes:
        user_id: The user's Ed25519 identity key.
        status: Revoked users are listed so that their ids cannot come back.
    """

    user_id: UserId
    status: Status = Status.ACTIVE


def node_signing_input(network: Network, node: NodeRecord) -> bytes:
    """Return the text a node signs about itself."""
    return b"".join(
        (
            Label.NODE,
            network.encode(),
            node.operator,
            node.node_id,
            node.onion_key,
            *(endpoint.encode() for endpoint in node.endpoints),
        )
    )
