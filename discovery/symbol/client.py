"""GET requests to a REST gateway with aiohttp. Experimental.

No redirect is followed, no cookie kept, no proxy taken from the environment, nothing
unpacked; more than `MAX_ANSWER_BYTES` are never held.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import aiohttp

from discovery.symbol.rest import MAX_ANSWER_BYTES, GatewayError
from psp.runtime.rpc import check_url
from psp.units import Seconds

_PIECE: Final = 1 << 16
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "psp"}


class GatewayClient:
    """One gateway; a `discovery.symbol.rest.Rest`."""

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        timeout: Seconds = Seconds(10),
    ) -> None:
        self._url = check_url(url, "gateway").rstrip("/")
        self._session = session
        self._timeout = timeout

    def __repr__(self) -> str:
        return "GatewayClient()"

    async def get(self, path: str, params: Mapping[str, str]) -> bytes:
        """Return the body of a successful answer, at most `MAX_ANSWER_BYTES`.

        Raises:
            GatewayError: If there is none, or it is longer.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._get(path, params)
        except TimeoutError:
            raise GatewayError(f"no answer within {self._timeout:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Texts of these name the URL; the kind of failure says enough.
            raise GatewayError(f"cannot be reached ({type(error).__name__})") from None

    async def _get(self, path: str, params: Mapping[str, str]) -> bytes:
        async with self._session.get(
            self._url + path, params=params, headers=_HEADERS, allow_redirects=False
        ) as response:
            if response.status != 200:
                raise GatewayError(f"answers with status {response.status}")
            parts: list[bytes] = []
            room = MAX_ANSWER_BYTES
            async for piece in response.content.iter_chunked(_PIECE):
                room -= len(piece)
                if room < 0:
                    raise GatewayError(f"answers more than {MAX_ANSWER_BYTES} bytes")
                parts.append(piece)
        return b"".join(parts)
