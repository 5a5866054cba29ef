"""Listening on 127.0.0.1, with a bound on connections.

Any process of any user of this host can connect, token or not: were they not counted,
idle connections would use up the client's files. Beyond the bound the oldest connection
that has never shown the token makes room, so that whoever has none cannot keep out who
has; if all have shown it, the new one is closed.
"""

import asyncio
import errno

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from psp.errors import ConfigError
from psp.gateway.access import LOOPBACK

MAX_CONNECTIONS = 256
"""Many times what streams and requests need; a quarter of the files a process may open."""


class Proven:
    """The connections over which the token was shown."""

    def __init__(self) -> None:
        """Begin with none."""
        self._connections: set[object] = set()

    def add(self, connection: object) -> None:
        """Note that the token came over a connection."""
        self._connections.add(connection)

    def strangers(self, living: list[RequestHandler]) -> list[RequestHandler]:
        """Return the others of those that live, in their order; forget the dead."""
        self._connections.intersection_update(living)
        return [each for each in living if each not in self._connections]


class Listener:
    """Takes connections for an application.

    Attributes:
        port: Where it listens.
    """

    def __init__(
        self, runner: web.AppRunner, server: asyncio.Server, port: int
    ) -> None:
        self.port = port
        self._runner = runner
        self._server = server

    @classmethod
    async def open(
        cls,
        application: web.Application,
        port: int,
        *,
        proven: Proven,
        close_within: float,
    ) -> "Listener":
        """Listen.

        Args:
            application: Who answers.
            port: 0 for any that is free.
            proven: Filled by who looks at requests.
            close_within: Seconds for what is being answered at the end.

        Raises:
            ConfigError: If the port is taken.
        """
        runner = web.AppRunner(
            application,
            access_log=None,  # paths name contacts
            handle_signals=False,
            shutdown_timeout=close_within,
        )
        await runner.setup()
        serving = runner.server
        assert serving is not None  # noqa: S101 - it is set up

        def connected() -> asyncio.Protocol:
            living = [each for each in serving.connections if each.transport]
            strangers = proven.strangers(living)
            if len(living) >= MAX_CONNECTIONS:
                if not strangers:
                    return _Refusal()
                strangers[0].force_close()
            return serving()

        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                connected, LOOPBACK, port, reuse_address=True
            )
        except OSError as error:
            await runner.cleanup()
            is_taken = error.errno == errno.EADDRINUSE
            why = "is in use" if is_taken else f"cannot be used: {error.strerror}"
            raise ConfigError(
                f"port {port} on {LOOPBACK} {why}; choose another with gateway.port"
            ) from None
        return cls(runner, server, int(server.sockets[0].getsockname()[1]))

    async def close(self) -> None:
        """Listen no more; finish what is being answered."""
        self._server.close()
        await self._runner.cleanup()


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()
