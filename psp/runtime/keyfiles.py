"""Secrets on the disk: key files (psp/crypto/keyfile.py) with the right modes.

A passphrase comes from a prompt or from a private file, never from the command line or
the environment, where other processes read it (R-SEC-1). Opening a protected file takes
about half a second of one core: give it to ``asyncio.to_thread``.
"""

from pathlib import Path

from psp.crypto import keyfile
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError, PassphraseError
from psp.runtime import private_files

SEED_SIZE = 32
"""Bytes of the seed of a signing key."""

_MAX_BYTES = keyfile.MAX_SECRET_SIZE + 128
"""Largest key file: the secret, its header, its tag and its checksum."""

_MAX_PASSPHRASE = 1_024
"""Bytes; our choice, longer adds nothing."""


def create(
    path: Path, secret: bytes, *, entropy: Entropy, passphrase: str | None = None
) -> None:
    """Write a new key file; one that exists is never overwritten.

    Raises:
        ConfigError: If it exists, its directory is open to others, the passphrase is
            empty, or the disk refuses.
    """
    private_files.create(path, _encode(path, secret, entropy, passphrase))


def load(path: Path, *, passphrase: str | None = None) -> bytes:
    """Return the secret in a key file.

    Raises:
        ConfigError: If it is missing, open to others, damaged, or the passphrase is
            missing or wrong.
    """
    data = _read(path)
    try:
        return keyfile.decode(data, passphrase=passphrase)
    except PassphraseError as error:
        raise ConfigError(f"{path}: {error}; give the right passphrase") from None
    except DecodeError as error:
        raise ConfigError(f"{path}: {error}; restore it from a copy") from None


def load_or_create_seed(
    path: Path, *, entropy: Entropy, passphrase: str | None = None
) -> bytes:
    """Return the 32-byte seed in a key file, made now if there is none.

    Raises:
        ConfigError: As `load` and `create` do.
    """
    if not path.exists():
        seed = entropy.token(SEED_SIZE)
        create(path, seed, entropy=entropy, passphrase=passphrase)
        return seed
    return load_seed(path, passphrase=passphrase)


def load_seed(path: Path, *, passphrase: str | None = None) -> bytes:
    """Return the 32 bytes in the key file of a signing key or an onion key.

    Raises:
        ConfigError: As `load` does, and if it holds something longer or shorter.
    """
    seed = load(path, passphrase=passphrase)
    if len(seed) != SEED_SIZE:
        raise ConfigError(
            f"{path} holds {len(seed)} bytes, a seed has {SEED_SIZE}; "
            "point to the right file"
        )
    return seed


def needs_passphrase(path: Path) -> bool:
    """Tell whether `load` needs a passphrase; False for a file that is missing.

    Raises:
        ConfigError: If it cannot be read or is open to others.
    """
    return path.exists() and keyfile.needs_passphrase(_read(path))


def change_passphrase(
    path: Path, *, entropy: Entropy, old: str | None, new: str | None
) -> None:
    """Write the same secret under another passphrase; None leaves it readable.

    The old bytes may survive on the disk: a leaked passphrase calls for a new key.

    Raises:
        ConfigError: As `load` and `create` do; the file is then as it was.
    """
    secret = load(path, passphrase=old)
    private_files.replace(path, _encode(path, secret, entropy, new))


def read_passphrase(path: Path) -> str:
    """Return the first line of a private file, as systemd's credentials are.

    Raises:
        ConfigError: If it is missing, open to others, empty or not UTF-8.
    """
    try:
        text = private_files.read(path, _MAX_PASSPHRASE).decode()
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing; write the passphrase there") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8; write the passphrase anew") from None
    passphrase = text.partition("\n")[0].rstrip("\r")
    if not passphrase:
        raise ConfigError(f"{path} is empty; write the passphrase on its first line")
    return passphrase


def _read(path: Path) -> bytes:
    try:
        return private_files.read(path, _MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"{path} is missing; create the key or correct the path"
        ) from None


def _encode(
    path: Path, secret: bytes, entropy: Entropy, passphrase: str | None
) -> bytes:
    try:
        return keyfile.encode(secret, entropy=entropy, passphrase=passphrase)
    except PassphraseError as error:
        raise ConfigError(
            f"{path}: {error}; give a passphrase that is not empty"
        ) from None
