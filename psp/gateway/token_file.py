"""The token that programs on this host show: in a file that only its owner may read."""

import base64
import re
from pathlib import Path

from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.runtime import private_files

FILE_NAME = "gateway.token"

_SIZE = 32
"""Random bytes in a token: nobody guesses one, so tries need not be counted."""
_SHAPE = re.compile(r"[A-Za-z0-9_-]{32,128}")
"""Of tokens that somebody else put there, as well."""
_MAX_BYTES = 130


def load_token(path: Path, entropy: Entropy) -> str:
    """Read the token, or make the file.

    Raises:
        ConfigError: If others may read the file, or what it holds is no token.
    """
    try:
        data = private_files.read(path, _MAX_BYTES)
    except FileNotFoundError:
        token = base64.urlsafe_b64encode(entropy.token(_SIZE)).decode().rstrip("=")
        private_files.create(path, f"{token}\n".encode())
        return token
    text = data.decode(errors="replace").strip()
    if not _SHAPE.fullmatch(text):
        raise ConfigError(f"{path} holds no token; remove it, and a new one is made")
    return text
