"""Circuits that can be awaited: the asyncio owner of a `ClientMachine`.

Everything above this file speaks of circuits and requests; everything below it of cells
and deadlines.
"""

from collections.abc import Callable, Sequence

from psp.bandwidth import NO_BANDWIDTH, Bandwidth
from psp.circuit.origin import HopSpec, OriginCircuit
from psp.client.circuit import Circuit, CircuitError
from psp.endpoint.events import (
    CircuitChanged,
    ClientEvent,
    HandshakeBlock,
    LinkChanged,
    SessionChanged,
)
from psp.endpoint.machine import ClientMachine
from psp.endpoint.session import Session, SessionEvent
from psp.netdoc.node_record import NodeRecord
from psp.runtime.driver import Driver, TrainSocket
from psp.units import Monotonic
from psp.wire.cell import Reason


class ClientNetwork:
    """Runs one `ClientMachine` on one socket."""

    def __init__(self, machine: ClientMachine, udp: TrainSocket) -> None:
        self._machine = machine
        self._circuits: dict[int, Circuit] = {}
        self._sessions: dict[int, Callable[[SessionEvent], None]] = {}
        self._driver: Driver[ClientEvent] = Driver(machine, udp, self._dispatch)

    def now(self) -> Monotonic:
        """Return the time of the loop's clock."""
        return self._driver.now()

    def open(
        self, path: Sequence[NodeRecord], asked: Sequence[Bandwidth] = ()
    ) -> Circuit:
        """Start to build a circuit; await its ``built``.

        Args:
            path: Its relays, entry first.
            asked: What to ask each of them for; empty for nothing.

        Raises:
            LocalProtocolError: If too many circuits are open.
        """
        hops = [
            HopSpec(node.node_id, node.onion_key, node.endpoints, bandwidth)
            for node, bandwidth in zip(
                path, asked or [NO_BANDWIDTH] * len(path), strict=True
            )
        ]
        key = self._machine.open_circuit(hops, self.now())
        circuit = self._circuits[key] = Circuit(self, key, path)
        self._driver.schedule_flush()
        return circuit

    def extend(
        self, circuit: Circuit, node: NodeRecord, bandwidth: Bandwidth = NO_BANDWIDTH
    ) -> None:
        """Add a hop to a circuit that is built; await its new ``built``.

        Raises:
            CircuitError: If it has ended.
        """
        spec = HopSpec(node.node_id, node.onion_key, node.endpoints, bandwidth)
        self.origin(circuit.key).extend(spec, self.now())
        circuit.await_hop(node)
        self.touch(circuit.key)

    def origin(self, key: int) -> OriginCircuit:
        """Return the machine behind a circuit that is open.

        Raises:
            CircuitError: If it has ended.
        """
        origin = self._machine.circuit(key)
        if origin is None:
            raise CircuitError(Reason.LINK_CLOSED)
        return origin

    def touch(self, key: int) -> None:
        """Note that a circuit was used; what it has to send goes out soon."""
        self._machine.touch(key)
        self._driver.schedule_flush()

    def close_circuit(self, key: int, reason: Reason) -> None:
        """Destroy a circuit."""
        self._machine.close_circuit(key, reason, self.now())
        self._driver.schedule_flush()

    def send_blocks(self, circuit: Circuit, blocks: list[bytes]) -> None:
        """Send session-handshake blocks over a circuit."""
        self._machine.send_blocks(circuit.key, blocks, self.now())
        self._driver.schedule_flush()

    def add_session(
        self, session: Session, listener: Callable[[SessionEvent], None]
    ) -> int:
        """Run a session; return its key."""
        key = self._machine.add_session(session)
        self._sessions[key] = listener
        self._driver.schedule_flush()
        return key

    def add_leg(self, session: int, leg: int, circuit: Circuit) -> None:
        """Let a session use a circuit that its rendezvous has joined."""
        self._machine.add_leg(session, leg, circuit.key, self.now())
        self._driver.schedule_flush()

    def touch_session(self, key: int) -> None:
        """Note that a session was used."""
        self._machine.touch_session(key)
        self._driver.schedule_flush()

    def remove_session(self, key: int) -> None:
        """End a session and its circuits."""
        self._sessions.pop(key, None)
        self._machine.remove_session(key, self.now())
        self._driver.schedule_flush()

    @property
    def machine(self) -> ClientMachine:
        """The machine, for status and counters."""
        return self._machine

    def close(self) -> None:
        """Destroy every circuit, tell the relays, and stop."""
        for key in list(self._circuits):
            self._machine.close_circuit(key, Reason.SHUTTING_DOWN, self.now())
        self._driver.flush()
        self._driver.close()

    def _dispatch(self, event: ClientEvent) -> None:
        match event:
            case CircuitChanged():
                circuit = self._circuits.get(event.key)
                if circuit is not None:
                    circuit.receive(event.event)
                    if not circuit.is_open:
                        del self._circuits[event.key]
            case HandshakeBlock():
                circuit = self._circuits.get(event.key)
                if circuit is not None:
                    circuit.on_handshake_block(event.block)
            case SessionChanged():
                listener = self._sessions.get(event.key)
                if listener is not None:
                    listener(event.event)
            case LinkChanged():
                pass  # circuits over it are told themselves
