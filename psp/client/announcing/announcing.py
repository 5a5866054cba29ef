"""When a client is announced, and as what: one announcer at a time, or none.

::

    announce ---> an announcer runs <---> set_status, a new discovery secret
    withdraw ---> it says that the user is away, and ends
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from psp.client.announcing.announcer import Announcer
from psp.client.announcing.visibility import Visibility
from psp.client.errors import KeysEndedError
from psp.client.identities.identity import Identity
from psp.errors import ConfigError, LocalProtocolError
from psp.netdoc.presence_status import Status


@dataclass(frozen=True, slots=True)
class Appearance:
    """As what a user is announced.

    Attributes:
        visibility: Who may find them; None for whom the identity was made for.
        status: A line that contacts read; empty for none.
        capabilities: Names of what the app can do.
    """

    visibility: Visibility | None = None
    status: str = ""
    capabilities: tuple[str, ...] = ()

    def check(self) -> None:
        """See that it can be said.

        Raises:
            ConfigError: If the status is too long or a capability is unknown.
        """
        try:
            Status.of(self.status, self.capabilities)
        except LocalProtocolError as error:
            raise ConfigError(str(error)) from None


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
        self._restoring: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._stops = 0

    async def announce(
        self,
        points: int,
        visibility: Visibility | None = None,
        status: str | None = None,
        capabilities: Iterable[str] | None = None,
    ) -> None:
        """Be announced; return once ``points`` presence points are.

        What is None stays as it is while the user is announced.

        Raises:
            ConfigError: If there can be no such number of points, such a status or
                such a visibility, or the user was withdrawn before.
            KeysEndedError: If the keys on this host have ended.
        """
        if not 1 <= points <= self._slots:
            raise ConfigError(f"a user has 1 to {self._slots} presence points")
        await self._wait_for_stopping()
        now = Appearance() if self.announcer is None else self._appearance
        appearance = Appearance(
            now.visibility if visibility is None else visibility,
            now.status if status is None else status,
            now.capabilities if capabilities is None else tuple(capabilities),
        )
        appearance.check()
        is_new = self.announcer is None
        if is_new:
            self._start(appearance)
        else:
            self._appearance = appearance
        try:
            await self._wait_for(points)
        except (ConfigError, KeysEndedError):
            if is_new:
                self._stop()
            raise

    async def set_status(self, status: str, capabilities: Iterable[str]) -> None:
        """Publish another status, to whoever may read the last one.

        Raises:
            ConfigError: If nothing is announced, or the status is too long.
        """
        announcer = self.announcer
        if announcer is None:
            raise ConfigError("announce first: a status is read where presence is")
        appearance = replace(
            self._appearance, status=status, capabilities=tuple(capabilities)
        )
        appearance.check()
        self._appearance = appearance
        await announcer.set_status(status, self._appearance.capabilities)

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
        # In turn: the last secret is the one that the contact book keeps.
        async with self._changing:
            was_announced, stops = self.announcer is not None, self._stops
            announcer = self._detach()
            if announcer is not None:
                await announcer.stop()
            self._identity.new_secret(secret)
            is_wanted = was_announced and stops == self._stops
            if is_wanted and self.announcer is None:
                self._start(self._appearance)
                self._restoring = asyncio.create_task(self._restore())

    def _start(self, appearance: Appearance) -> None:
        announcer = self._make()
        announcer.start()
        self.announcer = announcer
        self._appearance = appearance
        self._ended = asyncio.get_running_loop().create_future()

    def _stop(self) -> None:
        self._stops += 1
        announcer = self._detach()
        if announcer is not None:
            task = asyncio.create_task(announcer.stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def _detach(self) -> Announcer | None:
        if self._restoring is not None:
            self._restoring.cancel()
        announcer, self.announcer = self.announcer, None
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        return announcer

    async def _wait_for_stopping(self) -> None:
        while self._stopping:
            await asyncio.wait(self._stopping)

    async def _wait_for(self, points: int) -> None:
        while (announcer := self.announcer) is not None and self._ended is not None:
            appearing = asyncio.create_task(self._appear(announcer, points))
            either: tuple[asyncio.Future[None], ...] = (appearing, self._ended)
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if appearing.done():
                    appearing.result()
                    return
            finally:
                appearing.cancel()
            await self._wait_for_stopping()
        raise ConfigError("withdrawn before it was announced")

    async def _appear(self, announcer: Announcer, points: int) -> None:
        """Appear as wanted, and wait until that can be found."""
        appearance = self._appearance
        if appearance.visibility is not None:
            await announcer.announce_as(appearance.visibility)
        both = [
            asyncio.create_task(announcer.wait_until_announced(points)),
            asyncio.create_task(
                announcer.set_status(appearance.status, appearance.capabilities)
            ),
        ]
        try:
            await asyncio.gather(*both)
        finally:
            for task in both:
                task.cancel()

    async def _restore(self) -> None:
        """Appear as before under another secret; a host that cannot says so itself."""
        if self.announcer is not None:
            with suppress(ConfigError, KeysEndedError):
                await self._appear(self.announcer, 1)
