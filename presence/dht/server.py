"""One node's part in the DHT: member or mere user of it.

Look-ups and publications start at the members that the registry puts nearest to the
location and go on from there by what the answers name. Members answer others; relays
that are not elected only ask.

After an election look-ups ask the retiring members, too, and for a time publications go
to them as well: `presence.dht.tenure` says how long, `presence.dht.handover` brings
what the retiring hold to the elected.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import NoReturn

from kademlia.network import Server
from kademlia.node import Node

from presence.config import DhtConfig
from presence.dht.findings import LookupResult, Reply
from presence.dht.handover import HandOvers
from presence.dht.keeping import RecordKeeper
from presence.dht.lookup import Lookup
from presence.dht.members import Members
from presence.dht.messages import Store, Stored
from presence.dht.protocol import DHT_SERVICE, FAR_FACTOR, PresenceProtocol
from presence.dht.search import Parse, Search
from presence.record_store import RecordStore
from presence.stats import PresenceStats
from psp.crypto.keys import SigningKey
from psp.directory.dht_id import must_retiring_speak
from psp.errors import LocalProtocolError
from psp.netdoc.voice import Question
from psp.runtime.ports import LinkPort
from psp.wire.network import Network


async def _all(
    crawls: Iterable[Coroutine[object, object, LookupResult]],
) -> list[LookupResult]:
    return await asyncio.gather(*crawls)


def _shut(*args: object, **settings: object) -> NoReturn:
    del args, settings
    raise LocalProtocolError("this part of stock kademlia is not used")


@dataclass(frozen=True, slots=True)
class Publication:
    """A record on its way to the nearest members.

    Attributes:
        own: 1 if this node holds it itself, else 0.
        lookups: To read what is known so far; the first leads to the elected members,
            a second one to the retiring ones.
        crawl: Ends when all that are to hold it do.
    """

    own: int
    lookups: tuple[Lookup, ...]
    crawl: "asyncio.Task[list[LookupResult]]"

    @property
    def stored(self) -> int:
        """How many nodes hold the record now."""
        return self.own + sum(each.result().answered for each in self.lookups)


class PresenceDht(Server):  # type: ignore[misc]  # kademlia has no types
    """Looks records up and publishes them; serves them when elected."""

    def __init__(
        self,
        config: DhtConfig,
        *,
        identity: SigningKey,
        network: Network,
        members: Members,
        links: LinkPort,
        records: RecordStore,
        parse: Parse,
        stats: PresenceStats,
        unix_time: Callable[[], float],
        keeper: RecordKeeper | None = None,
    ) -> None:
        """Wire the parts.

        Args:
            config: Parameters.
            identity: Of this node; signs for what it holds.
            network: Which network.
            members: Who is elected.
            links: Carries the messages.
            records: What this node holds for others.
            parse: Checks records at the present time.
            stats: Counted into.
            unix_time: The wall clock.
            keeper: Keeps the records across restarts; None to forget them.
        """
        protocol = PresenceProtocol(
            config,
            identity=identity,
            network=network,
            members=members,
            links=links,
            records=records,
            stats=stats,
            unix_time=unix_time,
        )
        super().__init__(
            config.bucket_size, config.parallelism, members.own_id, protocol.storage
        )
        self.protocol = protocol
        self._config = config
        self._network = network
        self._members = members
        self._links = links
        self._records = records
        self._parse = parse
        self._stats = stats
        self._unix_time = unix_time
        self._keeper = keeper
        self._handover = HandOvers(
            config,
            members=members,
            records=records,
            protocol=protocol,
            stats=stats,
            unix_time=unix_time,
        )

    @property
    def is_elected(self) -> bool:
        """Whether this node is elected."""
        return self._members.is_elected

    @property
    def is_retiring(self) -> bool:
        """Whether this node serves although its turn is over."""
        return self._members.is_retiring

    @property
    def to_hand_over(self) -> int:
        """How often a location is still to be offered to a member."""
        return self._handover.size

    @property
    def must_retiring_speak(self) -> bool:
        """Whether nobody can be sure of anything without the retiring members."""
        members = self._members
        return must_retiring_speak(len(members), members.retiring_count)

    def holders(self, location: bytes) -> frozenset[bytes]:
        """Return the DHT ids of those that are to hold what lies at a location."""
        return self._members.holders(location)

    def is_heard(self, result: LookupResult) -> bool:
        """Tell whether enough members answered to say that there is no record.

        Our own store is one voice; in a small network all voices are enough; doubted
        members have none. After an
        election the retiring members must say so, too, unless most members have
        stayed; and theirs is enough while publications go to them as well, as many of
        the elected may not know that they are.
        """
        members, quorum = self._members, self._config.quorum
        voices = result.answered - result.retiring + members.is_elected - result.doubted
        is_heard = voices >= min(quorum, len(members)) > 0
        if not self.must_retiring_speak:
            return is_heard
        voices = result.retiring + members.is_retiring - result.doubted_retiring
        is_heard |= members.is_settling
        return is_heard and voices >= min(quorum, members.retiring_count)

    def start(self) -> None:
        """Serve other nodes, and keep the table in step with the registry."""
        self._links.serve(DHT_SERVICE, self.protocol.answer)
        _ = self.protocol.spawn(self._keep_in_step())
        _ = self.protocol.spawn(self._handover.run())
        if self._keeper is not None:
            is_serving = self._members.is_serving
            _ = self.protocol.spawn(self._keeper.run(is_serving=is_serving))

    async def close(self) -> None:
        """End everything under way; what is held goes to the disk."""
        await self.protocol.close()
        if self._keeper is not None:
            await self._keeper.save()

    def search(self, location: bytes, nonce: bytes) -> Search:
        """Begin to look for records; our own store is one voice, never a short cut."""
        return Search(
            Question(self._network, location, nonce),
            config=self._config,
            protocol=self.protocol,
            members=self._members,
            parse=self._parse,
            unix_time=self._unix_time,
        )

    def publish(self, location: bytes, record: bytes) -> "Publication":
        """Begin to store a record on the r nearest members.

        A member that refuses or is silent is replaced by the next nearest.
        """
        members, replicas = self._members, self._config.replicas
        stored = 0
        if members.is_among_nearest(location, replicas):
            now = self._unix_time()
            refusal = self._records.put(location, record, members.own, now)
            self._stats.stores[refusal or "stored"] += 1
            stored = 0 if refusal else 1
        width = FAR_FACTOR * replicas
        nearest = members.nearest(location, width)
        lookups = [self._storing(location, record, nearest, replicas - stored)]
        if members.is_settling and members.retiring_count:
            # For those who do not know the new list yet, readers and elected alike.
            nearest = members.nearest_retiring(location, width)
            lookups.append(self._storing(location, record, nearest, replicas))
        crawl = self.protocol.spawn(_all(each.find() for each in lookups))
        return Publication(stored, tuple(lookups), crawl)

    def _storing(
        self, location: bytes, record: bytes, nearest: list[Node], wanted: int
    ) -> Lookup:
        """Return a crawl that stores a record on as many members as are wanted."""

        async def ask(contact: Node) -> Reply | None:
            answer = await self.protocol.request(contact, Store(location, record))
            is_stored = isinstance(answer, Stored) and not answer.refusal
            return Reply() if is_stored else None

        wanted = max(wanted, 1)
        config = replace(self._config, replicas=wanted, parallelism=wanted)
        return Lookup(
            self.protocol,
            Node(location),
            nearest,
            config=config,
            ask=ask,
            is_doubted=self.protocol.is_doubted,
        )

    async def _keep_in_step(self) -> None:
        while True:
            self.protocol.sync()
            await asyncio.sleep(self._config.sync_interval)
            for _ in self._records.sweep_in_portions(self._unix_time()):
                await asyncio.sleep(0)

    # Stock doors that lead past the rules above: get() takes the first value that
    # anybody gives, set() stores anything, the state is a pickle, listen() opens a
    # socket and bootstrap() believes addresses.
    listen = get = set = set_digest = bootstrap = bootstrap_node = _shut
    save_state = save_state_regularly = load_state = refresh_table = _shut
