"""Files only their owner may read, replaced whole or not at all (R-SEC-1).

Written to a new file beside the old one, flushed to the disk, then renamed over it: a
crash or a full disk at any byte leaves the old content. These calls wait for the disk;
in a service, give them to ``asyncio.to_thread``.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from psp.errors import ConfigError

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_OTHERS = 0o077
"""Permission bits of anybody but the owner."""


def create(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet, and its directory if needed.

    Raises:
        ConfigError: If it exists, its directory is open to others, or on a disk error.
    """
    with _explained(path):
        temporary = _write_beside(path, data)
        try:
            os.link(temporary, path, follow_symlinks=False)
            _sync_directory(path.parent)
        except FileExistsError:
            raise ConfigError(
                f"{path} exists; move it away first, it is not overwritten"
            ) from None
        finally:
            temporary.unlink()


def replace(path: Path, data: bytes) -> None:
    """Write a file, in place of the one there if any.

    Raises:
        ConfigError: If its directory is open to others, or on a disk error. The old
            content is then still there.
    """
    with _explained(path):
        temporary = _write_beside(path, data)
        temporary.replace(path)
        _sync_directory(path.parent)


def read(path: Path, max_bytes: int) -> bytes:
    """Return the content of a private file.

    Raises:
        FileNotFoundError: If there is none.
        ConfigError: If others may read it or its directory, if it is not a plain file
            of at most ``max_bytes``, or on a disk error.
    """
    with _explained(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{path} is not a plain file; point to one")
            _refuse_others(path, status, FILE_MODE)
            _refuse_others(path.parent, path.parent.stat(), DIRECTORY_MODE)
            data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ConfigError(f"{path} has more than {max_bytes} bytes; it is not ours")
    return data


def _write_beside(path: Path, data: bytes) -> Path:
    """Write ``data`` to a new file in the same directory and return its path."""
    _make_directory(path.parent)
    temporary = path.with_name(f".{path.name}.new")
    # One process owns its files: what lies there was left by one that died.
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    # The mode is only ever narrowed by the umask, so no umask call (process-wide, and
    # seen by other threads) is needed for 0600.
    descriptor = os.open(temporary, flags, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def _make_directory(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        directory.chmod(DIRECTORY_MODE)
    _refuse_others(directory, directory.stat(), DIRECTORY_MODE)


def _refuse_others(path: Path, status: os.stat_result, mode: int) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path} belongs to another user; chown it to this one")
    if status.st_mode & _OTHERS:
        found = stat.S_IMODE(status.st_mode)
        raise ConfigError(
            f"{path} has mode {found:04o}, so others may read it; "
            f"run: chmod {mode:04o} {path}"
        )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a disk's errors into one the operator can act on."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; check the disk and the directory's owner"
        ) from error
