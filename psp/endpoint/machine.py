"""A client without I/O: its links, its circuits and its sessions in one machine.

Circuits and sessions are named by integer keys of this process. Blocks of a session go
straight between its circuits and the session, without an event per block; everything
else is told by events.

Bounds: `EndpointConfig.max_circuits` circuits; a session has at most 4 legs. Events
wait until the owner reads them, which it does after every call.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from psp.circuit.config import CircuitConfig
from psp.circuit.events import BlocksReceived, CircuitClosed
from psp.circuit.origin import HopSpec, OriginCircuit
from psp.endpoint.events import (
    CircuitChanged,
    ClientEvent,
    HandshakeBlock,
    LinkChanged,
    SessionChanged,
)
from psp.endpoint.session import Session
from psp.entropy import Entropy
from psp.errors import LocalProtocolError
from psp.ids import CircuitId, LinkId
from psp.link.circuit_ids import CircuitIds
from psp.link.events import LinkClosed
from psp.link.machine import LinkMachine
from psp.sansio import Address, Train
from psp.timers import Deadlines
from psp.units import Monotonic
from psp.wire.cell import HEADER, Reason
from psp.wire.session_block import HANDSHAKE_MAGIC


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Limits of a client.

    Attributes:
        max_circuits: Circuits open at the same time; a relay allows 64 per link.
        circuit: Timing of each circuit.
    """

    max_circuits: int = 48
    circuit: CircuitConfig = field(default_factory=CircuitConfig)


@dataclass(slots=True)
class _Circuit:
    origin: OriginCircuit
    link: LinkId
    session: int | None = None
    leg: int = 0


@dataclass(slots=True)
class _LinkCircuits:
    ids: CircuitIds
    keys: dict[CircuitId, int] = field(default_factory=dict)


class ClientMachine:
    """Links, circuits and sessions of one client on one socket."""

    def __init__(
        self, links: LinkMachine, entropy: Entropy, config: EndpointConfig | None = None
    ) -> None:
        self.links = links
        self.config = config or EndpointConfig()
        self._entropy = entropy
        self._keys = count(1)
        self._circuits: dict[int, _Circuit] = {}
        self._by_link: dict[LinkId, _LinkCircuits] = {}
        self._sessions: dict[int, Session] = {}
        self._legs: dict[tuple[int, int], int] = {}
        self._touched: set[int] = set()
        self._touched_sessions: set[int] = set()
        self._deadlines: Deadlines[tuple[str, int]] = Deadlines()
        self._events: deque[ClientEvent] = deque()

    # -- circuits

    def open_circuit(self, path: Sequence[HopSpec], now: Monotonic) -> int:
        """Start to build a circuit; return its key. Events tell the rest.

        Raises:
            LocalProtocolError: If `EndpointConfig.max_circuits` are open.
        """
        if len(self._circuits) >= self.config.max_circuits:
            raise LocalProtocolError(f"{len(self._circuits)} circuits are open")
        first = path[0]
        link = self.links.open(first.node_id, first.endpoints, now)
        on_link = self._by_link.get(link)
        if on_link is None:
            on_link = _LinkCircuits(CircuitIds(self._entropy, is_even=True))
            self._by_link[link] = on_link
        circuit_id = on_link.ids.allocate(on_link.keys, now)
        origin = OriginCircuit(
            circuit_id, path, self._entropy, self.config.circuit, now
        )
        key = next(self._keys)
        self._circuits[key] = _Circuit(origin, link)
        on_link.keys[circuit_id] = key
        self._touched.add(key)
        return key

    def circuit(self, key: int) -> OriginCircuit | None:
        """Return an open circuit; call `touch` after using it."""
        entry = self._circuits.get(key)
        return entry.origin if entry else None

    def touch(self, key: int) -> None:
        """Note that a circuit was used: its cells go out at the next flush."""
        self._touched.add(key)

    def send_blocks(self, key: int, blocks: list[bytes], now: Monotonic) -> None:
        """Send session-handshake blocks over a circuit; gone if it is closed.

        They go behind what was asked of its hops before.
        """
        if (entry := self._circuits.get(key)) is not None:
            self._collect(key, entry, now)
        if (entry := self._circuits.get(key)) is not None:
            self.links.send(entry.link, entry.origin.send_blocks(blocks), now)

    def close_circuit(self, key: int, reason: Reason, now: Monotonic) -> None:
        """Destroy a circuit; an unknown key is fine."""
        entry = self._circuits.get(key)
        if entry is not None:
            entry.origin.destroy(reason)
            self._collect(key, entry, now)

    # -- sessions

    def add_session(self, session: Session) -> int:
        """Take charge of a session; return its key."""
        key = next(self._keys)
        self._sessions[key] = session
        self._touched_sessions.add(key)
        return key

    def session(self, key: int) -> Session | None:
        """Return a session; call `touch_session` after using it."""
        return self._sessions.get(key)

    def touch_session(self, key: int) -> None:
        """Note that a session was used: its blocks go out at the next flush."""
        self._touched_sessions.add(key)

    def add_leg(self, session: int, leg: int, circuit: int, now: Monotonic) -> None:
        """Let a session use a circuit that its rendezvous has joined."""
        entry = self._circuits.get(circuit)
        if entry is None or session not in self._sessions:
            return
        entry.session, entry.leg = session, leg
        self._legs[session, leg] = circuit
        self._sessions[session].add_leg(leg, now)
        self._touched_sessions.add(session)

    def remove_session(self, key: int, now: Monotonic) -> None:
        """Send what the session still has to say, then forget it and its circuits."""
        session = self._sessions.pop(key, None)
        if session is None:
            return
        self._flush_session(key, session, now)
        for leg in [leg for (owner, leg) in self._legs if owner == key]:
            self.close_circuit(self._legs[key, leg], Reason.REQUESTED, now)
        self._deadlines.cancel(("session", key))
        self._touched_sessions.discard(key)

    # -- the machine contract

    def receive(
        self, buffer: memoryview, segment_size: int, source: Address, now: Monotonic
    ) -> None:
        """Take in one train; see `psp.sansio.Machine`."""
        for batch in self.links.receive(buffer, segment_size, source, now):
            on_link = self._by_link.get(batch.link)
            if on_link is None:
                continue
            by_circuit: dict[CircuitId, list[bytes]] = {}
            for cell in batch.cells:
                circuit_id, _ = HEADER.unpack_from(cell)
                by_circuit.setdefault(circuit_id, []).append(cell)
            for circuit_id, cells in by_circuit.items():
                key = on_link.keys.get(circuit_id)
                if key is not None:
                    entry = self._circuits[key]
                    entry.origin.receive(cells, now)
                    self._tell_marks(entry)
                    self._collect(key, entry, now)

    def trains_to_send(self, now: Monotonic) -> list[Train]:
        """Return everything that must go out now."""
        touched_sessions, self._touched_sessions = self._touched_sessions, set()
        for key in touched_sessions:
            session = self._sessions.get(key)
            if session is not None:
                self._flush_session(key, session, now)
        touched, self._touched = self._touched, set()
        for key in touched:
            entry = self._circuits.get(key)
            if entry is not None:
                self._collect(key, entry, now)
        return self.links.trains_to_send(now)

    def next_event(self) -> ClientEvent | None:
        """Return the oldest unread event, or None."""
        while (event := self.links.next_event()) is not None:
            if isinstance(event, LinkClosed):
                self._link_closed(event.link)
            self._events.append(LinkChanged(event))
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> Monotonic | None:
        """Return when to call `handle_timeout`."""
        candidates = (self.links.next_timeout(), self._deadlines.next())
        return min((due for due in candidates if due is not None), default=None)

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on every deadline at or before ``now``."""
        self.links.handle_timeout(now)
        for kind, key in self._deadlines.pop_expired(now):
            if kind == "session" and (session := self._sessions.get(key)) is not None:
                session.handle_timeout(now)
                self._flush_session(key, session, now)
            elif kind == "circuit" and (entry := self._circuits.get(key)) is not None:
                entry.origin.handle_timeout(now)
                self._collect(key, entry, now)

    # -- inside

    def _collect(self, key: int, entry: _Circuit, now: Monotonic) -> None:
        """Move what a circuit has made: events up, cells down, its deadline."""
        origin = entry.origin
        while (event := origin.next_event()) is not None:
            if isinstance(event, BlocksReceived):
                self._blocks_in(key, entry, event.blocks, now)
                continue
            self._events.append(CircuitChanged(key, event))
            if isinstance(event, CircuitClosed):
                self._forget(key, entry, now)
        cells = origin.cells_to_send(now)
        if cells:
            self.links.send(entry.link, cells, now)
        deadline = origin.next_timeout() if key in self._circuits else None
        if deadline is None:
            self._deadlines.cancel(("circuit", key))
        else:
            self._deadlines.set(("circuit", key), deadline)

    def _blocks_in(
        self, key: int, entry: _Circuit, blocks: list[bytes], now: Monotonic
    ) -> None:
        session = self._sessions.get(entry.session) if entry.session else None
        sealed = []
        for block in blocks:
            if session is None or block.startswith(HANDSHAKE_MAGIC):
                self._events.append(HandshakeBlock(key, block))
            else:
                sealed.append(block)
        if session is not None and entry.session is not None and sealed:
            session.receive_blocks(entry.leg, sealed, now)
            self._session_events(entry.session, session)
            self._touched_sessions.add(entry.session)

    def _tell_marks(self, entry: _Circuit) -> None:
        cells, marked = entry.origin.take_marks()
        session = self._sessions.get(entry.session) if entry.session else None
        if session is not None and cells:
            session.note_marks(cells, marked)

    def _flush_session(self, key: int, session: Session, now: Monotonic) -> None:
        for batch in session.blocks_to_send(now):
            circuit = self._legs.get((key, batch.leg))
            entry = self._circuits.get(circuit) if circuit is not None else None
            if entry is not None:
                cells = entry.origin.send_blocks(batch.blocks, batch.kind)
                self.links.send(entry.link, cells, now)
        self._session_events(key, session)
        deadline = session.next_timeout()
        if deadline is not None and key in self._sessions:
            self._deadlines.set(("session", key), deadline)

    def _session_events(self, key: int, session: Session) -> None:
        while (event := session.next_event()) is not None:
            self._events.append(SessionChanged(key, event))

    def _forget(self, key: int, entry: _Circuit, now: Monotonic) -> None:
        del self._circuits[key]
        self._deadlines.cancel(("circuit", key))
        on_link = self._by_link.get(entry.link)
        if on_link is not None:
            on_link.keys.pop(entry.origin.circuit_id, None)
            on_link.ids.release(entry.origin.circuit_id, now)
        if entry.session is not None:
            self._legs.pop((entry.session, entry.leg), None)
            session = self._sessions.get(entry.session)
            if session is not None:
                session.remove_leg(entry.leg)
                self._touched_sessions.add(entry.session)

    def _link_closed(self, link: LinkId) -> None:
        on_link = self._by_link.pop(link, None)
        for key in on_link.keys.values() if on_link else ():
            self._circuits[key].origin.destroy(Reason.LINK_CLOSED)
            self._touched.add(key)
