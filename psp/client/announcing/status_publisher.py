"""Keeps a user's status published: at once when it changes, anew before it ends.

It goes over the circuits of the user's presence points of the two lowest slots, in turn, so
that changes do not use up what one point takes from one circuit. Those are the points
at which watchers leave their handles.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from psp.client.announcing.registration import PresenceRegistration
from psp.errors import PspError
from psp.netdoc.presence_status import Status
from psp.units import Seconds

WATCHED_POINTS = 2
"""Presence points at which watchers leave handles (`psp.client.watching.watch_config`)."""


class Publish(Protocol):
    """Publishes a status over a registration; returns how many nodes store it."""

    async def __call__(
        self, registration: PresenceRegistration, status: Status, *, is_renewal: bool
    ) -> int:
        """Do so; a renewal says what was said before."""
        ...


@dataclass(frozen=True, slots=True)
class StatusConfig:
    """How a status is kept up.

    Attributes:
        renew_every: Between renewals; a status lives three times as long.
        burst: Changes published at once for each point in use: a point takes so many
            registrations a minute from one circuit. Further ones wait until the first
            of so many is ``burst_within`` ago, and only the last of them is published.
        burst_within: See ``burst``.
        retry_after: Pause after a failure.
    """

    renew_every: Seconds = Seconds(600.0)
    burst: int = 2
    burst_within: Seconds = Seconds(30.0)
    retry_after: Seconds = Seconds(1.0)


class StatusPublisher:
    """Publishes the newest status until it is cancelled."""

    def __init__(
        self,
        registrations: dict[int, PresenceRegistration],
        publish: Publish,
        log: FilteringBoundLogger,
        config: StatusConfig | None = None,
    ) -> None:
        """Publish nothing yet.

        Args:
            registrations: By slot, those that stand now; somebody else keeps them.
            publish: Does it once.
            log: Carries no status.
            config: How often.
        """
        self._registrations = registrations
        self._publish = publish
        self._log = log
        self._config = config or StatusConfig()
        self._status: Status | None = None
        self._edition = self._published = 0
        self._changed = asyncio.Condition()
        self._times: deque[float] = deque()
        self._turn = 0

    @property
    def status(self) -> Status | None:
        """What is to be said; None while nothing ever was."""
        return self._status

    async def say(self, status: Status) -> None:
        """Publish a status, now and until the next; return once it can be found."""
        if self._status is None and status == Status():
            return  # there is nothing to take back
        async with self._changed:
            self._status = status
            self._edition = edition = self._edition + 1
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._published >= edition)

    async def publish_now(self) -> None:
        """Publish the status once more, if there is one, without waiting for it."""
        async with self._changed:
            self._edition += 1
            self._changed.notify_all()

    async def points_changed(self) -> None:
        """Look at the registrations again: there may be one to publish over."""
        async with self._changed:
            self._changed.notify_all()

    async def run(self) -> None:
        """Keep it published until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            async with self._changed:
                await self._changed.wait_for(
                    lambda: self._status is not None and self._registrations
                )
            await self._wait_for_turn(loop)
            edition = self._edition
            if not await self._publish_once(is_renewal=self._published == edition):
                await asyncio.sleep(self._config.retry_after)
                continue
            self._times.append(loop.time())
            async with self._changed:
                self._published = edition
                self._changed.notify_all()
                await self._wait_for_change(edition)

    async def _wait_for_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        points = min(len(self._registrations), WATCHED_POINTS)
        allowed = self._config.burst * max(points, 1)
        while len(self._times) >= allowed:
            until = self._times.popleft() + self._config.burst_within
            if len(self._times) < allowed:
                await asyncio.sleep(max(0.0, until - loop.time()))

    async def _wait_for_change(self, edition: int) -> None:
        # An empty status has been taken back; it need not be said again.
        renew = self._config.renew_every if self._status != Status() else None
        try:
            async with asyncio.timeout(renew):
                await self._changed.wait_for(lambda: self._edition != edition)
        except TimeoutError:
            pass

    async def _publish_once(self, *, is_renewal: bool) -> bool:
        registrations = [found for _, found in sorted(self._registrations.items())]
        if not registrations or self._status is None:
            return False
        self._turn += 1
        watched = registrations[:WATCHED_POINTS]
        registration = watched[self._turn % len(watched)]
        try:
            stored = await self._publish(
                registration, self._status, is_renewal=is_renewal
            )
        except PspError as error:
            self._log.info("status_failed", error=str(error))
            return False
        return bool(stored)
