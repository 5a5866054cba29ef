"""The network that presence is measured on, and users whose records lie in it.

32 discovery nodes and a few other relays on loopback, in this process. Users of trials
are not clients: their records are made here and published by relays as presence points
do, so that a few thousand cost seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.testbed.network import Testbed, open_testbed
from presence.record_store import HeldRecord
from psp.client.api import Client
from psp.client.identities.identity import ClientIdentity
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.ids import NodeId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_inner import ONLINE_LIFETIME, Place, seal
from psp.netdoc.presence_record import RecordHead, parse, periods_of
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy
from psp.units import UnixTime

DISCOVERY_NODES = 32
OTHER_RELAYS = 8
"""Carry circuits only: a network of nothing but discovery nodes is none."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A user to be looked up, and what the answer must be.

    Attributes:
        card: What a contact has.
        sequence: Of the newest record.
    """

    card: ContactCard
    sequence: int


class Publisher:
    """Makes users and puts their records where they belong."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._entropy = SystemEntropy()
        self._keys: dict[NodeId, SigningKey] = {}
        for relay in bed.plan.relays:
            seed = keyfiles.load_seed(relay.config.keys.identity)
            self._keys[relay.node_id] = SigningKey.from_seed(seed)
        self._turn = 0

    def new_user(self) -> ClientIdentity:
        """Return a user whom only contacts find."""
        return ClientIdentity.generate(self._entropy)

    async def publish(
        self, user: ClientIdentity, sequence: int
    ) -> list[tuple[bytes, HeldRecord]]:
        """Publish a record of slot 0 through some relay; return it, by location."""
        alive = list(self._bed.alive)
        node_id = alive[self._turn % len(alive)]
        self._turn += 1
        node = self._bed.node(node_id)
        registry = node.registry
        now = self._bed.unix_time()
        published = []
        for period in periods_of(now, ONLINE_LIFETIME):
            if registry.random_value(period) is None:
                continue
            raw = self._record(user, node_id, period, sequence)
            outer = parse(
                raw,
                network=registry.network,
                random_value=registry.random_value,
                unix_now=now,
            )
            publication = node.presence.dht.publish(outer.location, raw)
            await publication.crawl
            held = HeldRecord(raw, node_id, None)
            published.append((outer.location, held))
        return published

    def expected(self, user: ClientIdentity, sequence: int) -> Expected:
        """Return what a look-up of this user must find."""
        return Expected(user.contact_card(self._bed.network), sequence)

    def _record(
        self, user: ClientIdentity, node_id: NodeId, period: int, sequence: int
    ) -> bytes:
        network = self._bed.network
        record = self._bed.node(node_id).registry.node(node_id)
        endpoints = record.endpoints if record is not None else ()
        day = user.day_key(network, period, self._entropy)
        issued = UnixTime(int(self._bed.unix_time()))
        head = RecordHead.under(day, 0, sequence, issued, ONLINE_LIFETIME).encode()
        contact = x25519_public(x25519_generate(self._entropy))
        place = Place(node_id, contact, self._entropy.token(16), endpoints)
        consent = self._keys[node_id].sign(place.consent_text(network, head))
        return seal(
            head,
            place,
            consent,
            day=day,
            credential=user.credential,
            network=network,
            entropy=self._entropy,
        )


@asynccontextmanager
async def open_bed(
    folder: Path,
    *,
    users: Sequence[str] = (),
    discovery: int = DISCOVERY_NODES,
    others: int = OTHER_RELAYS,
    starts: Callable[[int], bool] = lambda _: True,
) -> AsyncIterator[Testbed]:
    """Run the network for as long as the block lasts.

    Args:
        folder: For all files; empty.
        users: Names of users to register.
        discovery: Discovery nodes.
        others: Further relays.
        starts: Tells by number, discovery nodes first, who is to be started.
    """
    async with open_testbed(
        folder,
        relays=discovery + others,
        discovery=discovery,
        users=users,
        entropy=lambda _: SystemEntropy(),
        starts=starts,
    ) as bed:
        yield bed


async def publish_versions(
    bed: Testbed,
    publisher: Publisher,
    count: int,
    *,
    between: Callable[[], object] | None = None,
) -> list[Expected]:
    """Publish an old and a new record for each of so many new users.

    Args:
        bed: The network; its league learns all old records.
        publisher: Makes them.
        count: Users.
        between: Called after the old ones and before the new ones; may be a coroutine
            function.
    """
    users = [publisher.new_user() for _ in range(count)]
    first = int(bed.unix_time() * 1_000)
    for group in _groups(users):
        old = await asyncio.gather(*(publisher.publish(u, first) for u in group))
        for location, record in (each for records in old for each in records):
            bed.league.remember(location, [record])
    if between is not None:
        waiting = between()
        if asyncio.iscoroutine(waiting):
            await waiting
    for group in _groups(users):
        await asyncio.gather(*(publisher.publish(u, first + 1) for u in group))
    return [publisher.expected(user, first + 1) for user in users]


def _groups(users: list[ClientIdentity]) -> list[list[ClientIdentity]]:
    return [users[start : start + 16] for start in range(0, len(users), 16)]


@asynccontextmanager
async def stranger(bed: Testbed, number: int) -> AsyncIterator[Client]:
    """Run a client without identity, memory or guards."""
    async with bed.connect(f"reader-{number}", anonymous=True) as client:
        yield client


async def spares_ready(client: Client) -> None:
    """Wait until a client has its circuits for look-ups again."""
    spares = client._parts.spares  # noqa: SLF001 - apps have no use for them
    await spares.wait_until_ready()
