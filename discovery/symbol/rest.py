"""The door to a REST gateway. Experimental."""

from collections.abc import Mapping
from typing import Final, Protocol

from psp.errors import PspError

MAX_ANSWER_BYTES: Final = 512 * 1024
"""Of one answer: a page of 100 entries of 1,024 bytes takes 260 kB in hexadecimal."""

PAGE_SIZE: Final = 100
"""Entries asked for at once: the most that gateways serve by default
(``pageSize.max`` in ``rest.json``)."""


class GatewayError(PspError):
    """The gateway gave no answer, or an error instead of one."""


class Rest(Protocol):
    """GET requests to one gateway."""

    async def get(self, path: str, params: Mapping[str, str]) -> bytes:
        """Return the body of a successful answer, at most `MAX_ANSWER_BYTES`.

        Raises:
            GatewayError: If there is none, or it is longer.
        """
        ...
