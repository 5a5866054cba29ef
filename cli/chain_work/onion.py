"""A new onion key for a relay: published first, then put in the old one's place.

::

    onion.key.next   made, kept until the chain has it
    onion.key        becomes previous-onion.key, and the new one takes its name

Whoever is interrupted runs the command again: a key that is published already is not
published twice.
"""

from pathlib import Path

from cli.node_config import KeysConfig
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.runtime import keyfiles


def next_file(onion: Path) -> Path:
    """Return where a new onion key waits until the chain has it."""
    return onion.with_name(f"{onion.name}.next")


def previous_file(onion: Path) -> Path:
    """Return where the onion key before is kept."""
    return onion.with_name(f"previous-{onion.name}")


def new_onion_key(keys: KeysConfig, entropy: Entropy, passphrase: str | None) -> bytes:
    """Return the new onion key, made now unless an earlier command has made it.

    Raises:
        ConfigError: If its file cannot be read or written.
    """
    return keyfiles.load_or_create_seed(
        next_file(keys.onion), entropy=entropy, passphrase=passphrase
    )


def finish_rotation(keys: KeysConfig) -> Path:
    """Put the new key in the old one's place; return where the old one is now.

    Raises:
        ConfigError: If the disk refuses; running the command again goes on.
    """
    previous = previous_file(keys.onion)
    waiting = next_file(keys.onion)
    try:
        # The old key first: at no time is there no file of either.
        previous.unlink(missing_ok=True)
        previous.hardlink_to(keys.onion)
        waiting.replace(keys.onion)
    except OSError as error:
        raise ConfigError(
            f"{keys.onion}: {error.strerror}; the new key is published, run the command "
            "again to put it in place"
        ) from None
    return previous
