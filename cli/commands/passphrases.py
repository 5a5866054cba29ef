"""Passphrases of key files: asked for, never arguments, where other processes read them."""

import getpass
from pathlib import Path

import typer

from psp.errors import ConfigError
from psp.runtime import keyfiles


def passphrase_of(path: Path, passphrase_file: Path | None = None) -> str | None:
    """Return the passphrase of a key file; None if it has none.

    Raises:
        ConfigError: If it has one and nobody says it.
    """
    if not keyfiles.needs_passphrase(path):
        return None
    if passphrase_file is not None:
        return keyfiles.read_passphrase(passphrase_file)
    try:
        return getpass.getpass(f"passphrase of {path.name}: ")
    except EOFError:
        raise ConfigError(
            f"{path} is under a passphrase, and there is nobody to ask for it; run this "
            "in a terminal, or name a private file that holds it"
        ) from None


def new_passphrase() -> str:
    """Ask for a passphrase twice.

    Raises:
        typer.BadParameter: If the two differ.
    """
    secret = getpass.getpass("new passphrase: ")
    if getpass.getpass("again: ") != secret:
        raise typer.BadParameter("the passphrases differ")
    return secret
