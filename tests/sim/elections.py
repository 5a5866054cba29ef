"""A network whose discovery nodes change again and again, while users move and are sought.

Every relay has a registry of its own and learns of a change at a moment of its own, as
relays that follow a chain do. Links take time; circuits are not simulated.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field

from presence.config import PresenceConfig
from presence.service import PresenceService
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.presence_inner import Presence
from psp.testing.clock import WallClock
from psp.testing.entropy import SeededEntropy
from psp.testing.memory_ports import MemoryCircuits, MemoryLinks
from psp.testing.presence import MemoryRegistry, PresenceUser, look_up
from psp.units import Seconds, UnixTime
from psp.wire.lookup import FoundState

NOON = 43_200
"""Seconds after midnight: far from the change of period."""


@dataclass
class Place:
    """One relay: its keys, its view of the registry, its service."""

    identity: SigningKey
    registry: MemoryRegistry
    circuits: MemoryCircuits
    service: PresenceService

    @property
    def node_id(self) -> NodeId:
        """Who it is."""
        return NodeId(self.identity.public)


@dataclass
class Tally:
    """What became of the look-ups.

    Attributes:
        asked: How many were made.
        failed: Of these, by what was wrong.
    """

    asked: int = 0
    failed: Counter[str] = field(default_factory=Counter)


class Republic:
    """Relays that elect new discovery nodes every epoch.

    Their clocks are up to 100 s wrong, each way.

    Attributes:
        places: The relays.
        users: Those who are sought.
        links: Between the relays.
        tally: What the look-ups came to.
        published: How many publications were made.
        unpublished: Of these, stored nowhere.
    """

    def __init__(
        self, seed: int, *, relays: int = 50, seats: int = 8, users: int = 10
    ) -> None:
        self.dice = random.Random(f"republic/{seed}")
        self.seats = seats
        self.links = MemoryLinks()
        self.links.latency = lambda: self.dice.lognormvariate(-3.2, 0.4)
        self.clock = WallClock(asyncio.get_running_loop().time)
        self.clock.jump(Seconds(NOON))
        self.tally = Tally()
        self.published = 0
        self.unpublished = 0
        entropy = SeededEntropy(seed)
        keys = [SigningKey.generate(entropy) for _ in range(relays)]
        self._ids = [NodeId(key.public) for key in keys]
        self.elected = self._ids[:seats]
        self._waiting = self._ids[seats:] + self.elected
        self.users = [PresenceUser(entropy) for _ in range(users)]
        self.places = [self._settle(key) for key in keys]
        self._floors: dict[int, int] = {}
        self._turns: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def _settle(self, key: SigningKey) -> Place:
        skew = self.dice.uniform(-100, 100)
        registry = MemoryRegistry(self._ids, self.elected)
        registry.users = {user.user_id for user in self.users}
        circuits = MemoryCircuits()
        service = PresenceService(
            PresenceConfig(),
            identity=key,
            registry=registry,
            circuits=circuits,
            links=self.links.port(NodeId(key.public)),
            unix_time=lambda: self.clock() + skew,
        )
        service.start()
        return Place(key, registry, circuits, service)

    @property
    def alive(self) -> list[Place]:
        """Relays that can be reached."""
        dead = self.links.dead
        return [place for place in self.places if place.node_id not in dead]

    def place(self, node_id: NodeId) -> Place:
        """Return the relay of this id."""
        return next(place for place in self.places if place.node_id == node_id)

    async def close(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for place in self.places:
            await place.service.close()

    def elect(
        self,
        *,
        learnt_within: float,
        dying: int = 0,
        staying: int = 0,
        seats: int | None = None,
        deaf: Collection[NodeId] = (),
    ) -> None:
        """Put a new list in force; some nodes of the old one die this very moment.

        Args:
            learnt_within: Seconds in which every relay learns of it, each at random.
            dying: How many retiring nodes fall silent; those of before come back.
            staying: How many of the old list are on the new one.
            seats: How many are elected; as many as at first by default.
            deaf: Relays that do not learn of it.
        """
        before = self.elected
        stay = self.dice.sample(before, staying)
        # Those whose turn is longest ago: nobody has records from an earlier turn.
        free = [node for node in self._waiting if node not in before]
        self.elected = stay + free[: (seats or self.seats) - staying]
        self._waiting = [node for node in self._waiting if node not in self.elected]
        self._waiting += self.elected
        gone = [node for node in before if node not in stay]
        self.links.dead.clear()
        self.links.dead.update(self.dice.sample(gone, dying))
        since = UnixTime(int(self.clock()))
        for place in self.places:
            if place.node_id not in deaf:
                self._spawn(
                    self._learn(place, list(self.elected), since, learnt_within)
                )

    async def _learn(
        self, place: Place, elected: Collection[NodeId], since: UnixTime, within: float
    ) -> None:
        await asyncio.sleep(self.dice.uniform(0, within))
        place.registry.elect(elected, since)

    async def announce_all(self) -> None:
        """Let every user appear."""
        for number in range(len(self.users)):
            await self.announce(number)

    async def settle_down(self) -> None:
        """Let every user appear, and live for five seconds before any election."""
        await self.announce_all()
        await self.live(5, seeks=1.5, announcements=0.1)

    async def messages_per_look_up(self) -> float:
        """Return how many requests a look-up takes now."""
        before = self._find_values()
        for number in range(len(self.users)):
            await self.seek(number)
            await asyncio.sleep(2)
        return (self._find_values() - before) / len(self.users)

    def _find_values(self) -> int:
        counts = [place.service.stats.dht_requests for place in self.places]
        return sum(count["FindValue"] for count in counts)

    async def announce(self, number: int, place: Place | None = None) -> None:
        """Let one user appear at some relay, in place of whatever was announced."""
        place = place or self.dice.choice(self.alive)
        circuit = place.circuits.open()
        user = self.users[number]
        stored = await user.appear(circuit, place.node_id, self.clock())
        circuit.close()
        self.published += 1
        self.unpublished += not stored
        self._floors[number] = user.sequence

    async def seek(self, number: int) -> None:
        """Look one user up; anything but the newest record is a failure."""
        floor = self._floors[number]
        self._turns[number] += 1
        # Every gateway is as good as the others.
        gateway = self.alive[(7 * self._turns[number] + number) % len(self.alive)]
        circuit = gateway.circuits.open()
        user = self.users[number]
        found, states = await look_up(
            [circuit], user.credential, gateway.registry, self.clock()
        )
        circuit.close()
        self.tally.asked += 1
        if problem := _problem(found, states, floor):
            self.tally.failed[problem] += 1

    async def live(self, seconds: float, *, seeks: float, announcements: float) -> None:
        """Let users be sought and announced, so many a second, for some time.

        Half of the users are announced now and then; the records of the others stay as
        they are, and must be brought from one set of discovery nodes to the next.
        """
        end = asyncio.get_running_loop().time() + seconds
        users = range(len(self.users))
        await asyncio.gather(
            self._repeat(self.seek, users, seeks, end),
            self._repeat(self.announce, users[::2], announcements, end),
        )

    async def _repeat(
        self,
        act: Callable[[int], Coroutine[None, None, None]],
        users: Sequence[int],
        rate: float,
        end: float,
    ) -> None:
        acts = []
        while (now := asyncio.get_running_loop().time()) < end:
            acts.append(asyncio.create_task(act(self.dice.choice(users))))
            await asyncio.sleep(min(self.dice.expovariate(rate), end - now))
        await asyncio.gather(*acts)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _problem(found: list[Presence], states: list[FoundState], floor: int) -> str:
    if found and found[0].head.sequence >= floor:
        return ""
    return "older" if found else states[0].name.lower()
