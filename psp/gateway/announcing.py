"""The announcement over HTTP: being reachable, and no longer."""

import asyncio
from collections.abc import Mapping

from psp.gateway import bodies
from psp.gateway.operations import Asked, Handler
from psp.gateway.ports import PresenceClient

PUBLIC_WARNING = (
    "Public presence: anybody can find you, and anybody can list when you are on line."
)


class AnnouncementDesk:
    """Announces the user of this client."""

    def __init__(self, client: PresenceClient) -> None:
        self._client = client
        self._current: bodies.Announce | None = None
        # Two programs that announce at once: the later one wins, wholly.
        self._turn = asyncio.Lock()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What this desk does, by operation."""
        return {
            "announcement": self.announcement,
            "announce": self.announce,
            "withdraw": self.withdraw,
        }

    async def announcement(self, _: Asked) -> bodies.Announcement:
        """Tell whether the user is reachable."""
        return self._shown()

    async def announce(self, asked: Asked) -> bodies.Announcement:
        """Be reachable; return when one presence point is in use.

        Raises:
            PspError: As the client does.
        """
        wanted = asked.body_as(bodies.Announce)
        async with self._turn:
            await self._client.announce(
                visibility=wanted.visibility,
                status=wanted.status,
                capabilities=wanted.capabilities,
            )
            self._current = wanted
        return self._shown()

    async def withdraw(self, _: Asked) -> None:
        """Be off line."""
        async with self._turn:
            await self._client.withdraw()
            self._current = None

    def _shown(self) -> bodies.Announcement:
        current = self._current or bodies.Announce()
        is_public = current.visibility == "public" or (
            current.visibility is None and self._is_public_identity()
        )
        return bodies.Announcement(
            is_announced=self._current is not None,
            points=self._client.status().presence_points,
            visibility="public" if is_public else "contacts",
            status=current.status,
            capabilities=sorted(current.capabilities),
            warning=PUBLIC_WARNING if is_public else "",
        )

    def _is_public_identity(self) -> bool:
        return self._client.identity is not None and self._client.me.is_public
