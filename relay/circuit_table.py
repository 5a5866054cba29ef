"""The circuits of one relay, and where the cells of each go.

A *lane* is one direction of a circuit as it arrives on one link. Lanes are found by the
first five bytes of a RELAY cell (circuit id and command), so that the fast path needs
one look-up and no parsing::

    previous link --(forward lane: open)--> circuit --> next link
    previous link <-- circuit <--(backward lane: seal)-- next link

Bounds: `relay.circuits` refuses what is above the limits of `relay.policy`.
"""

from collections.abc import Iterator, Sequence

from psp.circuit.blocks import BLOCK_PADDING
from psp.circuit.hop import HopCircuit
from psp.crypto.layer import body_cutter
from psp.ids import CircuitId, LinkId
from psp.units import Monotonic, Seconds
from psp.wire.cell import BODY_SIZE, HEADER, Cell, CellCommand, Reason
from psp.wire.onion import MAX_HOPS, body_size


def relay_head(circuit_id: CircuitId) -> bytes:
    """Return the first five bytes of every RELAY cell of a circuit."""
    return HEADER.pack(circuit_id, CellCommand.RELAY)


def destroy_cell(circuit_id: CircuitId, reason: Reason) -> bytes:
    """Return the cell that ends a circuit."""
    return Cell(circuit_id, CellCommand.DESTROY, bytes((reason,))).encode()


_CUTS = tuple(
    body_cutter(size, HEADER.size, BODY_SIZE - size)
    for size in (body_size(max(hop, 1)) for hop in range(MAX_HOPS + 1))
)
"""By the hop whose body it is."""


class Lane:
    """One direction of a circuit, as its cells arrive on one link.

    Attributes:
        circuit: Whose lane it is.
        key: The circuit's key.
        opening: The forward layer; None for a backward lane.
        sealing: The backward layer, which a backward lane and a splice use.
        cut: Takes an arriving cell apart: low half of the counter, sealed body.
        end: Where the onion body ends in an arriving cell.
        pad: Zeros that fill a leaving cell behind its onion body.
        link: Where cells of this lane go; None when this hop is the last.
        head: First five bytes of the cells that go there.
        out: What leaves over that link at the next flush; None when this hop is last.
    """

    __slots__ = (
        "circuit",
        "cut",
        "end",
        "head",
        "key",
        "link",
        "opening",
        "out",
        "pad",
        "sealing",
    )

    def __init__(self, circuit: "RelayCircuit", *, is_forward: bool) -> None:
        hop = circuit.hop
        self.circuit = circuit
        self.key = circuit.key
        self.opening = hop.opening if is_forward else None
        self.sealing = hop.sealing
        self.end = hop.body_end if is_forward else hop.inner_end
        self.cut = _CUTS[hop.hop]
        self.pad = hop.next_padding if is_forward else hop.padding
        self.link: LinkId | None = None
        self.head = b""
        self.out: list[bytes] | None = None

    @property
    def is_forward(self) -> bool:
        """Away from the origin: a layer is opened here, otherwise sealed."""
        return self.opening is not None

    def open_run(self, cells: Sequence[bytes]) -> list[bytes] | None:
        """Open our layer of whole cells of this forward lane.

        Returns:
            None if they are not all next in order and good: nothing has changed.
        """
        lows, bodies = zip(*map(self.cut, cells), strict=True)
        return self.circuit.hop.opening.open_run(lows, bodies)

    def lead_to(self, link: LinkId, head: bytes, out: list[bytes]) -> None:
        """Send this lane's cells over ``link`` from now on."""
        self.link = link
        self.head = head
        self.out = out

    def end_here(self) -> None:
        """Send this lane's cells nowhere from now on."""
        self.link = None
        self.head = b""
        self.out = None

    def count_drop(self) -> None:
        """Count a cell of this lane that a full queue threw away."""
        if self.is_forward:
            self.circuit.hop.dropped_forward += 1
        else:
            self.circuit.hop.dropped_backward += 1


class RelayCircuit:
    """One circuit that passes, or ends at, this relay.

    Attributes:
        key: Its name in this process; never used again.
        hop: The relay's end of its cryptography and of its messages.
        previous: The link towards the origin; ``previous_id`` is the circuit id there.
        next: The link away from the origin, or None; ``next_id`` the circuit id there.
        forward: The lane of cells from ``previous``.
        backward: The lane of cells from ``next``.
        partner: The circuit joined to this one at a rendezvous, or None.
        was_joined: Whether it ever had a partner.
        block_pad: Zeros after a session block in a message of this hop.
        created: When.
        granted: Bandwidth promised to it, in kbit/s each way; 0 if it asked for none.
        seen: Cells seen when `quiet_for` last looked.
        quiet_since: When that number last changed.
    """

    __slots__ = (
        "_sealed_before",
        "backward",
        "block_pad",
        "created",
        "forward",
        "granted",
        "hop",
        "key",
        "next",
        "next_id",
        "partner",
        "previous",
        "previous_id",
        "quiet_since",
        "seen",
        "was_joined",
    )

    def __init__(
        self,
        key: int,
        hop: HopCircuit,
        previous: LinkId,
        previous_id: CircuitId,
        now: Monotonic,
        *,
        granted: int = 0,
    ) -> None:
        self.key = key
        self.hop = hop
        self.previous = previous
        self.previous_id = previous_id
        self.next: LinkId | None = None
        self.next_id = CircuitId(0)
        self.partner: RelayCircuit | None = None
        self.was_joined = False
        self.block_pad = BLOCK_PADDING[hop.hop]
        self.created = now
        self.granted = granted
        self.seen = 0
        self.quiet_since = now
        self._sealed_before = hop.sealing.counter
        self.forward = Lane(self, is_forward=True)
        self.backward = Lane(self, is_forward=False)

    @property
    def cells_forward(self) -> int:
        """Cells opened here so far."""
        return self.hop.opening.received

    @property
    def cells_backward(self) -> int:
        """Cells sealed here so far."""
        return self.hop.sealing.counter - self._sealed_before

    def quiet_for(self, now: Monotonic) -> Seconds:
        """Return how long no cell was seen, as far as calls of this method can tell."""
        seen = self.cells_forward + self.cells_backward
        if seen != self.seen:
            self.seen, self.quiet_since = seen, now
        return Seconds(now - self.quiet_since)


class CircuitTable:
    """All circuits of one relay, by key and by lane."""

    def __init__(self) -> None:
        self._circuits: dict[int, RelayCircuit] = {}
        self._lanes: dict[LinkId, dict[bytes, Lane]] = {}

    def __len__(self) -> int:
        return len(self._circuits)

    def __iter__(self) -> Iterator[RelayCircuit]:
        return iter(list(self._circuits.values()))

    def by_key(self, key: int) -> RelayCircuit | None:
        """Return an open circuit, or None."""
        return self._circuits.get(key)

    def lanes(self, link: LinkId) -> dict[bytes, Lane]:
        """Return the lanes that arrive on a link; live, for reading only."""
        lanes = self._lanes.get(link)
        if lanes is None:
            lanes = self._lanes[link] = {}
        return lanes

    def lane(self, link: LinkId, circuit_id: CircuitId) -> Lane | None:
        """Return the lane of a circuit id on a link, or None."""
        return self.lanes(link).get(relay_head(circuit_id))

    def circuits_on(self, link: LinkId) -> int:
        """Return how many circuits use a link, on either side of this relay."""
        lanes = self._lanes.get(link)
        return 0 if lanes is None else len(lanes)

    def by_link(self) -> dict[LinkId, list[int]]:
        """Return all circuits by the link they came over, oldest first."""
        keys: dict[LinkId, list[int]] = {}
        for key, circuit in self._circuits.items():
            keys.setdefault(circuit.previous, []).append(key)
        return keys

    def add(self, circuit: RelayCircuit, out: list[bytes]) -> None:
        """Take in a circuit that ends here; ``out`` leads to its previous link."""
        self._circuits[circuit.key] = circuit
        head = circuit.hop.head
        circuit.backward.lead_to(circuit.previous, head, out)
        self.lanes(circuit.previous)[head] = circuit.forward

    def extend(
        self,
        circuit: RelayCircuit,
        link: LinkId,
        circuit_id: CircuitId,
        out: list[bytes],
    ) -> None:
        """Let a circuit go on over ``link``."""
        circuit.next, circuit.next_id = link, circuit_id
        head = relay_head(circuit_id)
        circuit.forward.lead_to(link, head, out)
        self.lanes(link)[head] = circuit.backward

    def cut(self, circuit: RelayCircuit) -> None:
        """Let a circuit end here again."""
        if circuit.next is None:
            return
        self._drop_lane(circuit.next, circuit.next_id)
        circuit.next, circuit.next_id = None, CircuitId(0)
        circuit.forward.end_here()

    def remove(self, circuit: RelayCircuit) -> None:
        """Forget a circuit."""
        self.cut(circuit)
        circuit.backward.end_here()
        self._drop_lane(circuit.previous, circuit.previous_id)
        del self._circuits[circuit.key]

    def forget_link(self, link: LinkId) -> None:
        """Forget a link that ended, after its circuits."""
        self._lanes.pop(link, None)

    def audit(self) -> bool:
        """Recompute the lanes; return whether they agree."""
        expected: dict[LinkId, dict[bytes, Lane]] = {}
        for circuit in self._circuits.values():
            head = relay_head(circuit.previous_id)
            expected.setdefault(circuit.previous, {})[head] = circuit.forward
            if circuit.next is not None:
                head = relay_head(circuit.next_id)
                expected.setdefault(circuit.next, {})[head] = circuit.backward
        return expected == {link: lanes for link, lanes in self._lanes.items() if lanes}

    def _drop_lane(self, link: LinkId, circuit_id: CircuitId) -> None:
        lanes = self._lanes.get(link)
        if lanes is not None:
            lanes.pop(relay_head(circuit_id), None)
