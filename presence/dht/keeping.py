"""A discovery node's records across restarts: written now and then, read at the start.

Whatever is read goes through the same checks as what others bring, a few at a time, so
that a node with a full store serves from its first second. What it does not have yet,
the other replicas have.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from presence.record_file import ENTRY_SIZE, FiledRecord, decode, encode, header
from presence.record_store import RecordStore, Snapshot
from presence.stats import PresenceStats
from psp.errors import ConfigError, DecodeError
from psp.runtime import private_files
from psp.units import Seconds
from psp.wire.network import Network

SAVE_EVERY = Seconds(300)
"""Half of the time between two publications of a user."""
_PORTION = 20
"""Records checked in one go: 2 ms."""


class RecordKeeper:
    """Keeps a store's records in one file.

    Attributes:
        ready: Set when the file has been read.
    """

    def __init__(
        self,
        file: Path,
        network: Network,
        records: RecordStore,
        *,
        stats: PresenceStats,
        unix_time: Callable[[], float],
    ) -> None:
        """Do nothing yet; `run` does.

        Args:
            file: Where.
            network: Whose records count.
            records: The store.
            stats: Counted into.
            unix_time: The wall clock.
        """
        self._file = file
        self._network = network
        self._records = records
        self._stats = stats
        self._unix_time = unix_time
        self.ready = asyncio.Event()

    async def run(self, *, is_serving: bool) -> None:
        """Read the file, then write it every five minutes, for ever.

        Args:
            is_serving: Whether this node is elected or retiring; what it held in an
                earlier turn is of no use otherwise.
        """
        if is_serving:
            await self.read()
        self.ready.set()
        while True:
            await asyncio.sleep(SAVE_EVERY)
            await self.save()

    async def read(self) -> None:
        """Put what the file has into the store, as far as it still counts."""
        try:
            filed = await asyncio.to_thread(self._load)
        except (ConfigError, DecodeError):
            self._stats.record_file["damaged"] += 1
            filed = iter(())
        for number, each in enumerate(filed, 1):
            refusal = self._records.put(
                each.location,
                each.raw,
                each.publisher,
                self._unix_time(),
                bringer=each.bringer,
            )
            self._stats.records_read_back[refusal or "stored"] += 1
            if number % _PORTION == 0:
                await asyncio.sleep(0)

    async def save(self) -> None:
        """Write the file anew; what was not read yet must not be lost over it."""
        if not self.ready.is_set():
            return
        held = self._records.snapshot()
        try:
            await asyncio.to_thread(self._write, held)
        except ConfigError:  # a full disk must not end the serving
            self._stats.record_file["not_written"] += 1

    def _load(self) -> Iterator[FiledRecord]:
        most = len(header(self._network)) + self._records.limit * ENTRY_SIZE
        with suppress(FileNotFoundError):
            return decode(private_files.read(self._file, most), self._network)
        return iter(())

    def _write(self, held: Snapshot) -> None:
        if held or self._file.exists():
            private_files.replace(self._file, encode(self._network, held))
