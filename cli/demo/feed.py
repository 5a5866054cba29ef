"""A short queue from a decoding thread into the event loop."""

import asyncio
import collections
import threading
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Feed(Generic[ItemT]):
    """Bounded; a full feed makes the thread wait, an empty one the task.

    To be made in the event loop. ``put`` is for the thread, the rest for the loop.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._items: collections.deque[ItemT] = collections.deque()
        self._room = threading.Condition()
        self._filled = asyncio.Event()
        self._is_ended = False
        self._is_closed = False

    def put(self, item: ItemT) -> bool:
        """Add an item, waiting for room; False once nobody reads any more."""
        with self._room:
            self._room.wait_for(
                lambda: self._is_closed or len(self._items) < self._limit
            )
            if self._is_closed:
                return False
            self._items.append(item)
        self._wake()
        return True

    def end(self) -> None:
        """Tell the reader, from the thread, that nothing more will come."""
        self._is_ended = True
        self._wake()

    async def take(self) -> ItemT | None:
        """Return the next item, waiting for one; None after the last."""
        while True:
            self._filled.clear()
            with self._room:
                if self._items:
                    self._room.notify()
                    return self._items.popleft()
            if self._is_ended or self._is_closed:
                return None
            await self._filled.wait()

    def close(self) -> None:
        """Stop the thread at its next ``put``."""
        with self._room:
            self._is_closed = True
            self._room.notify_all()
        self._filled.set()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._filled.set)
        except RuntimeError:  # the loop is gone, and with it the reader
            self._is_closed = True
