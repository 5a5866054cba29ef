"""A call in virtual time in which both sides speak all the time, to see it suffer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from psp.client.calls.calls import EstablishedCall
from psp.ids import NodeId
from psp.sansio import Address
from psp.testing.hub import SimHub
from tests.sim.rig import Town, town

SPEAK_EVERY = 0.02
"""Seconds, as audio frames do."""
WORD = bytes(200)


@dataclass
class Talk:
    """Alice and Bob in a call.

    Attributes:
        place: The network around them.
        caller: Bob's side.
        callee: Alice's side.
        heard: When each of them heard something.
    """

    place: Town
    caller: EstablishedCall
    callee: EstablishedCall
    heard: dict[str, list[float]] = field(default_factory=dict)

    @property
    def is_alive(self) -> bool:
        """Whether neither side has given up."""
        return not any(
            side.session.closed.done() for side in (self.caller, self.callee)
        )

    def path(self, side: EstablishedCall, leg: int = 0) -> list[NodeId]:
        """Return a side's relays of a leg, its guard first."""
        return [node.node_id for node in side.legs.legs[leg].path]

    def both_legs(self) -> list[int]:
        """Return the legs that both sides have."""
        return sorted(self.caller.legs.legs.keys() & self.callee.legs.legs.keys())

    def survivors(self, dead: Collection[NodeId]) -> list[int]:
        """Return the legs that none of these relays stands on."""
        return [
            leg
            for leg in self.both_legs()
            if not {*self.path(self.caller, leg), *self.path(self.callee, leg)}
            & set(dead)
        ]

    def kill(self, nodes: Collection[NodeId]) -> None:
        """Let relays fall silent for ever, without a word."""
        for node in nodes:
            self.place.hub.sky.kill(address_of(self.place, node))

    async def longest_silence(self, seconds: float) -> float:
        """Return the longest time in which either heard nothing, from now on."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(seconds)
        moments = [
            [start, *(time for time in times if time > start), loop.time()]
            for times in self.heard.values()
        ]
        return max(b - a for times in moments for a, b in pairwise(times))


def address_of(place: Town, node_id: NodeId) -> Address:
    """Return where a relay listens."""
    (port,) = (
        relay.config.listen.port
        for relay in place.plan.relays
        if relay.node_id == node_id
    )
    return ("127.0.0.1", port)


async def until(is_true: Callable[[], bool], *, within: float) -> float:
    """Let virtual time pass until something is true; return how much.

    Raises:
        TimeoutError: If it never is.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    while not is_true():
        if loop.time() - start > within:
            raise TimeoutError(f"not within {within} s")
        await asyncio.sleep(0.1)
    return loop.time() - start


@asynccontextmanager
async def talking(
    hub: SimHub, folder: Path, *, seed: int, relays: int = 12
) -> AsyncIterator[Talk]:
    """Let Bob call Alice and both speak until the end; start with two legs."""
    async with town(hub, folder, seed=seed, relays=relays) as place:
        alice, bob = place.clients["alice"], place.clients["bob"]
        await alice.announce(3)
        waiting = asyncio.create_task(alice.accept_call())
        talk = Talk(place, await bob.establish(alice.contact_card), await waiting)
        speaking = [
            asyncio.create_task(_speak(talk, name, side))
            for name, side in (("bob", talk.caller), ("alice", talk.callee))
        ]
        await until(lambda: len(talk.both_legs()) > 1, within=30)
        await asyncio.sleep(2)  # for probes to be answered
        yield talk
        for task in speaking:
            task.cancel()


async def _speak(talk: Talk, name: str, side: EstablishedCall) -> None:
    loop = asyncio.get_running_loop()
    heard = talk.heard.setdefault(name, [])
    side.session.on_datagram(lambda _: heard.append(loop.time()))
    while not side.session.closed.done():
        side.session.send(WORD)
        await asyncio.sleep(SPEAK_EVERY)
