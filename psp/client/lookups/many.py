"""Looking many users up: a few at a time, so that nothing else of the client suffers.

A look-up takes two to five circuits. Four at once stay far below the 64 circuits a guard
carries for one client, and `psp.client.lookups.spare_circuits` paces how fast they are begun: a
hundred users take about a minute.
"""

import asyncio
from collections.abc import Sequence

from psp.client.lookups.lookup import Lookup
from psp.client.lookups.lookup_result import LookupResult
from psp.errors import PspError
from psp.netdoc.contact_card import ContactCard

AT_ONCE = 4


class LookupQueue:
    """Look-ups of one client, `AT_ONCE` at a time, first come first served."""

    def __init__(self, lookup: Lookup, at_once: int = AT_ONCE) -> None:
        self._lookup = lookup
        self._room = asyncio.Semaphore(at_once)

    async def find(self, card: ContactCard) -> LookupResult:
        """Look a user up when it is its turn; raises what `Lookup.find` raises."""
        async with self._room:
            return await self._lookup.find(card)

    async def find_many(
        self, cards: Sequence[ContactCard]
    ) -> list[LookupResult | PspError]:
        """Look users up; what went wrong with one takes its place in the list."""
        return await asyncio.gather(*map(self._find_or_tell, cards))

    async def _find_or_tell(self, card: ContactCard) -> LookupResult | PspError:
        try:
            return await self.find(card)
        except PspError as error:
            return error


async def look_up_many(
    lookup: Lookup, cards: Sequence[ContactCard]
) -> list[LookupResult | PspError]:
    """Look users up, a few at a time; see `LookupQueue.find_many`."""
    return await LookupQueue(lookup).find_many(cards)
