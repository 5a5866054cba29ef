"""What hops have to say, and what the end of a circuit means to everything else.

Called once per train or timer: a circuit is settled when its hop has neither events nor
cells left. Ending a circuit may end its partner, which may touch others; `settle` goes on
until nothing is left, and uses nothing after a call that may have closed it.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice

from psp.circuit.events import (
    ExtendRequested,
    HopClosed,
    HopEvent,
    RequestAnswered,
    RequestFailed,
    RequestReceived,
    TruncateRequested,
)
from psp.timers import Deadlines
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from relay.circuit_table import CircuitTable, RelayCircuit
from relay.circuits import Circuits
from relay.config import RelayConfig
from relay.congestion import Congestion
from relay.events import CircuitClosed, RelayEvent
from relay.extending import Extending
from relay.forwarding import Forwarding
from relay.link_keeper import LinkKeeper
from relay.policy import victims
from relay.rendezvous_point import RendezvousPoint
from relay.requests import Requests
from relay.scheduler import Scheduler
from relay.stats import RelayStats

_TELL_INTERVAL = Seconds(0.02)
"""Between looks at who sends too much; a mark lives longer (`congestion.MARKED_FOR`)."""

_MAX_WARNINGS = 32
"""Of these at a time, the others later: reports must not be a flood of their own."""


class Upkeep:
    """Settles touched circuits, buries ended ones, and wakes the others in time."""

    def __init__(
        self,
        *,
        config: RelayConfig,
        table: CircuitTable,
        circuits: Circuits,
        extending: Extending,
        forwarding: Forwarding,
        scheduler: Scheduler,
        congestion: Congestion,
        rendezvous: RendezvousPoint,
        requests: Requests,
        keeper: LinkKeeper,
        events: deque[RelayEvent],
        stats: RelayStats,
    ) -> None:
        self._config = config
        self._table = table
        self._circuits = circuits
        self._extending = extending
        self._forwarding = forwarding
        self._scheduler = scheduler
        self._congestion = congestion
        self._rendezvous = rendezvous
        self._requests = requests
        self._keeper = keeper
        self._events = events
        self._stats = stats
        self._deadlines: Deadlines[int] = Deadlines()
        self._tell = Monotonic(0.0)

    def opened(self, circuit: RelayCircuit, now: Monotonic) -> None:
        """Take in a new circuit."""
        self._deadlines.set(circuit.key, circuit.hop.next_timeout() or now)

    def settle(self, now: Monotonic) -> None:
        """Handle what hops have to say until nothing is left, and bury the dead."""
        touched = self._forwarding.touched
        while touched or self._circuits.ended:
            while self._circuits.ended:
                circuit, reason, following = self._circuits.ended.pop()
                self._bury(circuit, reason, now)
                self._keeper.touch(circuit.previous, now)
                self._keeper.touch(following, now)
            if touched:
                _, circuit = touched.popitem()
                self._hear(circuit, now)

    def kill_hogs(self, is_relieved: Callable[[], bool], now: Monotonic) -> None:
        """Close the worst circuits until memory is relieved (R-RES-3)."""
        waiting = self._scheduler.waiting_circuits()
        for key in victims(waiting, self._table.by_link()):
            if is_relieved():
                return
            circuit = self._table.by_key(key)
            if circuit is not None:
                self._stats.hogs_killed += 1
                self._circuits.close(circuit, Reason.RESOURCE_LIMIT, now)
                self.settle(now)

    def tell_origins(self, now: Monotonic) -> None:
        """Warn origins whose circuits want more than this relay can do for them.

        The marks of `relay.congestion` do not reach whom no cells go to.
        """
        warned, late = self._congestion.warned, self._scheduler.late
        if not (warned or late) or now < self._tell:
            return
        self._tell = Monotonic(now + _TELL_INTERVAL)
        for key in late:
            circuit = self._table.by_key(key)
            if circuit is not None:
                self._congestion.note_over(circuit, now)
        late.clear()
        for key in list(islice(warned, _MAX_WARNINGS)):
            circuit = warned.pop(key)
            circuit.hop.warn(now)
            self._forwarding.touched[key] = circuit

    def next_timeout(self) -> Monotonic | None:
        """Return when to call ``handle_timeout``."""
        return self._deadlines.next()

    def handle_timeout(self, now: Monotonic) -> None:
        """Wake circuits that are due; close those that are idle for too long."""
        for key in self._deadlines.pop_expired(now):
            self._wake(key, now)

    def audit(self) -> bool:
        """Whether every circuit will be woken, and nothing else."""
        keys = [circuit.key for circuit in self._table]
        timed = all(key in self._deadlines for key in keys)
        return timed and len(self._deadlines) == len(keys)

    def _hear(self, circuit: RelayCircuit, now: Monotonic) -> None:
        hop = circuit.hop
        while (event := hop.next_event()) is not None:
            self._act(circuit, event, now)
        if self._table.by_key(circuit.key) is None:
            return
        if cells := hop.cells_to_send(now):
            self._forwarding.send(circuit.previous, cells)
        due = hop.next_timeout()
        if due is not None:
            self._deadlines.set(circuit.key, due)

    def _act(self, circuit: RelayCircuit, event: HopEvent, now: Monotonic) -> None:
        match event:
            case ExtendRequested():
                self._extending.begin(circuit, event, now)
            case TruncateRequested():
                following = circuit.next
                self._circuits.truncate(circuit, now)
                self._keeper.touch(following, now)
            case HopClosed(reason=reason):
                self._circuits.close(circuit, reason, now)
            case RequestReceived():
                partner = self._requests.receive(circuit, event, now)
                if partner is not None:
                    self._forwarding.touched[partner.key] = partner
            case RequestAnswered() | RequestFailed():
                self._requests.answered(circuit, event)

    def _bury(self, circuit: RelayCircuit, reason: Reason, now: Monotonic) -> None:
        """Do what the end of a circuit means to everything but circuits."""
        self._deadlines.cancel(circuit.key)
        self._scheduler.forget(circuit.key)
        self._congestion.forget(circuit)
        self._requests.circuit_closed(circuit.key)
        partner_key = self._rendezvous.circuit_closed(circuit.key, now)
        partner = None if partner_key is None else self._table.by_key(partner_key)
        if partner is not None:
            partner.partner = None
            self._circuits.close(partner, reason, now)
        circuit.partner = None
        self._stats.circuits_closed[reason] += 1
        self._events.append(
            CircuitClosed(
                circuit.key,
                reason,
                Seconds(now - circuit.created),
                circuit.hop.hop,
                circuit.cells_forward,
                circuit.cells_backward,
                circuit.hop.opening.bad_tag,
                circuit.was_joined,
            )
        )

    def _wake(self, key: int, now: Monotonic) -> None:
        circuit = self._table.by_key(key)
        if circuit is None:
            return
        config = self._config
        limit = config.idle_granted if circuit.granted else config.idle_circuit
        if circuit.quiet_for(now) >= limit:
            self._circuits.close(circuit, Reason.TIMEOUT, now)
            return
        circuit.hop.handle_timeout(now)
        self._forwarding.touched[key] = circuit
