"""The building blocks: thin, typed, with one way to fail.

Whatever a library raises about bytes that came from a peer leaves this module as
`HandshakeError`, except `InvalidTag` of `AesGcm`, which the packet code counts itself.

Randomness is injected, with two exceptions that the library does not open: the
ephemeral key inside `hpke_seal` and the coins of `kem_encapsulate`.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from psp.entropy import Entropy
from psp.errors import HandshakeError, LocalProtocolError

__all__ = [
    "HPKE_OVERHEAD",
    "KEM_CIPHERTEXT_SIZE",
    "KEM_PUBLIC_SIZE",
    "KEY_SIZE",
    "TAG_SIZE",
    "AesGcm",
    "InvalidTag",
    "KemKey",
    "X25519Key",
    "aes_gcm",
    "blake2b",
    "blake2s_mac",
    "equal",
    "hkdf",
    "hmac_sha256",
    "hpke_open",
    "hpke_seal",
    "kem_encapsulate",
    "kem_generate",
    "sha256",
    "siv_open",
    "siv_seal",
    "x25519",
    "x25519_generate",
    "x25519_public",
]

AesGcm: TypeAlias = AESGCM
"""AES-256-GCM with its key; `encrypt` and `decrypt` take nonce 12, data, aad."""

KEY_SIZE = 32
"""Bytes of an AES-256 key, an X25519 key of either kind, and every derived secret."""

TAG_SIZE = 16
"""Bytes that AES-256-GCM and AES-256-GCM-SIV add."""

KEM_PUBLIC_SIZE = 1184
"""Bytes of an ML-KEM-768 encapsulation key (FIPS 203 table 3)."""

KEM_CIPHERTEXT_SIZE = 1088
"""Bytes of an ML-KEM-768 ciphertext (FIPS 203 table 3)."""

HPKE_OVERHEAD = 48
"""Bytes that `hpke_seal` adds: encapsulated X25519 key 32, tag 16."""

_KEM_SEED_SIZE = 64
_HPKE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def aes_gcm(key: bytes) -> AesGcm:
    """Return an AES-256-GCM cipher under a 32-byte key."""
    if len(key) != KEY_SIZE:
        raise LocalProtocolError(f"AES-256 needs 32 key bytes, not {len(key)}")
    return AesGcm(key)


def siv_seal(key: bytes, nonce: bytes, data: bytes, aad: bytes) -> bytes:
    """Return AES-256-GCM-SIV (RFC 8452) of ``data``, 16 bytes longer.

    For nonces that are drawn at random; ``key`` has 32 bytes, ``nonce`` 12.
    """
    return AESGCMSIV(key).encrypt(nonce, data, aad)


def siv_open(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Undo `siv_seal`.

    Raises:
        HandshakeError: If anything but the right key, nonce and ``aad`` was given.
    """
    try:
        return AESGCMSIV(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise HandshakeError("sealed bytes do not open") from None


def hkdf(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """Return ``length`` bytes of HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length, salt, info).derive(secret)


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """Return HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, data, "sha256")


def sha256(*parts: bytes) -> bytes:
    """Return SHA-256 of the parts, joined; the caller sees to it that they cannot shift."""
    return hashlib.sha256(b"".join(parts)).digest()


def blake2s_mac(key: bytes, data: bytes) -> bytes:
    """Return keyed BLAKE2s-128, 16 bytes; ``key`` has at most 32."""
    return hashlib.blake2s(data, digest_size=16, key=key).digest()


def blake2b(person: bytes, *parts: bytes, size: int = 32) -> bytes:
    """Return BLAKE2b of the parts, each behind its length in two bytes.

    ``person`` (at most 16 bytes) separates uses; ``size`` is 1 … 64.
    """
    joined = b"".join(len(part).to_bytes(2) + part for part in parts)
    return hashlib.blake2b(joined, digest_size=size, person=person).digest()


def equal(left: bytes, right: bytes) -> bool:
    """Compare without telling by the time taken where the difference is."""
    return hmac.compare_digest(left, right)


def x25519_generate(entropy: Entropy) -> bytes:
    """Return a new private key, 32 bytes."""
    return entropy.token(KEY_SIZE)


class X25519Key:
    """A private key made ready once; for more than one operation with it.

    Making it ready costs as much as an exchange.

    Attributes:
        public: The public key, 32 bytes.
    """

    __slots__ = ("_private", "public")

    def __init__(self, private: bytes) -> None:
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def exchange(self, public: bytes) -> bytes:
        """Return the shared secret, 32 bytes.

        Raises:
            HandshakeError: If ``public`` is of low order or has not 32 bytes.
        """
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise HandshakeError("X25519 key is of low order or wrong length") from None

    def __repr__(self) -> str:
        return "X25519Key([scrubbed])"


def x25519_public(private: bytes) -> bytes:
    """Return the public key, 32 bytes, of a private one."""
    return X25519Key(private).public


def x25519(private: bytes, public: bytes) -> bytes:
    """Return the shared secret, 32 bytes.

    Raises:
        HandshakeError: If ``public`` is of low order or has not 32 bytes.
    """
    return X25519Key(private).exchange(public)


@dataclass(frozen=True, slots=True, repr=False)
class KemKey:
    """An ML-KEM-768 key pair, used for one handshake.

    Attributes:
        public: The encapsulation key, 1,184 bytes.
    """

    public: bytes
    _private: MLKEM768PrivateKey

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Return the shared secret, 32 bytes.

        A ciphertext that was not made for this key gives 32 bytes that nobody knows
        (implicit rejection, FIPS 203 section 6.3): only a later MAC can tell.

        Raises:
            HandshakeError: If ``ciphertext`` has not 1,088 bytes.
        """
        try:
            return self._private.decapsulate(ciphertext)
        except ValueError:
            raise HandshakeError("ML-KEM ciphertext has the wrong length") from None

    def __repr__(self) -> str:
        return "KemKey([scrubbed])"


def kem_generate(entropy: Entropy) -> KemKey:
    """Return a new ML-KEM-768 key pair."""
    private = MLKEM768PrivateKey.from_seed_bytes(entropy.token(_KEM_SEED_SIZE))
    return KemKey(private.public_key().public_bytes_raw(), private)


def kem_encapsulate(encapsulation_key: bytes) -> tuple[bytes, bytes]:
    """Return ``(ciphertext 1,088, shared secret 32)`` for the owner of the key.

    Raises:
        HandshakeError: If the key has the wrong length or is not canonical
            (a coefficient at or above q, FIPS 203 section 7.2).
    """
    try:
        secret, ciphertext = MLKEM768PublicKey.from_public_bytes(
            encapsulation_key
        ).encapsulate()
    except ValueError:
        raise HandshakeError("ML-KEM encapsulation key is not canonical") from None
    return ciphertext, secret


def hpke_seal(public: bytes, info: bytes, data: bytes) -> bytes:
    """Return ``data`` sealed to an X25519 key, 48 bytes longer (RFC 9180, base mode).

    Raises:
        HandshakeError: If ``public`` is not a usable X25519 key.
    """
    try:
        return _HPKE.encrypt(data, X25519PublicKey.from_public_bytes(public), info)
    except ValueError:
        raise HandshakeError("HPKE key is of low order or wrong length") from None


def hpke_open(private: bytes, info: bytes, sealed: bytes) -> bytes:
    """Undo `hpke_seal`.

    Raises:
        HandshakeError: If ``sealed`` was not made for this key and ``info``.
    """
    try:
        key = X25519PrivateKey.from_private_bytes(private)
        return _HPKE.decrypt(sealed, key, info)
    except (InvalidTag, ValueError):
        raise HandshakeError("sealed bytes do not open") from None
