"""A client of few words: one link machine, some circuits, everything recorded.

For tests of relays: real links and real origins, without guards, pools or sessions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from psp.circuit.config import CircuitConfig
from psp.circuit.events import (
    BlocksReceived,
    CircuitClosed,
    NoticeReceived,
    OriginEvent,
    RequestAnswered,
    RequestFailed,
)
from psp.circuit.origin import HopSpec, OriginCircuit
from psp.ids import CircuitId, LinkId
from psp.link.config import LinkConfig
from psp.link.events import LinkClosed
from psp.link.machine import LinkMachine
from psp.sansio import Address, Train
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic
from psp.wire.cell import HEADER, Reason
from psp.wire.network import Network
from psp.wire.onion import Kind
from psp.wire.relay_message import RelayCommand

UNIX_TIME = 1_800_000_000.0
"""When tests take place, if nobody says otherwise."""

Answer: TypeAlias = RequestAnswered | RequestFailed


@dataclass(slots=True)
class RecordedCircuit:
    """One circuit of the client, and what happened on it.

    Attributes:
        origin: The machine.
        link: To the first relay.
        events: All but blocks, oldest first.
        blocks: Session blocks received.
    """

    origin: OriginCircuit
    link: LinkId
    events: list[OriginEvent] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)

    @property
    def closed(self) -> CircuitClosed | None:
        """How it ended, if it did."""
        for event in self.events:
            if isinstance(event, CircuitClosed):
                return event
        return None

    @property
    def notices(self) -> list[RelayCommand]:
        """What hops told unasked."""
        return [e.command for e in self.events if isinstance(e, NoticeReceived)]

    def outcome(self, stream_id: int) -> Answer | None:
        """What became of a request, so far."""
        for event in self.events:
            if (
                isinstance(event, RequestAnswered | RequestFailed)
                and event.stream_id == stream_id
            ):
                return event
        return None


class OriginClient:
    """A `psp.sansio.Machine` that does as it is told.

    Attributes:
        links: Its links.
        circuits: In the order of `open`.
        strays: Cells received for no circuit of ours.
    """

    def __init__(
        self, network: Network, seed: int | str, config: LinkConfig | None = None
    ) -> None:
        self._entropy = SeededEntropy(f"client/{seed}")
        self.links = LinkMachine(
            config or LinkConfig(),
            network=network,
            entropy=self._entropy.child("links"),
            identity=None,
            own_port=0,
            peer_of_static=lambda _: None,
            unix_time=lambda: UNIX_TIME,
        )
        self.circuits: list[RecordedCircuit] = []
        self.strays: list[bytes] = []
        self._by_id: dict[tuple[LinkId, int], RecordedCircuit] = {}

    def open(
        self,
        path: Sequence[HopSpec],
        now: Monotonic,
        *,
        circuit_id: CircuitId | None = None,
        config: CircuitConfig | None = None,
    ) -> RecordedCircuit:
        """Begin a circuit; the id may be chosen, even against the rules."""
        first = path[0]
        link = self.links.open(first.node_id, first.endpoints, now)
        if circuit_id is None:
            number = int.from_bytes(self._entropy.token(4)) & ~1
            circuit_id = CircuitId(number or 2)
        origin = OriginCircuit(
            circuit_id, path, self._entropy, config or CircuitConfig(), now
        )
        circuit = RecordedCircuit(origin, link)
        self.circuits.append(circuit)
        self._by_id[link, circuit_id] = circuit
        return circuit

    def send_blocks(
        self,
        circuit: RecordedCircuit,
        blocks: Sequence[bytes],
        now: Monotonic,
        flags: Kind = Kind.PASS,
    ) -> None:
        """Send session blocks."""
        self.send_cells(circuit, circuit.origin.send_blocks(list(blocks), flags), now)

    def send_cells(
        self, circuit: RecordedCircuit, cells: Sequence[bytes], now: Monotonic
    ) -> None:
        """Send any cells over a circuit's link."""
        self.links.send(circuit.link, list(cells), now)

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> None:
        """Take in a train."""
        for link, cells in self.links.receive(buffer, segment_size, source, now):
            for cell in cells:
                number, _ = HEADER.unpack_from(cell)
                circuit = self._by_id.get((link, number))
                if circuit is None:
                    self.strays.append(cell)
                else:
                    circuit.origin.receive([cell], now)

    def trains_to_send(self, now: Monotonic) -> list[Train]:
        """Return what is due."""
        while (event := self.links.next_event()) is not None:
            if isinstance(event, LinkClosed):
                for circuit in self.circuits:
                    if circuit.link == event.link:
                        circuit.origin.destroy(Reason.LINK_CLOSED)
        for circuit in self.circuits:
            if cells := circuit.origin.cells_to_send(now):
                self.links.send(circuit.link, cells, now)
            while (told := circuit.origin.next_event()) is not None:
                if isinstance(told, BlocksReceived):
                    circuit.blocks += told.blocks
                else:
                    circuit.events.append(told)
        return self.links.trains_to_send(now)

    def next_event(self) -> None:
        """Nothing is told: see `circuits`."""

    def next_timeout(self) -> Monotonic | None:
        """Return the earliest deadline."""
        due = [self.links.next_timeout()]
        due += [circuit.origin.next_timeout() for circuit in self.circuits]
        return min((time for time in due if time is not None), default=None)

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on deadlines."""
        self.links.handle_timeout(now)
        for circuit in self.circuits:
            circuit.origin.handle_timeout(now)
