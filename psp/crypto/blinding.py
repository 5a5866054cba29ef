"""Daily blinded keys: a user's records lie under another key each day.

The construction of Tor's rend-spec-v3 appendix A.2, with a *discovery secret* in it.
Identity keys are public here (they stand in the registry), so the blinded key of
whoever has no secret can be computed by anybody; ``PUBLIC_SECRET`` says so.

::

    credential = BLAKE2b-256("pres-cred"; identity A, secret s)
    h  = SHA-512("pres-blind-v1" | A | credential | period 8 | period seconds 4) mod L
    A' = h A              what anybody with (A, s) computes
    a' = h a mod L        what only the owner can compute; A' = a' B

Signatures by a' are ordinary Ed25519 signatures under A'. Whoever has ``(A, s)`` and
a' has a: **a' is as secret as the identity key**. It therefore signs one thing a day,
the certificate of a random key that signs the records, and is never stored: day keys
are made ahead, where the identity key lives (`psp.netdoc.presence_record.DayKey`).

h needs no clamping: libsodium refuses points outside the prime-order subgroup, of
small order, not canonical, and a zero result. h does not depend on the random value of
the day, so that keys can be made long before that value is known.
"""

import struct
from dataclasses import dataclass, field
from hashlib import sha512

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as SodiumError

from psp.crypto import primitives
from psp.crypto.kdf import Label
from psp.crypto.keys import SigningKey
from psp.errors import DecodeError

PERIOD_SECONDS = 86_400
"""How long one blinded key is used: a day, as the registry's random values."""
SECRET_SIZE = 32
PUBLIC_SECRET = bytes(SECRET_SIZE)
"""The discovery secret of users who may be found, and enumerated, by anybody."""
NONCE_SIZE = 24
SEAL_OVERHEAD = 16

_PERIOD = struct.Struct("!QI")
_SODIUM_ERRORS = (CryptoError, SodiumError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Credential:
    """What it takes to find and read one user's records.

    Attributes:
        identity: The user's Ed25519 identity key, 32 bytes.
        value: Hash of identity and discovery secret; as private as the secret.
    """

    identity: bytes
    value: bytes = field(repr=False)

    @classmethod
    def derive(cls, identity: bytes, secret: bytes = PUBLIC_SECRET) -> "Credential":
        """Return the credential of ``identity`` under a 32-byte discovery secret."""
        return cls(
            identity, primitives.blake2b(Label.PRESENCE_CREDENTIAL, identity, secret)
        )


@dataclass(frozen=True, slots=True)
class BlindSecret:
    """A user's blinded signing key of one period; only ever held for a moment.

    Attributes:
        public: A', 32 bytes.
        scalar: a', as secret as the identity key.
        prefix: Keys the nonces of its signatures.
    """

    public: bytes
    scalar: bytes = field(repr=False)
    prefix: bytes = field(repr=False)

    @classmethod
    def derive(
        cls, identity: SigningKey, credential: Credential, period: int
    ) -> "BlindSecret":
        """Blind an identity key for one period (DHT notation: a', prefix')."""
        digest = sha512(identity.seed).digest()
        scalar = bytearray(digest[:32])
        scalar[0] &= 248
        scalar[31] &= 127
        scalar[31] |= 64
        factor = _factor(credential, period)
        # scalar_mul wants reduced scalars; the clamped one is above the group order.
        reduced = bindings.crypto_core_ed25519_scalar_reduce(bytes(scalar) + bytes(32))
        blinded = bindings.crypto_core_ed25519_scalar_mul(factor, reduced)
        public = bindings.crypto_scalarmult_ed25519_base_noclamp(blinded)
        prefix = sha512(Label.PRESENCE_PREFIX + digest[32:] + factor).digest()[:32]
        return cls(public, blinded, prefix)

    def sign(self, message: bytes) -> bytes:
        """Return an Ed25519 signature of 64 bytes under `public` (RFC 8032 §5.1.6)."""
        reduce = bindings.crypto_core_ed25519_scalar_reduce
        nonce = reduce(sha512(self.prefix + message).digest())
        point = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
        challenge = reduce(sha512(point + self.public + message).digest())
        product = bindings.crypto_core_ed25519_scalar_mul(challenge, self.scalar)
        return point + bindings.crypto_core_ed25519_scalar_add(nonce, product)


def blind_public(credential: Credential, period: int) -> bytes:
    """Return A', the 32-byte key that the user's records of a period lie under.

    Raises:
        DecodeError: If the identity is not a point of the prime-order subgroup.
    """
    factor = _factor(credential, period)
    try:
        return bindings.crypto_scalarmult_ed25519_noclamp(factor, credential.identity)
    except _SODIUM_ERRORS:
        raise DecodeError("not an Ed25519 key of the prime-order group") from None


def seal_record(
    credential: Credential, head: bytes, nonce: bytes, inner: bytes
) -> bytes:
    """Encrypt a record's inner part: XChaCha20-Poly1305, 16 bytes longer.

    The key is fresh for each head; the random nonce only guards against a client that
    lost its sequence numbers and makes two records with one head.
    """
    key = primitives.blake2b(Label.PRESENCE_ENCRYPTION, credential.value, head)
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(inner, head, nonce, key)


def open_record(
    credential: Credential, head: bytes, nonce: bytes, sealed: bytes
) -> bytes | None:
    """Decrypt a record's inner part; None when it was not sealed under this head."""
    key = primitives.blake2b(Label.PRESENCE_ENCRYPTION, credential.value, head)
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed, head, nonce, key
        )
    except _SODIUM_ERRORS:
        return None


def _factor(credential: Credential, period: int) -> bytes:
    text = Label.PRESENCE_BLIND + credential.identity + credential.value
    text += _PERIOD.pack(period, PERIOD_SECONDS)
    return bindings.crypto_core_ed25519_scalar_reduce(sha512(text).digest())
