"""A user on the disk, in a key file: the identity itself, or keys made ahead.

An identity is its seed and its discovery secret; keys made ahead (`delegation`) are told
apart by how they begin.
"""

import asyncio
from pathlib import Path

from psp.client.identities.delegation import DelegatedIdentity
from psp.client.identities.identity import ClientIdentity
from psp.crypto.blinding import PUBLIC_SECRET, SECRET_SIZE
from psp.crypto.kdf import Label
from psp.crypto.keys import SigningKey
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy

_SEED_SIZE = keyfiles.SEED_SIZE


async def create_identity(
    path: Path,
    *,
    entropy: Entropy | None = None,
    is_public: bool = False,
    display_name: str = "",
    passphrase: str | None = None,
) -> ClientIdentity:
    """Make a new identity and its key file.

    Args:
        path: The file; one that exists is never overwritten.
        entropy: For both secrets; None for the system's.
        is_public: True to be found, and enumerated, by anybody.
        display_name: What the contact card calls the user.
        passphrase: Protects the file; None leaves it to its mode.

    Raises:
        ConfigError: If the file exists or cannot be written.
    """
    entropy = entropy or SystemEntropy()
    secret = PUBLIC_SECRET if is_public else entropy.token(SECRET_SIZE)
    key = SigningKey.generate(entropy)
    await asyncio.to_thread(
        keyfiles.create, path, key.seed + secret, entropy=entropy, passphrase=passphrase
    )
    return ClientIdentity(key, secret, display_name)


async def load_identity(
    path: Path, *, display_name: str = "", passphrase: str | None = None
) -> ClientIdentity:
    """Read an identity.

    Raises:
        ConfigError: If the file is missing, open to others, damaged, or no identity.
    """
    identity = await open_identity(
        path, display_name=display_name, passphrase=passphrase
    )
    if isinstance(identity, DelegatedIdentity):
        raise ConfigError(
            f"{path} holds keys made ahead, this needs the identity key itself"
        )
    return identity


async def open_identity(
    path: Path, *, display_name: str = "", passphrase: str | None = None
) -> ClientIdentity | DelegatedIdentity:
    """Read an identity, or keys made ahead for one: what a client can run on.

    Args:
        path: The key file.
        display_name: Of an identity; keys made ahead carry one.
        passphrase: If the file is protected by one.

    Raises:
        ConfigError: If the file is missing, open to others, damaged, or neither.
    """
    data = await asyncio.to_thread(keyfiles.load, path, passphrase=passphrase)
    if data.startswith(Label.DELEGATION):
        try:
            return DelegatedIdentity.decode(data)
        except DecodeError as error:
            raise ConfigError(
                f"{path}: {error}; make it anew with: psp user delegate"
            ) from None
    if len(data) != _SEED_SIZE + SECRET_SIZE:
        raise ConfigError(f"{path} is the key file of something else than a user")
    key = SigningKey.from_seed(data[:_SEED_SIZE])
    return ClientIdentity(key, data[_SEED_SIZE:], display_name)


async def create_delegation(
    path: Path,
    identity: DelegatedIdentity,
    *,
    entropy: Entropy,
    passphrase: str | None = None,
) -> None:
    """Write keys made ahead to a new key file, to be taken to the host that uses them.

    Raises:
        ConfigError: If the file exists or cannot be written.
    """
    await asyncio.to_thread(
        keyfiles.create,
        path,
        identity.encode(),
        entropy=entropy,
        passphrase=passphrase,
    )
