"""JSON-RPC over HTTP to one chain endpoint that may lie, stall or flood.

What comes back is well-formed JSON of a bounded size and nothing more: whoever asked
checks shapes, and believes nothing without a proof (`psp.directory.chain`).

A URL may carry an account's secret in its path, so no text here names one; errors speak
of an endpoint by its number.
"""

import asyncio
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec

from psp.errors import ConfigError, PspError
from psp.units import Seconds

_PIECE: Final = 1 << 16
_GZIP: Final = 16 + zlib.MAX_WBITS
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": "psp",
}
"""The same from everybody, whatever versions are installed."""


class RpcUnavailableError(PspError):
    """An endpoint gave no usable answer: dead, slow, too large, not JSON-RPC."""


class RpcError(PspError):
    """An endpoint answered with an error of its own.

    Attributes:
        code: The JSON-RPC code.
        data: What came with it, such as revert data; may be anything.
    """

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(f"the chain's endpoint says: {message} ({code})")
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """How much an endpoint may cost us (R-RPC-1).

    Attributes:
        max_bytes: Of one answer, unpacked; a page of 240 records takes 150 kB, a proof
            of 64 words up to 500 kB.
        timeout: Seconds for one answer, all of it.
        retries: Further tries when there was none; a refusal is not asked twice.
        pause: Seconds before the first of them, twice that before the next.
        max_message: Characters of an error's text that are kept.
    """

    max_bytes: int = 1 << 20
    timeout: Seconds = Seconds(5.0)
    retries: int = 2
    pause: Seconds = Seconds(0.2)
    max_message: int = 200


class RpcEndpoint:
    """One endpoint.

    Attributes:
        name: For logs and messages: never the URL.
        bytes_received: Of all answers so far, as they came over the wire.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        name: str = "endpoint",
        limits: RpcLimits | None = None,
    ) -> None:
        self.name = name
        self.bytes_received = 0
        self._url = url
        self._session = session
        self._limits = limits or RpcLimits()
        self._ids = itertools.count(1)

    def __repr__(self) -> str:
        return f"RpcEndpoint({self.name})"

    async def call(self, method: str, *params: object) -> object:
        """Ask; return the result, any JSON value.

        Raises:
            RpcError: If the endpoint refuses.
            RpcUnavailableError: If it gives no usable answer, also when asked again.
        """
        pause = float(self._limits.pause)
        for last in range(self._limits.retries, -1, -1):
            try:
                return await self._ask(method, params)
            except RpcUnavailableError:
                if not last:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
        raise AssertionError("the last try returns or raises")

    async def _ask(self, method: str, params: tuple[object, ...]) -> object:
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            async with asyncio.timeout(self._limits.timeout):
                answer = await self._post(json.dumps(request).encode())
        except TimeoutError:
            raise RpcUnavailableError(
                f"{self.name}: no answer within {self._limits.timeout:.0f} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Texts of these name the URL; the kind of failure says enough.
            raise RpcUnavailableError(
                f"{self.name}: cannot be reached ({type(error).__name__})"
            ) from None
        return self._result(answer, number)

    async def _post(self, body: bytes) -> bytes:
        async with self._session.post(
            self._url, data=body, headers=_HEADERS, allow_redirects=False
        ) as response:
            packed = response.headers.get("Content-Encoding", "") == "gzip"
            unpacker = zlib.decompressobj(_GZIP) if packed else None
            parts: list[bytes] = []
            room = self._limits.max_bytes
            async for piece in response.content.iter_chunked(_PIECE):
                self.bytes_received += len(piece)
                part = self._unpacked(unpacker, piece, room) if unpacker else piece
                room -= len(part)
                if room < 0:
                    raise RpcUnavailableError(
                        f"{self.name}: answers more than {self._limits.max_bytes} bytes"
                    )
                parts.append(part)
        return b"".join(parts)

    def _unpacked(self, unpacker: "zlib._Decompress", piece: bytes, room: int) -> bytes:
        """Unpack at most one byte more than there is room for: bombs do not go off."""
        try:
            return unpacker.decompress(piece, room + 1)
        except zlib.error:
            raise RpcUnavailableError(f"{self.name}: answers no gzip") from None

    def _result(self, answer: bytes, number: int) -> object:
        try:
            message = msgspec.json.decode(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise RpcUnavailableError(f"{self.name}: answers no JSON") from None
        if not isinstance(message, Mapping):
            raise RpcUnavailableError(f"{self.name}: answers no JSON-RPC")
        fault = message.get("error")
        if fault is not None:
            raise self._error(fault)
        if message.get("id") != number or "result" not in message:
            raise RpcUnavailableError(f"{self.name}: answers another question")
        result: object = message["result"]
        return result

    def _error(self, fault: object) -> PspError:
        if not isinstance(fault, Mapping):
            return RpcUnavailableError(f"{self.name}: answers no JSON-RPC error")
        code, text = fault.get("code"), fault.get("message")
        if not isinstance(code, int) or not isinstance(text, str):
            return RpcUnavailableError(f"{self.name}: answers no JSON-RPC error")
        kept = "".join(c for c in text[: self._limits.max_message] if c.isprintable())
        return RpcError(code, kept, fault.get("data"))


def numbered_endpoints(
    urls: Iterable[str], session: aiohttp.ClientSession | None
) -> Iterator[RpcEndpoint]:
    """Yield endpoints named by their place in the settings; none without a session."""
    for number, url in enumerate(urls, 1):
        if session is not None:
            yield RpcEndpoint(url, session, name=f"endpoint {number}")


def bytes_received(endpoints: Iterable[RpcEndpoint]) -> int:
    """Return what some endpoints have sent so far, as it came over the wire."""
    return sum(endpoint.bytes_received for endpoint in endpoints)


def new_session(endpoints: int) -> aiohttp.ClientSession:
    """Return a session for a few endpoints: no cookies, no proxy from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=8 * max(endpoints, 1), limit_per_host=8),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )


def check_url(url: str, key: str) -> str:
    """Return a URL that can be used.

    Raises:
        ConfigError: If it cannot; the text does not repeat it.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in {"http", "https"} or not rest.partition("/")[0]:
        raise ConfigError(
            f"{key} has an entry that is no http:// or https:// URL; write one such as "
            "https://rpc.example.org"
        )
    return url
