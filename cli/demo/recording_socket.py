"""A socket that remembers whom it exchanged packets with."""

import asyncio
from collections.abc import Callable

from psp.runtime.driver import TrainSocket
from psp.sansio import Address, Train


class RecordingSocket:
    """Passes everything on and keeps the set of remote addresses.

    Attributes:
        remotes: Every address a packet went to or came from.
    """

    def __init__(self, inner: TrainSocket) -> None:
        self.remotes: set[Address] = set()
        self._inner = inner

    def receive_batch(self) -> tuple[memoryview, int, Address] | None:
        """Return the next train, or None."""
        batch = self._inner.receive_batch()
        if batch is not None:
            self.remotes.add(batch[2])
        return batch

    def backlog(self) -> float:
        """Return how much of the receive buffer is in use, 0 … 1."""
        return self._inner.backlog()

    def send(self, train: Train) -> int:
        """Send a train."""
        self.remotes.add(train.destination)
        return self._inner.send(train)

    def start_reading(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        """Start to receive."""
        self._inner.start_reading(loop, callback)

    def stop_reading(self) -> None:
        """Stop receiving."""
        self._inner.stop_reading()
