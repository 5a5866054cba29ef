"""One process at a time sends from an account, or uses a client's folder.

A lock of the operating system on an empty file: it ends with the process, however that
ends, so nothing stale is ever left behind.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from psp.errors import ConfigError


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a file's lock inside the block, or give False at once if another has it.

    The file is made when missing; its directory must exist. Two locks of one process
    exclude each other too.

    Raises:
        ConfigError: If the file cannot be made or opened.
    """
    try:
        path.touch(mode=0o600, exist_ok=True)
        opened = path.open("rb")
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; check the directory and its owner"
        ) from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
