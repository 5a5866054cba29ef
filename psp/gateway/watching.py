"""Watches over HTTP: each is one watch of the client, told on the event stream."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import msgspec
from structlog.typing import FilteringBoundLogger

from psp.client.watching.presence_event import PresenceEvent
from psp.entropy import Entropy
from psp.errors import PspError
from psp.gateway import bodies
from psp.gateway.feed import Feed
from psp.gateway.operations import Asked, Handler
from psp.gateway.ports import PresenceClient
from psp.gateway.problems import Kind, Problem, ProblemError, problem_of
from psp.gateway.whom import Whom, find_whom

_ID_SIZE = 8


@dataclass(slots=True)
class _Open:
    users: list[str]
    task: asyncio.Task[None]


class WatchDesk:
    """Keeps the watches of programs until they are closed."""

    def __init__(
        self,
        client: PresenceClient,
        feed: Feed,
        *,
        entropy: Entropy,
        max_watches: int,
        log: FilteringBoundLogger,
    ) -> None:
        """Begin without watches.

        Args:
            client: Whose watches they are.
            feed: Where to tell what happens.
            entropy: For ids.
            max_watches: Open at a time; more are refused.
            log: For our own faults.
        """
        self._client = client
        self._feed = feed
        self._entropy = entropy
        self._max_watches = max_watches
        self._log = log
        self._open: dict[str, _Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, watch: object) -> bool:
        return watch in self._open

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What this desk does, by operation."""
        return {
            "watches": self.watches,
            "open_watch": self.open,
            "close_watch": self.end,
        }

    async def watches(self, _: Asked) -> bodies.WatchList:
        """List what is open."""
        return bodies.WatchList(
            [bodies.Watch(watch, each.users) for watch, each in self._open.items()]
        )

    async def open(self, asked: Asked) -> bodies.Watch:
        """Begin to watch.

        Raises:
            PspError: If one of the users is not known, or too much is watched.
        """
        wanted = asked.body_as(bodies.OpenWatch).who
        whoms = {
            whom.user: whom
            for whom in [await find_whom(self._client, text) for text in wanted]
        }
        if len(self._open) >= self._max_watches:
            raise ProblemError(
                Kind.TOO_MANY_WATCHES,
                f"{self._max_watches} watches are open; close one first",
            )
        watch = self._entropy.token(_ID_SIZE).hex()
        users = [user.hex() for user in whoms]
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._follow(watch, list(whoms.values()), started))
        self._open[watch] = _Open(users, task)
        try:
            await started
        except BaseException:
            self._open.pop(watch, None)
            task.cancel()
            raise
        return bodies.Watch(watch, users)

    async def end(self, asked: Asked) -> None:
        """End a watch.

        Raises:
            ProblemError: If there is no such watch.
        """
        watch = asked.path["id"]
        if watch not in self._open:
            raise ProblemError(Kind.UNKNOWN_WATCH)
        task = self._open.pop(watch).task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._tell_end(watch, None)

    async def close(self) -> None:
        """End all watches."""
        tasks = [each.task for each in self._open.values()]
        self._open.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(
        self, watch: str, whoms: list[Whom], started: asyncio.Future[None]
    ) -> None:
        """Tell what a watch says; ``started`` learns whether it began."""
        problem = None
        try:
            async with self._client.watch([whom.who for whom in whoms]) as events:
                if not started.done():
                    started.set_result(None)
                await self._pass_on(watch, whoms, events)
        except Exception as error:  # noqa: BLE001 - the supervisor of watches
            if not isinstance(error, PspError):
                self._log.error("gateway_fault", exc_info=error)
            if not started.done():
                started.set_exception(error)
                return
            problem = problem_of(error)
        self._open.pop(watch, None)
        self._tell_end(watch, problem)

    async def _pass_on(
        self, watch: str, whoms: list[Whom], events: AsyncIterator[PresenceEvent]
    ) -> None:
        shown = {whom.user: whom.shown for whom in whoms}
        async for event in events:
            user = event.card.identity.hex()
            body = bodies.PresenceChanged(
                watch=watch,
                user=user,
                name=event.name or shown.get(event.card.identity, ""),
                state=event.state.value,
                status=event.status,
                capabilities=sorted(event.capabilities),
                at=max(0, int(event.at)),
                reason=str(event.reason),
            )
            self._feed.put(watch, user, "presence", msgspec.json.encode(body))

    def _tell_end(self, watch: str, problem: Problem | None) -> None:
        body = bodies.WatchEnded(watch, problem)
        self._feed.drop(watch)
        data = msgspec.json.encode(body)
        self._feed.put(watch, "", "watch-ended", data, is_last=True)
