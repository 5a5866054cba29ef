"""When a client is announced, and as what: one announcer at a time, or none.

::

    announce ---> an announcer runs <---> set_status, a new discovery secret
    withdraw ---> it says that the user is away, and ends
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from psp.client.announcer import Announcer
from psp.client.identity import Identity
from psp.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Appearance:
    """As what a user is announced.

    Attributes:
        visibility: ``contacts`` or ``public``; None for what the identity is made for.
        status: A line that contacts read; empty for none.
        capabilities: Names of what the app can do.
    """

    visibility: str | None = None
    status: str = ""
    capabilities: tuple[str, ...] = ()


class OwnPresence:
    """The announcements of one client.

    Attributes:
        announcer: The one that runs, or None.
    """

    def __init__(
        self, identity: Identity | None, make: Callable[[], Announcer], slots: int
    ) -> None:
        """Announce nothing yet.

        Args:
            identity: Whom to announce.
            make: Makes an announcer, which is not started.
            slots: How many points an announcer keeps.
        """
        self.announcer: Announcer | None = None
        self._identity = identity
        self._make = make
        self._slots = slots
        self._appearance = Appearance()
        self._ended: asyncio.Future[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    async def announce(self, points: int, appearance: Appearance) -> None:
        """Be announced as this; return once ``points`` presence points are.

        Raises:
            ConfigError: If there can be no such number of points, or the user was
                withdrawn before they were announced.
        """
        if not 1 <= points <= self._slots:
            raise ConfigError(f"a user has 1 to {self._slots} presence points")
        await self._wait_for_stopping()
        if self.announcer is None:
            self._start(appearance)
        else:
            await self._appear(appearance)
        await self._wait_for(points)

    async def set_status(self, status: str, capabilities: Iterable[str]) -> None:
        """Publish another status, to whoever may read the last one.

        Raises:
            ConfigError: If nothing is announced, or the status is too long.
        """
        if self.announcer is None:
            raise ConfigError("announce first: a status is read where presence is")
        await self._appear(
            Appearance(self._appearance.visibility, status, tuple(capabilities))
        )

    async def withdraw(self) -> None:
        """Say that the user is away; if cancelled, that goes on in the background."""
        self._stop()
        await self._wait_for_stopping()

    async def use_secret(self, secret: bytes) -> None:
        """Be found under another discovery secret, and leave the old one as away.

        Who still holds the old secret finds a signed absence, and no point that leads
        here: the new announcer has circuits and keys of its own.
        """
        task = asyncio.create_task(self._change_secret(secret))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        await asyncio.shield(task)

    async def _change_secret(self, secret: bytes) -> None:
        assert self._identity is not None  # noqa: S101 - the book has checked
        was_announced = self.announcer is not None
        announcer = self._detach()
        if announcer is not None:
            await announcer.stop()
        self._identity.new_secret(secret)
        if was_announced and self.announcer is None:
            self._start(self._appearance)

    def _start(self, appearance: Appearance) -> None:
        self._appearance = appearance
        self._ended = asyncio.get_running_loop().create_future()
        self.announcer = self._make()
        self.announcer.start()

    async def _appear(self, appearance: Appearance) -> None:
        self._appearance = appearance

    def _stop(self) -> None:
        announcer = self._detach()
        if announcer is not None:
            task = asyncio.create_task(announcer.stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def _detach(self) -> Announcer | None:
        announcer, self.announcer = self.announcer, None
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        return announcer

    async def _wait_for_stopping(self) -> None:
        while self._stopping:
            await asyncio.wait(self._stopping)

    async def _wait_for(self, points: int) -> None:
        while (announcer := self.announcer) is not None and self._ended is not None:
            waiting = asyncio.create_task(announcer.wait_until_announced(points))
            try:
                await asyncio.wait(
                    (waiting, self._ended), return_when=asyncio.FIRST_COMPLETED
                )
                if waiting.done():
                    return
            finally:
                waiting.cancel()
            await self._wait_for_stopping()
        raise ConfigError("withdrawn before it was announced")
