"""Whole circuits in memory: real origins and real hops, without links.

Relays here (`psp.testing.circuit_relay`) only pass cells. Every cell on its way is shown to a *fate*, which says when it arrives, how often, and changed or
not; so a test can lose, double, delay, reorder or corrupt any cell of a build.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from psp.circuit.config import CircuitConfig
from psp.circuit.origin import HopSpec, OriginCircuit
from psp.ids import CircuitId, NodeId
from psp.testing.circuit_relay import RigRelay
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic, Seconds
from psp.wire.endpoint import Endpoint

if TYPE_CHECKING:
    from psp.circuit.events import OriginEvent

LATENCY = Seconds(0.02)
"""Of one link, one way."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A cell about to cross a link.

    Attributes:
        number: How many cells were sent before it, anywhere.
        sender: A relay's number, or a negative one for an origin.
        receiver: Likewise.
        cell: 1,200 bytes.
    """

    number: int
    sender: int
    receiver: int
    cell: bytes


Fate: TypeAlias = Callable[[Passage], Sequence[tuple[float, bytes]]]
"""Delays and bytes of what arrives: none, one, or several."""


def fair(passage: Passage) -> Sequence[tuple[float, bytes]]:
    """Let every cell arrive, once, in order."""
    return [(LATENCY, passage.cell)]


def foul(
    seed: int, *, loss: float = 0.0, double: float = 0.0, jitter: float = 0.0
) -> Fate:
    """Return a fate that loses, doubles and delays by chance, the same each run."""
    dice = random.Random(f"psp.testing.circuits/{seed}")

    def fate(passage: Passage) -> Sequence[tuple[float, bytes]]:
        copies = 2 if dice.random() < double else 1
        return [
            (LATENCY + jitter * dice.random(), passage.cell)
            for _ in range(copies)
            if dice.random() >= loss
        ]

    return fate


class CircuitRig:
    """Some relays, some origins, and a clock.

    Attributes:
        now: The time.
        relays: By number.
        origins: Circuits begun by `build`, in order.
        events: What each of them told, in order.
        fate: What becomes of cells from now on.
        cells: How many were sent so far.
    """

    def __init__(self, relays: int, *, seed: int = 0, fate: Fate = fair) -> None:
        self._entropy = SeededEntropy(seed)
        self._queue: list[tuple[float, int, Passage]] = []
        self._last_circuit_id = 0
        self.now = Monotonic(0.0)
        self.fate = fate
        self.cells = 0
        self.relays = [
            RigRelay(self, number, self._entropy.child(f"relay {number}"))
            for number in range(relays)
        ]
        self.origins: list[OriginCircuit] = []
        self.events: list[list[OriginEvent]] = []

    def build(
        self, path: Sequence[int], config: CircuitConfig | None = None
    ) -> OriginCircuit:
        """Begin a circuit over the relays of these numbers."""
        return self.build_path([self.relays[number].spec for number in path], config)

    def build_path(
        self, path: Sequence[HopSpec], config: CircuitConfig | None = None
    ) -> OriginCircuit:
        """Begin a circuit over any path."""
        circuit = OriginCircuit(
            self.new_circuit_id(),
            path,
            self._entropy.child(f"origin {len(self.origins)}"),
            config or CircuitConfig(),
            self.now,
        )
        self.origins.append(circuit)
        self.events.append([])
        self.flush()
        return circuit

    def built(self, hops: int) -> OriginCircuit:
        """Return a finished circuit over relays 0 … hops - 1; forget its events."""
        circuit = self.build(range(hops))
        self.run(Seconds(2.0))
        if not circuit.is_open:
            raise AssertionError("the circuit was not built")
        self.events[-1].clear()
        return circuit

    def run(self, seconds: Seconds) -> None:
        """Let time pass."""
        self.flush()
        end = self.now + seconds
        while (due := self._next_due()) is not None and due <= end:
            self._step(due)
        self.now = Monotonic(end)

    def run_until(self, is_true: Callable[[], bool], within: Seconds) -> bool:
        """Let time pass until something is true; tell whether it ever was."""
        self.flush()
        end = self.now + within
        while not is_true():
            due = self._next_due()
            if due is None or due > end:
                return False
            self._step(due)
        return True

    def send(self, sender: int, receiver: int, cell: bytes) -> None:
        """Put a cell on its way."""
        passage = Passage(self.cells, sender, receiver, cell)
        self.cells += 1
        for serial, (delay, data) in enumerate(self.fate(passage)):
            arrival = Passage(passage.number, sender, receiver, data)
            number = passage.number * 16 + serial
            heapq.heappush(self._queue, (self.now + delay, number, arrival))

    def send_blocks(self, circuit: OriginCircuit, blocks: Sequence[bytes]) -> None:
        """Send session blocks over a circuit."""
        self.send_cells(circuit, circuit.send_blocks(blocks))

    def send_cells(self, circuit: OriginCircuit, cells: Sequence[bytes]) -> None:
        """Send cells of a circuit to its first relay."""
        number = self.origins.index(circuit)
        first = self.find(circuit.path[0].node_id, circuit.path[0].endpoints[0])
        if first is not None:
            for cell in cells:
                self.send(-1 - number, first, cell)

    def flush(self) -> None:
        """Let everybody send and tell."""
        for relay in self.relays:
            relay.flush()
        for number, circuit in enumerate(self.origins):
            self.send_cells(circuit, circuit.cells_to_send(self.now))
            while (event := circuit.next_event()) is not None:
                self.events[number].append(event)

    def find(self, node_id: NodeId, endpoint: Endpoint) -> int | None:
        """Return the relay with this id and endpoint."""
        for number, relay in enumerate(self.relays):
            if relay.spec.node_id == node_id and endpoint in relay.spec.endpoints:
                return number
        return None

    def new_circuit_id(self) -> CircuitId:
        """Return an id not used before."""
        self._last_circuit_id += 1
        return CircuitId(self._last_circuit_id)

    def _next_due(self) -> float | None:
        due: list[float] = [self._queue[0][0]] if self._queue else []
        timeouts = [relay.next_timeout() for relay in self.relays]
        timeouts += [circuit.next_timeout() for circuit in self.origins]
        return min([*due, *(t for t in timeouts if t is not None)], default=None)

    def _step(self, due: float) -> None:
        self.now = Monotonic(max(self.now, due))
        while self._queue and self._queue[0][0] <= self.now:
            _, _, passage = heapq.heappop(self._queue)
            if passage.receiver < 0:
                circuit = self.origins[-1 - passage.receiver]
                circuit.receive([passage.cell], self.now)
            else:
                self.relays[passage.receiver].receive(passage.sender, passage.cell)
        for relay in self.relays:
            relay.handle_timeout()
        self.flush()
