"""Where a process of a benchmark runs: an address, and a network namespace if need be."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from psp.errors import ConfigError

_NAMESPACES = Path("/run/netns")
"""Where ``ip netns add`` puts names (ip-netns(8))."""

_CLONE_NEWNET = 0x40000000
"""From linux/sched.h; os.setns comes with Python 3.12 only."""


@dataclass(frozen=True, slots=True)
class Place:
    """A host of the benchmark's network.

    Attributes:
        host: Numeric address that sockets are bound to there.
        netns: Name of its network namespace, as ``ip netns`` lists it; None for the one
            we are in.
    """

    host: str = "127.0.0.1"
    netns: str | None = None

    def enter(self) -> None:
        """Move this process there; call it before any socket or thread is made.

        Raises:
            ConfigError: If there is no such namespace, or we may not enter it.
        """
        if self.netns is None:
            return
        try:
            namespace = os.open(_NAMESPACES / self.netns, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError(
                f"no network namespace {self.netns!r}: {error.strerror} "
                f"({_NAMESPACES / self.netns})"
            ) from error
        try:
            _set_namespace(namespace, self.netns)
        finally:
            os.close(namespace)


LOOPBACK = Place()


def _set_namespace(namespace: int, name: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) == 0:
        return
    reason = os.strerror(ctypes.get_errno())
    raise ConfigError(f"entering network namespace {name!r} needs root: {reason}")
