"""A client's folder belongs to one program at a time: two would undo each other's work."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from psp.errors import ConfigError
from psp.runtime.locks import try_lock


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other programs, and other clients of this one, away from a ``state_dir``.

    The folder is made when missing, for its owner only.

    Raises:
        ConfigError: If one is there already.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder}: {error.strerror}; set another state_dir"
        ) from None
    with try_lock(folder / "client.lock") as is_free:
        if not is_free:
            raise ConfigError(
                f"another psp program uses {folder}; end it, ask it over HTTP if it "
                "is psp client run, or use settings with another state_dir"
            )
        yield
