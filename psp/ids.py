"""Identifiers that must not be mixed up."""

from typing import NewType

NodeId = NewType("NodeId", bytes)
"""A node's Ed25519 public key, 32 bytes."""

UserId = NewType("UserId", bytes)
"""A user's Ed25519 identity key, 32 bytes."""

CircuitId = NewType("CircuitId", int)
"""A circuit on one link, 1 … 2**32-1; 0 belongs to the link itself."""

LinkId = NewType("LinkId", int)
"""A link of this process; never on the wire."""

Cookie = NewType("Cookie", bytes)
"""A rendezvous cookie, 20 bytes."""

NODE_ID_SIZE = 32
COOKIE_SIZE = 20
