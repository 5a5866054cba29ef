"""What the descriptors of a network cost a client, counted on the real download.

Real descriptors, the real server and the real gathering from three sources, with nothing
between them: each request is answered at once, and the bytes of both are counted. On
the way through a circuit every message takes a packet of 1,232 bytes in each direction,
whatever its size.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from discovery.config import PublisherConfig, ServerConfig
from discovery.descriptor_store import DescriptorStore
from discovery.server import DirectoryServer
from discovery.stats import DiscoveryStats
from psp.client.config import DirectoryConfig
from psp.crypto.keys import SigningKey
from psp.directory.chain.registry import ChainRegistry
from psp.directory.digests import Gathering
from psp.directory.listing import LENGTH_SIZE
from psp.directory.paging import Outcome
from psp.directory.union import MIN_SOURCES, SPARE_ELEMENTS
from psp.entropy import Entropy
from psp.errors import ProtocolError, PspError
from psp.ids import NodeId
from psp.netdoc.descriptor import Descriptor, Role
from psp.runtime.directory_download import gather_descriptors
from psp.units import Monotonic, UnixTime
from psp.wire.directory_page import Fetch
from psp.wire.network import Network
from psp.wire.packet import PACKET_SIZE

DAY = 86_400
_START = UnixTime(1_790_000_000)
_FAMILY = 16
_IN_FAMILIES = 4
"""Every so many relays belong to a family."""


class TrafficError(PspError):
    """A download did not bring what it should: no figure would mean anything."""


@dataclass(slots=True)
class Traffic:
    """Messages of one look at the directory.

    Attributes:
        requests: How many, each answered.
        message_bytes: Of requests and answers together.
    """

    requests: int = 0
    message_bytes: int = 0

    @property
    def packet_bytes(self) -> int:
        """Of the packets that carry them to and from the guard."""
        return 2 * PACKET_SIZE * self.requests


@dataclass(frozen=True, slots=True)
class DescriptorTraffic:
    """What a client's directory costs.

    Attributes:
        first: The first look, with nothing held.
        later: A look after `interval`, with all descriptors held; those that relays
            have renewed meanwhile are fetched.
        interval: Seconds between two looks, as clients choose it for this network.
    """

    first: Traffic
    later: Traffic
    interval: float

    @property
    def looks(self) -> float:
        """How many a day."""
        return DAY / self.interval


def measure(nodes: int, network: Network, entropy: Entropy) -> DescriptorTraffic:
    """Download a directory of ``nodes`` relays twice.

    Raises:
        TrafficError: If it does not arrive whole.
    """
    keys = [SigningKey.generate(entropy) for _ in range(nodes)]
    source = _Source(network, [NodeId(key.public) for key in keys])
    old = [_descriptor(network, i, key, _START) for i, key in enumerate(keys)]
    source.take(old)
    first = asyncio.run(_look(source, []))
    listing = sum(LENGTH_SIZE + len(element) for element in old)
    interval = DirectoryConfig().interval(nodes, listing)
    renewed = round(nodes * min(1.0, interval / PublisherConfig().renew_every))
    later = UnixTime(_START + 1)
    changed = [_descriptor(network, i, keys[i], later) for i in range(renewed)]
    source.take(changed)
    return DescriptorTraffic(first, asyncio.run(_look(source, old)), interval)


@dataclass(slots=True)
class _Source:
    """The server that all three sources are: they have the same descriptors."""

    network: Network
    members: Sequence[NodeId]
    now: Monotonic = Monotonic(0.0)
    store: DescriptorStore = field(init=False)
    server: DirectoryServer = field(init=False)

    def __post_init__(self) -> None:
        config = ServerConfig()
        self.store = DescriptorStore(config, self.network)
        self.store.retain(self.members)
        self.server = DirectoryServer(
            config,
            own_id=self.members[0],
            registry=ChainRegistry(self.network),
            store=self.store,
            registry_file=lambda: None,
            stats=DiscoveryStats(),
        )

    def take(self, elements: Sequence[bytes]) -> None:
        """Store descriptors; the next snapshot has them."""
        for element in elements:
            self.store.offer(element, _START)
        self.now = Monotonic(self.now + ServerConfig().snapshot_every)

    async def ask(self, source: int, traffic: Traffic, fetch: Fetch) -> bytes | None:
        """Answer one request and count it."""
        request = fetch.encode()
        try:
            answer = self.server.fetch(source, request, self.now)
        except ProtocolError:
            return None
        traffic.requests += 1
        traffic.message_bytes += len(request) + len(answer)
        return answer


async def _look(source: _Source, held: Sequence[bytes]) -> Traffic:
    traffic = Traffic()
    gathering = Gathering()
    gathering.hold(held)
    asks = {
        node_id: partial(source.ask, number, traffic)
        for number, node_id in enumerate(source.members[:MIN_SOURCES])
    }
    limit = len(source.members) + SPARE_ELEMENTS
    outcomes = await gather_descriptors(gathering, asks, limit)
    whole = set(source.store.elements())
    if set(outcomes.values()) != {Outcome.COMPLETE} or any(
        set(gathering.known(node_id)) != whole for node_id in asks
    ):
        raise TrafficError(f"a directory of {len(whole)} relays did not arrive whole")
    return traffic


def _descriptor(
    network: Network, index: int, key: SigningKey, issued: UnixTime
) -> bytes:
    families = (key.public[:_FAMILY],) if index % _IN_FAMILIES == 0 else ()
    descriptor = Descriptor(
        NodeId(key.public),
        sequence=issued,
        issued=issued,
        life=int(PublisherConfig().life),
        roles=Role.PRESENCE | Role.RENDEZVOUS,
        load=key.public[0],
        families=families,
    )
    return descriptor.signed(network, key).encode()
