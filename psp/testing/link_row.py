"""Relays in a row that pass on every cell, in virtual time: what links do to a flow.

::

    first -- link 1 --> host 1 -- link 2 --> host 2 … -- link n --> host n

Only links are real here: there are no circuits, so a cell carries nothing but the
number that tells when it was sent.
"""

from collections.abc import Iterable, Iterator

from psp.crypto.keys import SigningKey, link_public
from psp.ids import LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.events import LinkEvent
from psp.link.machine import LinkMachine
from psp.sansio import Address, Train
from psp.testing.entropy import SeededEntropy
from psp.testing.links import NETWORK, START_UNIX_TIME, cell_number, circuit_cell
from psp.testing.machine_network import SimNetwork
from psp.testing.weather import Weather
from psp.units import Monotonic, Seconds
from psp.wire.endpoint import Endpoint

_WARM_UP = Seconds(2.0)


class _Host:
    """A link machine that passes on what comes, or keeps it when it is the last."""

    def __init__(self, links: LinkMachine) -> None:
        self.links = links
        self.onward: LinkId | None = None
        self.arrivals: dict[int, Monotonic] = {}

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> None:
        for batch in self.links.receive(buffer, segment_size, source, now):
            if self.onward is not None:
                self.links.send(self.onward, batch.cells, now)
                continue
            for cell in batch.cells:
                self.arrivals.setdefault(cell_number(cell), now)

    def trains_to_send(self, now: Monotonic) -> list[Train]:
        return self.links.trains_to_send(now)

    def next_event(self) -> LinkEvent | None:
        return self.links.next_event()

    def next_timeout(self) -> Monotonic | None:
        return self.links.next_timeout()

    def handle_timeout(self, now: Monotonic) -> None:
        self.links.handle_timeout(now)


class LinkRow:
    """Links one after the other, all up.

    Attributes:
        net: Their network; change its ``sky.weather`` at any time.
        sent: When each cell was sent, by number.
    """

    def __init__(self, links: int, seed: int | str, *, latency: Seconds) -> None:
        """Bring ``links`` links up, without losses.

        Args:
            links: How many, 1 or more.
            seed: Of everything random.
            latency: Of each link, one way.
        """
        self.net = SimNetwork(Weather(latency=latency), seed)
        self.sent: dict[int, Monotonic] = {}
        self._hosts: list[_Host] = []
        entropy = SeededEntropy(seed)
        keys = [SigningKey.generate(entropy.child(f"key {n}")) for n in range(links)]
        known = {link_public(NodeId(key.public)): NodeId(key.public) for key in keys}
        for number, key in enumerate([None, *keys]):
            machine = LinkMachine(
                LinkConfig(),
                network=NETWORK,
                entropy=entropy.child(f"host {number}"),
                identity=key,
                own_port=443,
                peer_of_static=known.get,
                unix_time=lambda: START_UNIX_TIME + self.net.now,
            )
            host = _Host(machine)
            self._hosts.append(host)
            self.net.add((f"192.0.2.{number}", 443), host, lambda _: None)
        for number, (host, key) in enumerate(
            zip(self._hosts[:-1], keys, strict=True), start=1
        ):
            endpoint = Endpoint(f"192.0.2.{number}", 443)
            host.onward = host.links.open(NodeId(key.public), [endpoint], self.net.now)
        self.net.run_for(_WARM_UP)

    @property
    def arrivals(self) -> dict[int, Monotonic]:
        """When each cell reached the end, by number."""
        return self._hosts[-1].arrivals

    @property
    def machines(self) -> list[LinkMachine]:
        """The hosts' links, in the order of the row; the first one sends."""
        return [host.links for host in self._hosts]

    def carry(self, bursts: Iterable[tuple[Seconds, int]], rest: Seconds) -> None:
        """Send cells: each burst is so many at once, and comes so much after the last.

        Args:
            bursts: Wait and number of cells, by turns.
            rest: How long to go on afterwards, for what is still under way.
        """
        first = self._hosts[0]
        assert first.onward is not None  # noqa: S101 - opened above
        for wait, count in bursts:
            self.net.run_for(wait)
            numbers = range(len(self.sent), len(self.sent) + count)
            self.sent.update(dict.fromkeys(numbers, self.net.now))
            cells = [circuit_cell(number) for number in numbers]
            first.links.send(first.onward, cells, self.net.now)
        self.net.run_for(rest)

    def delays(self) -> Iterator[Seconds]:
        """Return how long each cell took that came, in the order they were sent."""
        for number, moment in self.sent.items():
            if (arrival := self.arrivals.get(number)) is not None:
                yield Seconds(arrival - moment)
