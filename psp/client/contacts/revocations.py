"""Ends what is under way about a contact when that contact is revoked."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from psp.client.errors import ContactRevokedError
from psp.ids import UserId

T = TypeVar("T")


def _keep(_: object) -> None:
    """Nothing to undo."""


class Revocations:
    """Who waits for what about whom; bounded by what the app has under way."""

    def __init__(self) -> None:
        self._waiting: dict[UserId, set[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def tell(self, identity: UserId) -> None:
        """End everything under way about an identity."""
        for waiting in self._waiting.pop(identity, ()):
            if not waiting.done():
                waiting.set_result(None)

    async def guard(
        self,
        identity: UserId,
        work: Callable[[], Coroutine[Any, Any, T]],
        undo: Callable[[T], object] = _keep,
    ) -> T:
        """Do some work unless the contact is revoked meanwhile.

        Args:
            identity: Whom it is about.
            work: Begins it; cancelled on a revocation, and when this is cancelled.
            undo: Takes back a result that comes too late to be returned.

        Raises:
            ContactRevokedError: If the contact was revoked before the work was done.
        """
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(identity, set()).add(gone)
        task = asyncio.create_task(work())
        is_taken = False
        try:
            both: tuple[asyncio.Future[Any], ...] = (task, gone)
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ContactRevokedError("the contact was revoked meanwhile")
            is_taken = True
            return task.result()
        finally:
            self._forget(identity, gone)
            task.cancel()
            if not is_taken:
                await asyncio.wait([task])
                if not task.cancelled() and task.exception() is None:
                    undo(task.result())

    def _forget(self, identity: UserId, gone: "asyncio.Future[None]") -> None:
        gone.cancel()
        waiting = self._waiting.get(identity)
        if waiting is not None:
            waiting.discard(gone)
            if not waiting:
                del self._waiting[identity]
