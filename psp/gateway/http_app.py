"""HTTP around the handlers: who may ask, what a body is, how an error looks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec
from aiohttp import web
from structlog.typing import FilteringBoundLogger

from psp.errors import PspError
from psp.gateway import problems
from psp.gateway.access import Access
from psp.gateway.listening import Proven
from psp.gateway.operations import OPERATIONS, Asked, Handler, Operation
from psp.gateway.problems import Kind, ProblemError, problem_of
from psp.gateway.stats import GatewayStats
from psp.gateway.streams import Streams
from psp.units import Seconds

MAX_BODY = 256 << 10
"""Bytes: a batch of 100 cards, with room."""

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]
Opening = Callable[[str, Mapping[str, str]], AsyncIterator[bytes]]
"""Opens a stream for a Last-Event-ID and a query."""
Page = Callable[[], tuple[str, bytes]]
"""Makes a page that is no operation: its content type and its body."""

_OF_STATUS = {
    404: Kind.NOT_FOUND,
    405: Kind.METHOD_NOT_ALLOWED,
    413: Kind.TOO_LARGE,
}
"""What aiohttp's own refusals are; any other is a bad request."""


class HttpApp:
    """Answers requests with handlers.

    Attributes:
        access: Who may ask; replaced once the port is known.
        proven: The connections over which the token was shown.
        web: The application of aiohttp.
    """

    def __init__(
        self,
        access: Access,
        handlers: Mapping[str, Handler],
        openings: Mapping[str, Opening],
        pages: Mapping[str, Page],
        *,
        streams: Streams,
        answer_within: Seconds,
        stats: GatewayStats,
        log: FilteringBoundLogger,
    ) -> None:
        """Join the table of operations with what does them.

        Args:
            access: Who may ask.
            handlers: By operation.
            openings: Of streams, by operation.
            pages: By path; those with the token only.
            streams: Writes streams.
            answer_within: Time for a request.
            stats: Counters to keep.
            log: For our own faults.
        """
        self.access = access
        self.proven = Proven()
        self._streams = streams
        self._answer_within = answer_within
        self._stats = stats
        self._log = log
        self.web = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        self.web.on_response_prepare.append(self._add_headers)
        self._open_routes: set[web.AbstractRoute] = set()
        for operation in OPERATIONS:
            if operation.events:
                answering = self._streaming(operation, openings[operation.name])
            else:
                answering = self._answering(operation, handlers[operation.name])
            self._add(operation.method, operation.path, answering, operation.is_open)
        for path, page in pages.items():
            self._add("GET", path, self._paging(page), path.endswith("openapi.json"))

    def _add(
        self, method: str, path: str, answering: Answering, is_open: object
    ) -> None:
        route = self.web.router.add_route(method, path, answering)
        if is_open:
            self._open_routes.add(route)

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Answering
    ) -> web.StreamResponse:
        """Refuse who may not ask, and turn every error into a problem."""
        if (
            request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
        ):
            return self._preflight(request)
        is_open = request.match_info.route in self._open_routes
        refusal = self.access.refusal(request.headers, is_open=is_open)
        if refusal is not None:
            return self._refuse(ProblemError(refusal))
        if not is_open:
            self.proven.add(request.protocol)
        try:
            return await handler(request)
        except web.HTTPException as refused:
            response = self._refuse(_foreign(refused))
            if "Allow" in refused.headers:
                response.headers["Allow"] = refused.headers["Allow"]
            return response
        except (PspError, TimeoutError) as error:
            return self._refuse(error)
        except Exception as error:  # noqa: BLE001 - the supervisor of requests
            self._log.error("gateway_fault", exc_info=error)
            return self._refuse(error)

    def _answering(self, operation: Operation, handler: Handler) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            body = await _body(request, operation.body)
            asked = Asked(request.match_info, request.query, body)
            async with asyncio.timeout(self._answer_within):
                result = await handler(asked)
            self._stats.requests[operation.name] += 1
            if result is None:
                return web.Response(status=operation.status)
            return web.Response(
                status=operation.status,
                body=msgspec.json.encode(result),
                content_type="application/json",
            )

        return answer

    def _streaming(self, operation: Operation, opening: Opening) -> Answering:
        async def stream(request: web.Request) -> web.StreamResponse:
            last = request.headers.get("Last-Event-ID", "")
            chunks = opening(last, request.query)
            self._stats.requests[operation.name] += 1
            return await self._streams.serve(request, chunks)

        return stream

    def _paging(self, page: Page) -> Answering:
        async def show(_: web.Request) -> web.StreamResponse:
            content_type, body = page()
            return web.Response(body=body, headers={"Content-Type": content_type})

        return show

    def _preflight(self, request: web.Request) -> web.Response:
        headers = self.access.preflight_headers(request.headers)
        if headers is None:
            return self._refuse(ProblemError(Kind.FOREIGN_ORIGIN))
        return web.Response(status=204, headers=headers)

    def _refuse(self, error: Exception) -> web.Response:
        problem = problem_of(error)
        self._stats.problems[problem.type.removeprefix(problems.PREFIX)] += 1
        headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
        return web.Response(
            status=problem.status,
            body=msgspec.json.encode(problem),
            content_type=problems.CONTENT_TYPE,
            headers=headers,
        )

    async def _add_headers(
        self, request: web.Request, response: web.StreamResponse
    ) -> None:
        response.headers.update(self.access.answer_headers(request.headers))


async def _body(
    request: web.Request, kind: type[msgspec.Struct] | None
) -> msgspec.Struct | None:
    if kind is None:
        return None
    if request.content_type != "application/json":
        raise ProblemError(Kind.UNSUPPORTED_MEDIA_TYPE)
    data = await request.read()
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(Kind.BAD_REQUEST, f"{error}"[:200]) from None


def _foreign(refused: web.HTTPException) -> ProblemError:
    """Return a refusal of aiohttp's as one of ours."""
    return ProblemError(_OF_STATUS.get(refused.status, Kind.BAD_REQUEST))


def json_page(value: object) -> tuple[str, bytes]:
    """Return a page of JSON."""
    return "application/json", json.dumps(value).encode()
