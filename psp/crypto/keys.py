"""Ed25519 identities: who signs, and the X25519 key every one of them also is.

A node's link key is the X25519 form of its Ed25519 key (SPEC.md section 1), so that
the registry needs one key per node. Signatures run on libsodium, which refuses
small-order keys and signatures that are not canonical.
"""

from nacl import bindings
from nacl.exceptions import CryptoError

from psp.crypto.primitives import KEY_SIZE
from psp.entropy import Entropy
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE

SIGNATURE_SIZE = 64


class SigningKey:
    """An Ed25519 private key; prints as its class only.

    Attributes:
        seed: The 32 secret bytes it is made from (RFC 8032 section 5.1.5).
        public: The 32 public bytes: a node id or a user id.
    """

    __slots__ = ("_secret", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_SIZE:
            raise LocalProtocolError(f"a seed has 32 bytes, not {len(seed)}")
        self.seed = seed
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)

    @classmethod
    def generate(cls, entropy: Entropy) -> "SigningKey":
        """Return a new key."""
        return cls(entropy.token(KEY_SIZE))

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """Return the key of a 32-byte seed."""
        return cls(seed)

    @property
    def link_private(self) -> bytes:
        """The X25519 private key of the same identity, 32 bytes."""
        return bindings.crypto_sign_ed25519_sk_to_curve25519(self._secret)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_SIZE]

    def __repr__(self) -> str:
        return "SigningKey([scrubbed])"


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` is that of ``message`` by ``public``; never raises."""
    if len(signature) != SIGNATURE_SIZE or len(public) != NODE_ID_SIZE:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except CryptoError:
        return False
    return True


def link_public(node_id: bytes) -> bytes:
    """Return the X25519 public key, 32 bytes, of an Ed25519 identity.

    Raises:
        DecodeError: If ``node_id`` is not a point of the prime-order subgroup.
    """
    if len(node_id) != NODE_ID_SIZE:
        raise DecodeError(f"an identity has 32 bytes, not {len(node_id)}")
    try:
        return bindings.crypto_sign_ed25519_pk_to_curve25519(node_id)
    except CryptoError:
        raise DecodeError("identity is not a usable Ed25519 key") from None
