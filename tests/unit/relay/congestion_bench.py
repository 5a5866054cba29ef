"""A congestion and the lanes that it knows, without a relay around them."""

from dataclasses import dataclass, field

from psp.units import Monotonic
from relay.congestion import STEP, Congestion
from relay.stats import RelayStats

START = Monotonic(10.0)


@dataclass(eq=False)
class FakeCircuit:
    key: int
    granted: int = 0
    partner: "FakeCircuit | None" = None


@dataclass(eq=False)
class FakeLane:
    circuit: FakeCircuit
    drops: int = 0

    @property
    def key(self):
        return self.circuit.key

    def count_drop(self):
        self.drops += 1


def head(key):
    return b"%05d" % key


@dataclass
class Bench:
    """A congestion and the lanes it knows, one for each circuit."""

    stats: RelayStats = field(default_factory=RelayStats)
    lanes: dict[bytes, FakeLane] = field(default_factory=dict)
    now: float = START

    def __post_init__(self):
        self.congestion = Congestion(self.stats)

    def circuit(self, key, **attributes):
        circuit = FakeCircuit(key, **attributes)
        self.lanes[head(key)] = FakeLane(circuit)
        return circuit

    def drops(self, key):
        return self.lanes[head(key)].drops

    def admit(self, *keys):
        """Bring one cell for each key; return the keys of plain and of marked ones."""
        cells = [head(key) for key in keys]
        plain, marked = self.congestion.admit(cells, self.lanes.get, self.now)
        return list(map(int, plain)), list(map(int, marked))

    def wait(self, backlog, seconds=STEP * 1.01):
        """Let time pass with so much in the buffer."""
        self.now += seconds
        self.congestion.note_backlog(backlog, self.now)

    def fall_behind(self, *wanted):
        """Fall behind while circuits 0, 1, … bring so many cells."""
        for key in range(len(wanted)):
            self.circuit(key)
        self.wait(0.5)
        self.admit(*[key for key, count in enumerate(wanted) for _ in range(count)])
        self.wait(0.5)
