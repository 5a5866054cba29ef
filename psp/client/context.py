"""What every part of one client shares."""

from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from psp.directory.registry import Registry
from psp.entropy import Entropy


@dataclass(frozen=True, slots=True)
class ClientContext:
    """Handed to each part when a client is put together.

    Attributes:
        registry: Who is a member.
        entropy: Random bytes.
        unix_time: The wall clock, seconds; only for signed documents.
        log: Carries no address, identity or key.
    """

    registry: Registry
    entropy: Entropy
    unix_time: Callable[[], float]
    log: FilteringBoundLogger
