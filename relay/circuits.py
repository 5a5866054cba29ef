"""The life of circuits at a relay: CREATE, DESTROY, and links that end.

::

    CREATE --(limits)--(handshake)--> open --EXTEND--> extending --CREATED--> passing
                                       ^                  | refused, time out    |
                                       |                  v                      |
                                       +---- TRUNCATE, DESTROY from the next hop, its
                                             link ended: the origin is told TRUNCATED

    DESTROY from the previous hop, its link ended, protocol broken, a limit, idle,
    the joined circuit ended: closed; both neighbours are told DESTROY

`close` may be called again and for circuits already gone. Circuits that ended are left
in `ended` for the machine to do the rest.
"""

from collections.abc import Sequence

from psp.circuit.admission import accept, read_handshake
from psp.circuit.create import CreateReceived
from psp.entropy import Entropy
from psp.errors import RemoteProtocolError
from psp.ids import CircuitId, LinkId, NodeId
from psp.units import Monotonic
from psp.wire.cell import Reason
from relay.bandwidth_budget import BandwidthBudget
from relay.circuit_table import CircuitTable, RelayCircuit, destroy_cell
from relay.extending import Extending
from relay.forwarding import Forwarding
from relay.link_ends import LinkEnd, LinkEnds
from relay.policy import TokenBucket
from relay.stats import RelayStats

UNKNOWN_RATE = 50.0
"""Cells of unknown circuits that are answered with DESTROY, per second, so that a
neighbour that missed a DESTROY learns of it (SPEC.md section 2)."""


class Circuits:
    """Opens and ends circuits.

    Attributes:
        ended: Circuits that ended, the reason, and the next link; for the machine.
        may_admit: Whether memory allows new circuits; kept up to date by the machine.
        budget: What is promised to circuits.
    """

    def __init__(
        self,
        ends: LinkEnds,
        extending: Extending,
        table: CircuitTable,
        forwarding: Forwarding,
        stats: RelayStats,
        *,
        budget: BandwidthBudget,
        node_id: NodeId,
        onion_privates: Sequence[bytes],
        entropy: Entropy,
    ) -> None:
        self.ended: list[tuple[RelayCircuit, Reason, LinkId | None]] = []
        self.may_admit = True
        self.budget = budget
        self._ends = ends
        self._extending = extending
        self._table = table
        self._forwarding = forwarding
        self._stats = stats
        self._node_id = node_id
        self._onion_privates = tuple(onion_privates)
        self._entropy = entropy
        self._keys = 0
        self._strays = TokenBucket(UNKNOWN_RATE, int(UNKNOWN_RATE), Monotonic(0.0))

    def set_onion_keys(self, onion_privates: Sequence[bytes]) -> None:
        """Use new onion keys, the current one first (R-CIR-5)."""
        self._onion_privates = tuple(onion_privates)

    def create(
        self, link: LinkId, circuit_id: CircuitId, body: bytes, now: Monotonic
    ) -> RelayCircuit | None:
        """Take in a CREATE cell; return the circuit if that completed one."""
        end = self._ends.of(link, now)
        if end is None:
            return None
        received = end.creates.receive(circuit_id, body, now)
        circuit = None
        if received is not None and self._is_admitted(link, end, circuit_id, now):
            circuit = self._accept(link, end, received, now)
        if cells := end.creates.cells_to_send():
            self._forwarding.send(link, cells)
        return circuit

    def destroyed(
        self, link: LinkId, circuit_id: CircuitId, reason: Reason, now: Monotonic
    ) -> None:
        """Take in a DESTROY cell."""
        if self._extending.destroyed(link, circuit_id, reason, now):
            return
        lane = self._table.lane(link, circuit_id)
        if lane is None:
            self._stats.cells_unknown += 1
        elif lane.is_forward:
            self.close(lane.circuit, reason, now, tell_previous=False)
        else:
            self._next_closed(lane.circuit, reason, now)

    def unknown(self, link: LinkId, circuit_id: CircuitId, now: Monotonic) -> None:
        """Take in a RELAY cell of a circuit that is not here."""
        self._stats.cells_unknown += 1
        if not self._extending.is_known(link, circuit_id) and self._strays.take(now):
            self.tell_destroyed(link, circuit_id, Reason.NONE)

    def truncate(self, circuit: RelayCircuit, now: Monotonic) -> None:
        """Let a circuit end here, as its origin wants."""
        self._extending.end(circuit, Reason.REQUESTED, now, tell_next=True)
        self._cut(circuit, now, tell=Reason.REQUESTED)

    def close(
        self,
        circuit: RelayCircuit,
        reason: Reason,
        now: Monotonic,
        *,
        tell_previous: bool = True,
    ) -> None:
        """End a circuit; tell both neighbours, or the next one only."""
        if self._table.by_key(circuit.key) is None:
            return
        self._extending.end(circuit, reason, now, tell_next=True)
        following = circuit.next
        self._cut(circuit, now, tell=reason)
        self._table.remove(circuit)
        self.budget.release(circuit)
        self._ends.release(circuit.previous, circuit.previous_id, now)
        if tell_previous:
            self.tell_destroyed(circuit.previous, circuit.previous_id, reason)
        circuit.hop.close()
        self._forwarding.touched.pop(circuit.key, None)
        self.ended.append((circuit, reason, following))

    def link_closed(self, link: LinkId, now: Monotonic) -> int:
        """End, or cut, whatever ran over a link; return how many circuits that were."""
        pending = self._extending.link_closed(link, now)
        lanes = list(self._table.lanes(link).values())
        for lane in lanes:
            if lane.is_forward:
                self.close(lane.circuit, Reason.LINK_CLOSED, now, tell_previous=False)
            elif lane.circuit.next == link:
                self._next_closed(lane.circuit, Reason.LINK_CLOSED, now)
        self._table.forget_link(link)
        self._forwarding.forget_link(link)
        self._ends.forget(link)
        return len(lanes) + pending

    def audit(self) -> bool:
        """Whether exactly what open circuits were granted is held for them."""
        return self.budget.agrees_with(self._table)

    def tell_destroyed(
        self, link: LinkId, circuit_id: CircuitId, reason: Reason
    ) -> None:
        """Send a DESTROY cell."""
        self._forwarding.send(link, (destroy_cell(circuit_id, reason),))

    def _is_admitted(
        self, link: LinkId, end: LinkEnd, circuit_id: CircuitId, now: Monotonic
    ) -> bool:
        """Refuse before the handshake costs anything."""
        if self._extending.is_known(link, circuit_id):
            # Its cached answer is gone; whoever asks now is no longer waiting for it.
            end.creates.forget(circuit_id)
            return False
        reason = None
        if not end.ids.may_peer_choose(circuit_id, now):
            reason = Reason.PROTOCOL
        elif self._extending.count_on(link) >= end.limit or not self.may_admit:
            reason = Reason.RESOURCE_LIMIT
        if reason is not None:
            self._refuse(link, end, circuit_id, reason)
            return False
        if end.bucket is not None and not end.bucket.take(now):
            self._stats.creates_delayed += 1
            end.creates.forget(circuit_id)
            return False
        return True

    def _accept(
        self, link: LinkId, end: LinkEnd, received: CreateReceived, now: Monotonic
    ) -> RelayCircuit | None:
        circuit_id = received.circuit_id
        try:
            handshake = read_handshake(
                received, node_id=self._node_id, onion_privates=self._onion_privates
            )
            granted = self.budget.offer(handshake.bandwidth)
            if granted is None:
                self._refuse(link, end, circuit_id, Reason.BANDWIDTH)
                return None
            hop, reply = accept(
                received,
                handshake,
                granted,
                entropy=self._entropy,
                stats=self._stats.hops,
                now=now,
            )
        except RemoteProtocolError:
            self._refuse(link, end, circuit_id, Reason.PROTOCOL)
            return None
        self._keys += 1
        circuit = RelayCircuit(self._keys, hop, link, circuit_id, now, granted=granted)
        self._table.add(circuit, self._forwarding.out(link))
        self.budget.hold(circuit)
        end.creates.answer(circuit_id, reply, now)
        self._stats.circuits_created += 1
        return circuit

    def _refuse(
        self, link: LinkId, end: LinkEnd, circuit_id: CircuitId, reason: Reason
    ) -> None:
        self._stats.creates_refused[reason] += 1
        end.creates.forget(circuit_id)
        self.tell_destroyed(link, circuit_id, reason)

    def _next_closed(
        self, circuit: RelayCircuit, reason: Reason, now: Monotonic
    ) -> None:
        self._cut(circuit, now, tell=None)
        circuit.hop.next_closed(reason, now)
        self._forwarding.touched[circuit.key] = circuit

    def _cut(
        self, circuit: RelayCircuit, now: Monotonic, *, tell: Reason | None
    ) -> None:
        link, circuit_id = circuit.next, circuit.next_id
        if link is None:
            return
        self._ends.release(link, circuit_id, now)
        self._table.cut(circuit)
        if tell is not None:
            self.tell_destroyed(link, circuit_id, tell)
