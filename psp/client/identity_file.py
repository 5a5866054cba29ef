"""A user's identity on the disk: identity seed and discovery secret in one key file."""

import asyncio
from pathlib import Path

from psp.client.identity import ClientIdentity
from psp.crypto.blinding import PUBLIC_SECRET, SECRET_SIZE
from psp.crypto.keys import SigningKey
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.runtime import keyfiles

_SEED_SIZE = keyfiles.SEED_SIZE


async def create_identity(
    path: Path,
    *,
    entropy: Entropy,
    is_public: bool = False,
    display_name: str = "",
    passphrase: str | None = None,
) -> ClientIdentity:
    """Make a new identity and its key file.

    Args:
        path: The file; one that exists is never overwritten.
        entropy: For both secrets.
        is_public: True to be found, and enumerated, by anybody.
        display_name: What the contact card calls the user.
        passphrase: Protects the file; None leaves it to its mode.

    Raises:
        ConfigError: If the file exists or cannot be written.
    """
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
    data = await asyncio.to_thread(keyfiles.load, path, passphrase=passphrase)
    if len(data) != _SEED_SIZE + SECRET_SIZE:
        raise ConfigError(f"{path} is the key file of something else than a user")
    key = SigningKey.from_seed(data[:_SEED_SIZE])
    return ClientIdentity(key, data[_SEED_SIZE:], display_name)
