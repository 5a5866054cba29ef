"""The gateway as a service: a client's presence on 127.0.0.1, until it is closed.

::

    gateway = Gateway(client, config, token, entropy=entropy, log=log)
    await gateway.start()
    ...
    await gateway.close()
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from structlog.typing import FilteringBoundLogger

import psp
from psp.client.gateway_config import GatewayConfig
from psp.entropy import Entropy
from psp.gateway import bodies, metrics
from psp.gateway.access import LOOPBACK, Access
from psp.gateway.announcing import AnnouncementDesk
from psp.gateway.contact_desk import ContactDesk
from psp.gateway.event_log import Event, EventLog
from psp.gateway.feed import Feed
from psp.gateway.http_app import HttpApp, json_page
from psp.gateway.listening import Listener
from psp.gateway.looking import LookingDesk
from psp.gateway.openapi import document
from psp.gateway.operations import Asked, Handler
from psp.gateway.ports import PresenceClient
from psp.gateway.problems import Kind, ProblemError
from psp.gateway.ringing import CallDesk
from psp.gateway.stats import GatewayStats
from psp.gateway.streams import Streams
from psp.gateway.watching import WatchDesk

_CLOSE_WITHIN = 3.0
"""Seconds for requests that are being answered when the gateway closes."""
_RUN_SIZE = 8


class Gateway:
    """Serves one client to programs on this host.

    Attributes:
        stats: Counters.
        url: Where it listens; empty before `start`.
        announcing: Announces the client's user, for who runs the gateway, too.
    """

    def __init__(
        self,
        client: PresenceClient,
        config: GatewayConfig,
        token: str,
        *,
        entropy: Entropy,
        log: FilteringBoundLogger,
    ) -> None:
        """Prepare; nothing listens yet."""
        self.stats = GatewayStats()
        self.url = ""
        self.announcing = AnnouncementDesk(client)
        self._client = client
        self._config = config
        self._token = token
        self._log = log
        self._presence, self._calls = (
            Feed(EventLog(entropy.token(_RUN_SIZE).hex())) for _ in range(2)
        )
        self._watching = WatchDesk(
            client,
            self._presence,
            entropy=entropy,
            max_watches=config.max_watches,
            log=log,
        )
        self._ringing = CallDesk(client, self._calls, entropy)
        self._streams = Streams(config.max_streams, self.stats)
        values: tuple[Callable[[], float], ...] = (
            lambda: len(self._streams),
            lambda: len(self._watching),
            lambda: client.status().presence_points,
            lambda: client.status().nodes,
        )
        self._registry = metrics.make_registry(
            self.stats, dict(zip(metrics.GAUGES, values, strict=True))
        )
        self._http = HttpApp(
            Access(token, config.origins, config.port),
            self._handlers(),
            {"events": self._open_events, "incoming_calls": self._open_calls},
            {
                "/metrics": lambda: metrics.render(self._registry),
                "/v1/openapi.json": lambda: json_page(
                    document(psp.__version__, self.url)
                ),
            },
            streams=self._streams,
            answer_within=config.answer_within,
            stats=self.stats,
            log=log,
        )
        self._listener: Listener | None = None
        self._taking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: If the port is taken.
        """
        self._listener = await Listener.open(
            self._http.web,
            self._config.port,
            proven=self._http.proven,
            close_within=_CLOSE_WITHIN,
        )
        port = self._listener.port
        self.url = f"http://{LOOPBACK}:{port}"
        self._http.access = Access(self._token, self._config.origins, port)
        if self._client.identity is not None:
            self._taking = asyncio.create_task(self._ringing.run())
            self._taking.add_done_callback(self._report)

    async def close(self) -> None:
        """End the streams, finish what is being answered, and stop listening."""
        self._presence.close()
        self._calls.close()
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
        await self._watching.close()
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)
            self._taking = None

    def _report(self, task: asyncio.Task[None]) -> None:
        """Log why calls are taken no more, if nobody meant that."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("gateway_fault", exc_info=error)

    def _handlers(self) -> dict[str, Handler]:
        return {
            **LookingDesk(self._client).handlers,
            **self._watching.handlers,
            **self.announcing.handlers,
            **ContactDesk(self._client).handlers,
            **self._ringing.handlers,
            "status": self._status,
            "health": self._health,
        }

    def _open_events(
        self, last_event_id: str, query: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        watch = query.get("watch")
        if watch is not None and watch not in self._watching:
            raise ProblemError(Kind.UNKNOWN_WATCH)

        def is_wanted(event: Event) -> bool:
            return watch is None or event.group == watch

        return self._presence.stream(last_event_id, self._config.heartbeat, is_wanted)

    def _open_calls(
        self, last_event_id: str, _: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        return self._calls.stream(last_event_id, self._config.heartbeat)

    async def _status(self, _: Asked) -> bodies.ClientState:
        status = self._client.status()
        has_identity = self._client.identity is not None
        return bodies.ClientState(
            version=psp.__version__,
            user=self._client.me.identity.hex() if has_identity else None,
            source=status.source,
            registry=status.registry,
            directory=status.directory,
            relays=status.nodes,
            points=status.presence_points,
            watches=len(self._watching),
            streams=len(self._streams),
        )

    async def _health(self, _: Asked) -> bodies.Health:
        return bodies.Health("ok")
