"""Circuits that are being extended: from EXTEND to CREATED, or to a refusal.

A circuit is extended only to where the registry says the node is, never to ourselves
and never back to where it came from: no reflection, no port scan, no loops of two.
A CREATE that goes unanswered is repeated by us (`psp.circuit.create.Creation`), so that a
handshake with a far hop does not have to cross every link at once.

Bounds: each extension belongs to one circuit, and counts as one on the link it needs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from psp.circuit.create import Creation
from psp.circuit.events import ExtendRequested
from psp.errors import RemoteProtocolError
from psp.ids import CircuitId, LinkId, NodeId
from psp.link.machine import LinkMachine
from psp.timers import Deadlines
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint, by_worker
from relay.circuit_table import CircuitTable, RelayCircuit, destroy_cell
from relay.forwarding import Forwarding
from relay.link_ends import LinkEnds
from relay.stats import RelayStats


class KnownNode(Protocol):
    """What the registry says of a node, as far as a relay needs it."""

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Where it may be reached; nowhere else is it looked for."""
        ...


NodeLookup = Callable[[NodeId], KnownNode | None]
"""The registry: an active node's record, or None."""

_Key = tuple[LinkId, CircuitId]


@dataclass(slots=True)
class _Extension:
    circuit: RelayCircuit
    stream_id: int
    creation: Creation


class _InUse:
    """The circuit ids of one link, as a container."""

    __slots__ = ("_extending", "_link")

    def __init__(self, extending: "Extending", link: LinkId) -> None:
        self._extending = extending
        self._link = link

    def __contains__(self, circuit_id: object) -> bool:
        return isinstance(circuit_id, int) and self._extending.is_known(
            self._link, CircuitId(circuit_id)
        )


class Extending:
    """All extensions under way at one relay."""

    def __init__(
        self,
        links: LinkMachine,
        ends: LinkEnds,
        table: CircuitTable,
        forwarding: Forwarding,
        stats: RelayStats,
        *,
        node_id: NodeId,
        node: NodeLookup,
    ) -> None:
        self._links = links
        self._ends = ends
        self._table = table
        self._forwarding = forwarding
        self._stats = stats
        self._node_id = node_id
        self._node = node
        self._extensions: dict[_Key, _Extension] = {}
        self._of_circuit: dict[int, _Key] = {}
        self._deadlines: Deadlines[_Key] = Deadlines()

    def is_known(self, link: LinkId, circuit_id: CircuitId) -> bool:
        """Whether an id is that of a circuit on a link, or will be."""
        if (link, circuit_id) in self._extensions:
            return True
        return self._table.lane(link, circuit_id) is not None

    def count_on(self, link: LinkId) -> int:
        """Return how many circuits use a link, those being extended included."""
        extending = sum(key[0] == link for key in self._extensions)
        return self._table.circuits_on(link) + extending

    def begin(
        self, circuit: RelayCircuit, event: ExtendRequested, now: Monotonic
    ) -> None:
        """Begin to extend a circuit, or refuse."""
        reason = self._why_not(circuit, event)
        link = end = None
        if reason is None:
            link = self._open(event, now)
            end = self._ends.of(link, now)
            if end is not None and self.count_on(link) >= end.limit:
                reason = Reason.RESOURCE_LIMIT
        if reason is not None or link is None or end is None:
            self._refuse(circuit, event.stream_id, reason or Reason.LINK_CLOSED, now)
            return
        circuit_id = end.ids.allocate(_InUse(self, link), now)
        hop = circuit.hop.hop + 1
        creation = Creation(circuit_id, hop, event.client_handshake, now)
        key = (link, circuit_id)
        self._extensions[key] = _Extension(circuit, event.stream_id, creation)
        self._of_circuit[circuit.key] = key
        self._drive(key, now)

    def created(
        self, link: LinkId, circuit_id: CircuitId, body: bytes, now: Monotonic
    ) -> RelayCircuit | None:
        """Take in a CREATED cell; return the circuit if it was extended by it."""
        extension = self._extensions.get((link, circuit_id))
        if extension is None:
            # Repeated answers come late, to circuits long extended.
            if self._table.lane(link, circuit_id) is None:
                self._stats.cells_unknown += 1
            return None
        try:
            reply = extension.creation.receive(body)
        except RemoteProtocolError:
            self._stats.cells_malformed += 1
            return None
        if reply is None:
            return None
        circuit = extension.circuit
        self._forget(circuit)
        self._table.extend(circuit, link, circuit_id, self._forwarding.out(link))
        circuit.hop.extended(extension.stream_id, circuit_id, reply, now)
        self._stats.circuits_extended += 1
        return circuit

    def destroyed(
        self, link: LinkId, circuit_id: CircuitId, reason: Reason, now: Monotonic
    ) -> bool:
        """Take in a DESTROY cell; return whether it was for an extension."""
        extension = self._extensions.get((link, circuit_id))
        if extension is None:
            return False
        self.end(extension.circuit, reason, now, tell_next=False)
        return True

    def end(
        self, circuit: RelayCircuit, reason: Reason, now: Monotonic, *, tell_next: bool
    ) -> None:
        """Give up extending a circuit, if that is what it is doing."""
        key = self._of_circuit.get(circuit.key)
        extension = self._forget(circuit)
        if key is None or extension is None:
            return
        link, circuit_id = key
        self._ends.release(link, circuit_id, now)
        if tell_next:
            self._forwarding.send(link, (destroy_cell(circuit_id, reason),))
        self._refuse(circuit, extension.stream_id, reason, now)

    def link_closed(self, link: LinkId, now: Monotonic) -> int:
        """Give up what needs a link that closed; return how many that were."""
        pending = [
            extension.circuit
            for key, extension in self._extensions.items()
            if key[0] == link
        ]
        for circuit in pending:
            self.end(circuit, Reason.LINK_CLOSED, now, tell_next=False)
        return len(pending)

    def next_timeout(self) -> Monotonic | None:
        """Return when to call ``handle_timeout``."""
        return self._deadlines.next()

    def handle_timeout(self, now: Monotonic) -> None:
        """Repeat CREATE cells, or give up."""
        for key in self._deadlines.pop_expired(now):
            self._drive(key, now)

    def audit(self) -> bool:
        """Recompute what is kept twice; return whether it agrees."""
        of_circuit = {e.circuit.key: key for key, e in self._extensions.items()}
        alive = all(self._table.by_key(key) is not None for key in of_circuit)
        timed = all(key in self._deadlines for key in self._extensions)
        return of_circuit == self._of_circuit and alive and timed

    def _why_not(self, circuit: RelayCircuit, event: ExtendRequested) -> Reason | None:
        node = self._node(event.node_id)
        if node is None:
            return Reason.NO_SUCH_NODE
        turning = {self._node_id, self._links.peer(circuit.previous)}
        if event.node_id in turning or event.endpoint not in node.endpoints:
            return Reason.REFUSED
        return Reason.REFUSED if circuit.partner is not None else None

    def _open(self, event: ExtendRequested, now: Monotonic) -> LinkId:
        """Return a link with the worker that is named; other workers do not count.

        The link learns all addresses of it, the named one first: others use the link,
        too, and it must not hang on an address that we cannot reach.
        """
        endpoint, node = event.endpoint, self._node(event.node_id)
        workers = () if node is None else by_worker(node.endpoints)
        own = next((own for own in workers if endpoint in own), ())
        others = [other for other in own if other != endpoint]
        port = endpoint.port if len(workers) > 1 else None
        return self._links.open(event.node_id, [endpoint, *others], now, port=port)

    def _refuse(
        self, circuit: RelayCircuit, stream_id: int, reason: Reason, now: Monotonic
    ) -> None:
        self._stats.extends_refused[reason] += 1
        circuit.hop.extend_failed(stream_id, reason, now)
        self._forwarding.touched[circuit.key] = circuit

    def _drive(self, key: _Key, now: Monotonic) -> None:
        """Send the CREATE cells that are due, or give up."""
        extension = self._extensions[key]
        creation = extension.creation
        if creation.has_failed(now):
            self.end(extension.circuit, Reason.TIMEOUT, now, tell_next=True)
            return
        if cells := creation.cells_to_send(now):
            self._forwarding.send(key[0], cells)
        due = creation.next_timeout()
        if due is not None:
            self._deadlines.set(key, due)

    def _forget(self, circuit: RelayCircuit) -> _Extension | None:
        key = self._of_circuit.pop(circuit.key, None)
        if key is None:
            return None
        self._deadlines.cancel(key)
        return self._extensions.pop(key)
