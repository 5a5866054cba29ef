"""An event log that readers can wait for."""

import asyncio
from collections.abc import AsyncIterator, Callable

from psp.gateway import sse
from psp.gateway.event_log import Event, EventLog
from psp.units import Seconds


class Feed:
    """Events for any number of streams.

    Attributes:
        log: What happened.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._is_closed = False
        self._changed = asyncio.Event()

    def put(
        self, group: str, subject: str, kind: str, data: bytes, *, is_last: bool = False
    ) -> None:
        """Note what happened, and wake the readers; see `EventLog.put`."""
        self.log.put(group, subject, kind, data, is_last=is_last)
        self._wake()

    def drop(self, group: str) -> None:
        """Forget all subjects of a group."""
        self.log.drop(group)

    def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        self._wake()

    async def stream(
        self,
        last_event_id: str,
        heartbeat: Seconds,
        is_wanted: Callable[[Event], bool] = lambda _: True,
    ) -> AsyncIterator[bytes]:
        """Yield what to write on one stream, until the feed closes.

        Args:
            last_event_id: What the reader has read before; empty for nothing.
            heartbeat: Seconds of silence that get a sign of life.
            is_wanted: Which events this reader wants.
        """
        number = self.log.number_of(last_event_id)
        yield sse.OPENING
        while not self._is_closed:
            changed = self._changed
            # One event at a time: while it is written, newer ones replace those that
            # were not.
            events = self.log.after(number, is_wanted)
            if events:
                event = events[0]
                number = event.number
                yield sse.encode_event(self.log.id_of(event), event.kind, event.data)
                continue
            try:
                async with asyncio.timeout(heartbeat):
                    await changed.wait()
            except TimeoutError:
                yield sse.HEARTBEAT

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
