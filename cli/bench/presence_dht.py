"""How many requests of other relays one discovery node serves, over real links.

The node is a process of its own; its peers, with one link each, are in this one. Each
keeps to the rate that nodes are allowed, so the node is not the one that is slow: what
counts is the processor time it takes for a request.
"""

import asyncio
import time
from pathlib import Path

from cli.bench.presence_node import NodeProcess
from cli.bench.presence_town import Publisher, open_bed
from cli.testbed.network import Testbed
from presence.dht.messages import FindValue, encode
from presence.dht.protocol import DHT_SERVICE
from psp.ids import NodeId
from psp.runtime.entropy import SystemEntropy
from psp.units import Seconds
from psp.wire.lookup import LOOKUP_NONCE_SIZE

PEERS = 16
USERS = 64
IN_FLIGHT = 4
"""Requests that each peer has out at once."""
_WITHIN = Seconds(1.0)


async def serve_rate(folder: Path, seconds: float) -> dict[str, float]:
    """Ask one node for records for a while; return what it managed.

    Returns:
        ``dht_requests_per_s`` for each core of the node, ``dht_requests_served_per_s``
        by the clock, ``dht_peers``, ``dht_unanswered`` as a share.
    """
    async with open_bed(
        folder, discovery=1, others=PEERS, starts=lambda number: number > 0
    ) as bed:
        planned = bed.plan.relays[0]
        node = await asyncio.to_thread(NodeProcess, planned.config)
        try:
            publisher = Publisher(bed)
            now = int(bed.unix_time() * 1_000)
            places = [
                location
                for _ in range(USERS)
                for location, _ in await publisher.publish(publisher.new_user(), now)
            ]
            return await _ask(bed, planned.node_id, node, places, seconds)
        finally:
            await asyncio.to_thread(node.__exit__, None, None, None)


async def _ask(
    bed: Testbed,
    asked: NodeId,
    node: NodeProcess,
    places: list[bytes],
    seconds: float,
) -> dict[str, float]:
    entropy = SystemEntropy()
    answered = [0, 0]

    async def keep_asking(peer: NodeId, until: float) -> None:
        links = bed.node(peer).relay.links
        while time.monotonic() < until:
            place = places[entropy.below(len(places))]
            nonce = entropy.token(LOOKUP_NONCE_SIZE)
            question = encode(FindValue(place, 0, nonce))
            answer = await links.request(asked, DHT_SERVICE, question, _WITHIN)
            answered[answer is not None] += 1
            # Beyond this a node is not answered (`DhtConfig.requests_per_second`).
            await asyncio.sleep(IN_FLIGHT / 190 * (0.9 + 0.2 * entropy.uniform()))

    async def all_ask(duration: float) -> None:
        until = time.monotonic() + duration
        peers = list(bed.alive) * IN_FLIGHT
        await asyncio.gather(*(keep_asking(peer, until) for peer in peers))

    await all_ask(0.5)  # brings all links up
    answered[:] = [0, 0]
    before, started = await asyncio.to_thread(node.usage), time.monotonic()
    await all_ask(seconds)
    after, ended = await asyncio.to_thread(node.usage), time.monotonic()
    served = after.answered - before.answered
    return {
        "dht_requests_per_s": served / (after.cpu - before.cpu),
        "dht_requests_served_per_s": served / (ended - started),
        "dht_peers": float(len(bed.alive)),
        "dht_unanswered": answered[False] / max(sum(answered), 1),
    }
