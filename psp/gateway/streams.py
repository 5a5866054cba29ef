"""Event streams to readers that may be slow, stuck or gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from psp.gateway import sse
from psp.gateway.problems import Kind, ProblemError
from psp.gateway.stats import GatewayStats
from psp.units import Seconds

WRITE_WITHIN = Seconds(30.0)
"""A reader that takes nothing for so long is cut off; it can come back with the id of
the last event it has."""
_LOOK_EVERY = Seconds(1.0)
"""Between two looks whether the reader has gone: writing would tell only later."""


class Streams:
    """Counts streams and writes on them."""

    def __init__(self, limit: int, stats: GatewayStats) -> None:
        """Begin without streams.

        Args:
            limit: Open at a time; more are refused.
            stats: Counters to keep.
        """
        self._limit = limit
        self._stats = stats
        self._open = 0

    def __len__(self) -> int:
        return self._open

    async def serve(
        self, request: web.Request, chunks: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        """Write chunks until they end or the reader is gone.

        Raises:
            ProblemError: If too many streams are open.
        """
        if self._open >= self._limit:
            raise ProblemError(
                Kind.TOO_MANY_STREAMS,
                f"{self._limit} streams are open; close one, or raise "
                "gateway.max_streams",
            )
        self._open += 1
        try:
            response = web.StreamResponse()
            response.content_type = sse.CONTENT_TYPE
            await response.prepare(request)
            self._stats.streams += 1
            writing = asyncio.create_task(self._write(request, response, chunks))
            try:
                await _until_gone(request, writing)
            finally:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
        finally:
            self._open -= 1
        return response

    async def _write(
        self,
        request: web.Request,
        response: web.StreamResponse,
        chunks: AsyncIterator[bytes],
    ) -> None:
        async for chunk in chunks:
            try:
                async with asyncio.timeout(WRITE_WITHIN):
                    await response.write(chunk)
            except TimeoutError:
                self._stats.streams_stuck += 1
                if request.transport is not None:
                    request.transport.abort()
                return
            except ConnectionError:
                return
        with contextlib.suppress(ConnectionError):
            await response.write_eof()


async def _until_gone(request: web.Request, writing: asyncio.Task[None]) -> None:
    while not writing.done():
        transport = request.transport
        if transport is None or transport.is_closing():
            return
        await asyncio.wait([writing], timeout=_LOOK_EVERY)
