"""Key files: one secret at rest, plain or under a passphrase.

::

    offset  size  field                                            big-endian
    0       8     magic "PSPKEY" 0x0D 0x0A
    8       1     version, 1
    9       1     protection: 0 plain, 1 passphrase
    10      2     secret length, 1 … 16,384
    12      4     Argon2id memory, KiB        these five are
    16      4     Argon2id iterations         zero in a plain
    20      4     Argon2id lanes              file
    24      16    salt
    40      12    nonce
    52      n     secret, or AES-256-GCM-SIV of it (n + 16 bytes; associated data: 0 … 51)
    end-8   8     SHA-256 of all before, cut to 8 bytes

The checksum tells damage from a wrong passphrase and stands before the costly part. It
protects nothing against a forger: the tag does. Reading and writing the file itself,
with the right modes, is the runtime's work (R-SEC-1).
"""

import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from psp.crypto.kdf import Label
from psp.crypto.primitives import (
    KEY_SIZE,
    TAG_SIZE,
    equal,
    hmac_sha256,
    sha256,
    siv_open,
    siv_seal,
)
from psp.entropy import Entropy
from psp.errors import (
    DecodeError,
    HandshakeError,
    LocalProtocolError,
    PassphraseError,
)

MAGIC = b"PSPKEY\r\n"
"""The line end shows a copy that went through a text-mode transfer."""

VERSION = 1
MAX_SECRET_SIZE = 16_384
"""Enough for a month of keys made ahead; a bound so that a file cannot make us allocate."""

_HEADER = struct.Struct(">8sBBHIII16s12s")
_CHECKSUM_SIZE = 8
_SALT_SIZE = 16
_NONCE_SIZE = 12
_PLAIN, _PASSPHRASE = 0, 1


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What one guess of a passphrase costs.

    The default is RFC 9106 section 4's second choice, about 0.4 s on a small server.

    Attributes:
        memory_kib: Memory in KiB, at least 8 for each lane.
        iterations: Passes over it.
        lanes: Parts that could run at once.
    """

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4


DEFAULT_COST = Argon2Cost()

MAX_COST = Argon2Cost(memory_kib=256 * 1024, iterations=8, lanes=8)
"""A file that asks for more is malformed: about 5 s and 256 MiB are the most a hostile
file gets out of us, and four times the default leaves room to grow (our choice)."""


def encode(
    secret: bytes,
    *,
    entropy: Entropy,
    passphrase: str | None = None,
    cost: Argon2Cost = DEFAULT_COST,
) -> bytes:
    """Return the bytes of a key file.

    Args:
        secret: 1 … 16,384 bytes.
        entropy: Gives salt and nonce.
        passphrase: None leaves the secret readable to whoever reads the file.
        cost: Of each guess at the passphrase.

    Raises:
        PassphraseError: If ``passphrase`` is empty.
    """
    if not 1 <= len(secret) <= MAX_SECRET_SIZE:
        raise LocalProtocolError(f"a secret has 1 … {MAX_SECRET_SIZE} bytes")
    if passphrase is None:
        header = _HEADER.pack(MAGIC, VERSION, _PLAIN, len(secret), 0, 0, 0, b"", b"")
        return _with_checksum(header + secret)
    if not _is_affordable(cost):
        raise LocalProtocolError(f"{cost} is out of bounds")
    salt, nonce = entropy.token(_SALT_SIZE), entropy.token(_NONCE_SIZE)
    header = _HEADER.pack(
        MAGIC,
        VERSION,
        _PASSPHRASE,
        len(secret),
        cost.memory_kib,
        cost.iterations,
        cost.lanes,
        salt,
        nonce,
    )
    key = _passphrase_key(passphrase, salt, cost)
    return _with_checksum(header + siv_seal(key, nonce, secret, header))


def decode(data: bytes, *, passphrase: str | None = None) -> bytes:
    """Return the secret in a key file; ``passphrase`` is ignored for a plain one.

    Raises:
        DecodeError: If ``data`` is not an undamaged key file within `MAX_COST`.
        PassphraseError: If the passphrase is missing or wrong.
    """
    size = _HEADER.size
    if len(data) < size + _CHECKSUM_SIZE:
        raise DecodeError(f"a key file has not {len(data)} bytes")
    magic, version, protection, length, *costs, salt, nonce = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise DecodeError("not a key file")
    if version != VERSION:
        raise DecodeError(f"key file version {version} is not {VERSION}")
    if not equal(data, _with_checksum(data[:-_CHECKSUM_SIZE])):
        raise DecodeError("the key file is damaged")
    body = data[size:-_CHECKSUM_SIZE]
    _check_length(length, body, protection)
    if protection == _PLAIN:
        if any(data[12:size]):
            raise DecodeError("a plain key file has no passphrase fields")
        return body
    cost = Argon2Cost(*costs)
    if not _is_affordable(cost):
        raise DecodeError(f"{cost} is out of bounds")
    key = _passphrase_key(passphrase, salt, cost)
    try:
        return siv_open(key, nonce, body, data[:size])
    except HandshakeError:
        raise PassphraseError("the passphrase of this key file is another") from None


def needs_passphrase(data: bytes) -> bool:
    """Tell from its header whether a key file is under a passphrase."""
    return data[:9] == MAGIC + bytes([VERSION]) and data[9:10] == bytes([_PASSPHRASE])


def _check_length(length: int, body: bytes, protection: int) -> None:
    if protection not in {_PLAIN, _PASSPHRASE}:
        raise DecodeError(f"unknown protection {protection}")
    if not 1 <= length <= MAX_SECRET_SIZE:
        raise DecodeError(f"a secret of {length} bytes is out of bounds")
    expected = length + TAG_SIZE * protection
    if len(body) != expected:
        raise DecodeError(f"need {expected} bytes of secret, found {len(body)}")


def _is_affordable(cost: Argon2Cost) -> bool:
    return (
        1 <= cost.lanes <= MAX_COST.lanes
        and 1 <= cost.iterations <= MAX_COST.iterations
        and 8 * cost.lanes <= cost.memory_kib <= MAX_COST.memory_kib
    )


def _passphrase_key(passphrase: str | None, salt: bytes, cost: Argon2Cost) -> bytes:
    if not passphrase:
        raise PassphraseError("this key file needs a passphrase that is not empty")
    stretched = Argon2id(
        salt=salt,
        length=KEY_SIZE,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    ).derive(passphrase.encode("utf-8", "surrogatepass"))
    return hmac_sha256(stretched, Label.KEY_FILE)


def _with_checksum(data: bytes) -> bytes:
    return data + sha256(data)[:_CHECKSUM_SIZE]
