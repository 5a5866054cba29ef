"""Pages of records of one contract, at one block, from one endpoint.

Nothing is proven here: `psp.runtime.chain_reader` judges the whole.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from psp.directory.chain import layout, names, records, users
from psp.directory.chain.json_values import bytes_up_to
from psp.directory.chain.listed import RecordT, changed_numbers, merged
from psp.directory.chain.names import ListedName
from psp.directory.chain.records import ListedNode
from psp.directory.chain.users import ListedUser
from psp.errors import DecodeError
from psp.runtime.quorum import Rpc

ItemT = TypeVar("ItemT")

PAGES_AT_ONCE = 4
_CALL_GAS = hex(30_000_000)
"""Endpoints' own defaults differ; our largest page takes 8 million."""
_MAX_ANSWER = 1 << 19


class Pages:
    """Pages of one contract at one block, from one endpoint."""

    def __init__(self, rpc: Rpc, contract: bytes, height: int) -> None:
        self._rpc = rpc
        self._contract = contract
        self._height = height
        self._room = asyncio.Semaphore(PAGES_AT_ONCE)

    async def nodes(
        self, held: tuple[ListedNode, ...], count: int
    ) -> tuple[ListedNode, ...]:
        """Return all nodes; only those that differ from what is held are fetched."""
        if not held:
            return await self._all(
                count, layout.BOOK_PAGE, layout.node_page_call, records.split_listing
            )
        versions = await self._versions(count, layout.node_versions_call)
        numbers = changed_numbers(held, versions)
        size = layout.NUMBERS_PAGE
        parts = [numbers[i : i + size] for i in range(0, len(numbers), size)]

        async def fetch(part: Sequence[int]) -> tuple[ListedNode, ...]:
            data = await self._call(layout.node_records_call(part))
            words = layout.decode_words(data, size * layout.MAX_RECORD_WORDS)
            return records.split_records(words, part)

        found = await asyncio.gather(*map(fetch, parts))
        whole = merged(held, [node for part in found for node in part], count)
        if changed_numbers(whole, versions):
            raise DecodeError("records of other versions than the list says")
        return whole

    async def users(
        self, held: tuple[ListedUser, ...], count: int
    ) -> tuple[ListedUser, ...]:
        """Return all users, page by page from the first that differs."""
        if not held:
            return await self._all(
                count, layout.USERS_PAGE, layout.user_page_call, users.split_users
            )
        split, words = users.split_users, layout.USER_WORDS
        call, size = layout.user_page_call, layout.USERS_PAGE
        versions = await self._versions(count, layout.user_versions_call)
        return await self._differing(held, versions, size, call, split, words)

    async def names(
        self, held: tuple[ListedName, ...], count: int
    ) -> tuple[ListedName, ...]:
        """Return all names, page by page from the first that differs."""
        split, words = names.split_names, layout.NAME_WORDS
        call, size = layout.name_page_call, layout.NAMES_PAGE
        if not held:
            return await self._all(count, size, call, split)
        versions = await self._versions(count, layout.name_versions_call)
        return await self._differing(held, versions, size, call, split, words)

    async def _differing(  # noqa: PLR0917 - one of three kinds of records
        self,
        held: tuple[RecordT, ...],
        versions: Sequence[int],
        size: int,
        call: Callable[[int, int], bytes],
        split: Callable[..., tuple[RecordT, ...]],
        words_each: int,
    ) -> tuple[RecordT, ...]:
        """Fetch the pages that have a record of another version than is held."""
        count = len(versions)
        changed = changed_numbers(held, versions)
        pages = sorted({(number - 1) // size for number in changed})

        async def fetch(page: int) -> tuple[RecordT, ...]:
            first = 1 + page * size
            n = min(size, count - page * size)
            data = await self._call(call(first, n))
            words = layout.decode_words(data, size * words_each)
            return split(words, first=first)

        found = await asyncio.gather(*map(fetch, pages))
        return merged(held, [record for part in found for record in part], count)

    async def _all(
        self,
        count: int,
        size: int,
        call: Callable[[int, int], bytes],
        split: Callable[..., tuple[ItemT, ...]],
    ) -> tuple[ItemT, ...]:
        async def fetch(first: int) -> tuple[ItemT, ...]:
            n = min(size, count + 1 - first)
            data = await self._call(call(first, n))
            words = layout.decode_words(data, size * layout.MAX_RECORD_WORDS)
            items = split(words, first=first)
            if len(items) != n:
                raise DecodeError(f"a page of {len(items)} records instead of {n}")
            return items

        parts = await asyncio.gather(*map(fetch, range(1, count + 1, size)))
        return tuple(item for part in parts for item in part)

    async def _versions(
        self, count: int, call: Callable[[int, int], bytes]
    ) -> tuple[int, ...]:
        size = layout.VERSIONS_PAGE

        async def fetch(first: int) -> tuple[int, ...]:
            n = min(size, count + 1 - first)
            return layout.decode_versions(await self._call(call(first, n)), n)

        parts = await asyncio.gather(*map(fetch, range(1, count + 1, size)))
        return tuple(version for part in parts for version in part)

    async def _call(self, data: bytes) -> bytes:
        request = {"to": _hex(self._contract), "data": _hex(data), "gas": _CALL_GAS}
        async with self._room:
            answer = await self._rpc.call("eth_call", request, hex(self._height))
        return bytes_up_to(answer, _MAX_ANSWER)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
