"""Who serves a chain file: the process that holds its lock.

::

    PATH        the chain, SQLite
    PATH.lock   locked by the owner for as long as it lives (flock: gone with it)
    PATH.rpc    JSON {"pid": …, "chain_id": …, "urls": […]}, written once it listens

Whoever does not get the lock reads ``PATH.rpc`` and connects. A file left behind by a
process that was killed names a pid that is gone; its ports are taken again by the next
owner if they are free, so that clients need not learn new addresses.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from psp.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What ``PATH.rpc`` says.

    Attributes:
        pid: Of the process that serves; 0 once it has stopped.
        chain_id: Of its chain.
        urls: Where it listens.
    """

    pid: int
    chain_id: int
    urls: tuple[str, ...]

    @property
    def is_alive(self) -> bool:
        """Whether its process exists."""
        if self.pid <= 0:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of the URLs."""
        return tuple(int(url.rsplit(":", 1)[1].rstrip("/")) for url in self.urls)


class Lock:
    """The lock of a chain file, held until `release` or the process's end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take the lock of a chain file; None if another process holds it.

        Raises:
            ConfigError: If its folder is missing or not ours.
        """
        name = path.with_name(path.name + ".lock")
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"chain file {path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


def read_endpoints(path: Path) -> Endpoints | None:
    """Return what a chain file's ``PATH.rpc`` says; None if there is none yet."""
    try:
        return msgspec.json.decode(_name(path).read_bytes(), type=Endpoints)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_endpoints(path: Path, endpoints: Endpoints) -> None:
    """Say where a chain file is served; readers see the old or the new, never half."""
    name = _name(path)
    new = name.with_name(name.name + ".new")
    new.write_bytes(msgspec.json.encode(endpoints))
    new.replace(name)


def _name(path: Path) -> Path:
    return path.with_name(path.name + ".rpc")
