"""What watching costs in traffic, beside polling every contact each half minute.

Measured: the bytes at the client's socket of one look-up, its circuits included, and of
beginning to watch a contact: a look-up, two handles, and a share of the circuit to the
watch point. Reckoned from the settings: how often either happens in an hour.
The simulations watch for hours of virtual time instead.
"""

import asyncio
from contextlib import AsyncExitStack
from statistics import mean

from cli.bench.presence_town import spares_ready, stranger
from cli.testbed.network import Testbed
from psp.client.api import Client
from psp.client.watching.watch_config import WatcherConfig

POLL_EVERY = 30.0
LOOK_UPS = 10
WATCHED = 10
_HOUR = 3_600.0
_WITHIN = 90.0
"""A client leaves about one handle a second."""


async def measure_watching(bed: Testbed) -> dict[str, float]:
    """Let all users come on line and one client watch them.

    Returns:
        ``watch_share_of_polling``, and the bytes it was reckoned from.
    """
    async with AsyncExitStack() as stack:
        cards = []
        for name in bed.users[:WATCHED]:
            user = await stack.enter_async_context(bed.connect(name))
            await user.announce(2)
            cards.append(user.contact_card)
        client = await stack.enter_async_context(stranger(bed, 10_000))
        await spares_ready(client)
        before = bed.traffic(client)
        for number in range(LOOK_UPS):
            await client.lookup(cards[number % len(cards)])
            await spares_ready(client)
        poll = (bed.traffic(client) - before) / LOOK_UPS

        before = bed.traffic(client)
        async with client.watch(cards):
            await _handles_lie(client, 2 * len(cards))
            await spares_ready(client)
            begin = (bed.traffic(client) - before) / len(cards)
    config = WatcherConfig()
    # Handles are left anew more often than look-ups are made: that counts for all.
    again = _HOUR / (config.lifetime * mean(config.renew))
    polling = poll * _HOUR / POLL_EVERY
    return {
        "watch_share_of_polling": begin * again / polling,
        "lookup_bytes": poll,
        "watch_begin_bytes": begin,
    }


async def _handles_lie(client: Client, wanted: int) -> None:
    watcher = client._parts.watcher  # noqa: SLF001 - apps need not know
    async with asyncio.timeout(_WITHIN):
        while True:
            if watcher.status().handles >= wanted:
                return
            await asyncio.sleep(0.05)
