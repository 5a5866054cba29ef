"""A signed network of any size, with all its keys, for tests and loopback runs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha512

from nacl import bindings

from psp.crypto.keys import SigningKey
from psp.crypto.primitives import sha256, x25519_generate, x25519_public
from psp.directory.registry import NodeRecord, period_of
from psp.directory.trusted import TrustAnchor, TrustedFileRegistry
from psp.entropy import Entropy
from psp.ids import NodeId, UserId
from psp.netdoc import trusted_file
from psp.netdoc.descriptor import NO_ROLES, Descriptor, Role
from psp.netdoc.node_entry import SignedNode
from psp.netdoc.trusted_file import TrustedFile
from psp.units import UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

LOOPBACK = Network(chain_id=31_337, registry=bytes(19) + b"\x01")
"""The network of tests and demos."""
START = UnixTime(1_790_000_000)
"""A fixed moment, so that test files do not depend on the day."""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """One node with its secrets.

    Attributes:
        identity: Signs, and is the link key too.
        onion_private: X25519 private key for circuit handshakes.
        signed: The registry's entry.
    """

    identity: SigningKey
    onion_private: bytes = field(repr=False)
    signed: SignedNode

    @property
    def record(self) -> NodeRecord:
        """The registry's record."""
        return self.signed.record

    @property
    def node_id(self) -> NodeId:
        """The node's id."""
        return self.signed.record.node_id


@dataclass(slots=True)
class SignedNetwork:
    """A network whose registry is a file signed by partners.

    Attributes:
        network: Its name.
        nodes: Every node with its keys, in the order they were made.
        users: Users' identity keys.
        partners: Keys that sign the file.
        discovery: How many of the first nodes are discovery nodes.
        trusted: How many of the last nodes are the partners'.
        issued: Of the file.
        life: Of the file, seconds.
        sequence: Of the file; raise it to sign another.
    """

    network: Network
    nodes: list[NodeKeys]
    users: list[SigningKey]
    partners: list[SigningKey]
    discovery: int = 5
    trusted: int = 3
    issued: UnixTime = START
    life: int = 7 * 86_400
    sequence: int = 1

    @classmethod
    def build(
        cls,
        entropy: Entropy,
        *,
        nodes: int = 12,
        operators: int = 12,
        users: int = 3,
        partners: int = 2,
        endpoints: Callable[[int], tuple[Endpoint, ...]] | None = None,
        network: Network = LOOPBACK,
        issued: UnixTime = START,
    ) -> "SignedNetwork":
        """Make all keys and sign all entries.

        Args:
            entropy: The keys come from here.
            nodes: How many relays.
            operators: How many accounts share them, in turn.
            users: How many users.
            partners: How many partners sign.
            endpoints: Endpoints of node i; by default ``10.x.y.1:443``, each node in
                an IPv4 /16 of its own.
            network: Which network.
            issued: When the file is issued.
        """
        place = endpoints or _endpoints
        return cls(
            network,
            [
                make_node(network, entropy, _operator(i % operators), place(i))
                for i in range(nodes)
            ],
            [SigningKey.generate(entropy) for _ in range(users)],
            [SigningKey.generate(entropy) for _ in range(partners)],
            issued=issued,
        )

    @property
    def anchor(self) -> TrustAnchor:
        """What a reader of this network is configured with."""
        keys = frozenset(key.public for key in self.partners)
        return TrustAnchor(self.network, keys, threshold=len(keys))

    def document(self) -> TrustedFile:
        """Return the registry as it stands."""
        ids = [node.node_id for node in self.nodes]
        return TrustedFile(
            network=self.network,
            sequence=self.sequence,
            issued=self.issued,
            expires=UnixTime(self.issued + self.life),
            nodes={node.node_id: node.signed for node in self.nodes},
            discovery_nodes=tuple(sorted(ids[: self.discovery])),
            trusted_nodes=tuple(sorted(ids[len(ids) - self.trusted :])),
            users=frozenset(UserId(key.public) for key in self.users),
            random_values=_random_values(self.issued, self.life),
        )

    def file(self) -> bytes:
        """Return the registry file, signed by all partners."""
        return trusted_file.encode(self.document(), self.partners)

    def registry(self) -> TrustedFileRegistry:
        """Return a registry that has read the file."""
        return TrustedFileRegistry.open(self.file(), self.anchor, self.issued)

    def keys_of(self, node_id: NodeId) -> NodeKeys:
        """Return a node with its keys."""
        return next(node for node in self.nodes if node.node_id == node_id)

    def descriptor(
        self,
        node: NodeKeys,
        *,
        sequence: int = 1,
        issued: UnixTime | None = None,
        life: int = 10_800,
        roles: Role = NO_ROLES,
        load: int = 0,
    ) -> Descriptor:
        """Return a descriptor that a node signed."""
        when = self.issued if issued is None else issued
        return Descriptor(
            node.node_id, sequence, when, life, roles=roles, load=load
        ).signed(self.network, node.identity)


def make_node(
    network: Network,
    entropy: Entropy,
    operator: bytes,
    endpoints: tuple[Endpoint, ...],
    families: tuple[bytes, ...] = (),
) -> NodeKeys:
    """Make one node with new keys."""
    identity = SigningKey.generate(entropy)
    onion_private = x25519_generate(entropy)
    record = NodeRecord(
        NodeId(identity.public),
        x25519_public(onion_private),
        endpoints,
        operator,
        families=families,
    )
    return NodeKeys(identity, onion_private, SignedNode.sign(network, record, identity))


def moved(
    network: Network, node: NodeKeys, endpoints: tuple[Endpoint, ...]
) -> NodeKeys:
    """Return the same node at other endpoints, signed anew."""
    record = replace(node.record, endpoints=endpoints, version=node.record.version + 1)
    signed = SignedNode.sign(network, record, node.identity)
    return NodeKeys(node.identity, node.onion_private, signed)


def second_signature(key: SigningKey, message: bytes) -> bytes:
    """Return a valid Ed25519 signature other than the one everybody makes.

    RFC 8032 derives the nonce from the message; nothing a verifier sees forces a signer
    to do so.
    """
    digest = sha512(key.seed).digest()
    scalar = bytearray(digest[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    nonce = bindings.crypto_core_ed25519_scalar_reduce(
        sha512(b"other" + message).digest()
    )
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = bindings.crypto_core_ed25519_scalar_reduce(
        sha512(point + key.public + message).digest()
    )
    secret = bindings.crypto_core_ed25519_scalar_reduce(bytes(scalar).ljust(64, b"\0"))
    product = bindings.crypto_core_ed25519_scalar_mul(challenge, secret)
    return point + bindings.crypto_core_ed25519_scalar_add(product, nonce)


def _endpoints(index: int) -> tuple[Endpoint, ...]:
    return (Endpoint(f"{10 + index // 256}.{index % 256}.0.1", 443),)


def _operator(index: int) -> bytes:
    return (index + 1).to_bytes(20)


def _random_values(issued: int, life: int) -> dict[int, bytes]:
    first, last = period_of(issued), period_of(issued + life)
    return {
        period: sha256(b"psp-testing-random-value", period.to_bytes(8))
        for period in range(first - 1, last + 2)
    }
