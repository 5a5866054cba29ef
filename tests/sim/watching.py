"""Somebody who watches others in virtual time, and notes when what was told."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from psp.client.api import Client
from psp.client.lookups.lookup import PresenceState
from psp.client.watching.presence_event import PresenceEvent
from psp.client.watching.watch_config import WatcherConfig
from psp.client.watching.watcher import Watcher, WatcherStatus
from psp.netdoc.contact_card import ContactCard
from tests.sim.calls import until


@dataclass
class Witness:
    """What a watcher was told.

    Attributes:
        watcher: Who was told.
        events: What, the oldest first, and when by the loop's clock.
    """

    watcher: Watcher
    events: list[tuple[float, PresenceEvent]] = field(default_factory=list)

    @property
    def last(self) -> PresenceEvent | None:
        """The newest event."""
        return self.events[-1][1] if self.events else None

    def status(self) -> WatcherStatus:
        """Return what the watcher is doing."""
        return self.watcher.status()

    async def hears(
        self, state: PresenceState, *, within: float, status: str | None = None
    ) -> float:
        """Wait until the newest event says this; return the seconds until it came.

        Raises:
            TimeoutError: If it does not come.
        """
        loop = asyncio.get_running_loop()
        start = loop.time()
        while True:
            event = self.last
            if event is not None and _says(event, state, status):
                return max(0.0, self.events[-1][0] - start)
            if loop.time() - start > within:
                raise TimeoutError(f"not {state} within {within} s: {self.last}")
            await asyncio.sleep(0.1)

    async def rests(self, handles: int, *, within: float = 60.0) -> None:
        """Wait until so many handles lie.

        Raises:
            TimeoutError: If they never do.
        """
        await until(lambda: self.status().handles >= handles, within=within)


def _says(event: PresenceEvent, state: PresenceState, status: str | None) -> bool:
    return event.state is state and status in {None, event.status}


@asynccontextmanager
async def watching(
    client: Client,
    cards: Collection[ContactCard],
    config: WatcherConfig | None = None,
) -> AsyncIterator[Witness]:
    """Watch until the block ends; with a watcher of its own if it has other times."""
    parts = client._parts
    watcher = parts.watcher
    if config is not None:
        find = parts.queue.find
        watcher = Watcher(parts.outfit.context, client.circuits, find, config)
    witness = Witness(watcher)
    loop = asyncio.get_running_loop()

    async def read() -> None:
        async with watcher.watch(cards) as watch:
            async for event in watch:
                witness.events.append((loop.time(), event))

    reading = asyncio.create_task(read())
    try:
        yield witness
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await watcher.close()
