"""Requests over circuits that end here, and requests to their origins.

Cookies are dealt with on the spot; everything else becomes an event for a service, which
answers by circuit key and stream id. Bounds: `RelayConfig.max_requests` requests wait for
services, and as many for origins; above that they are refused, or fail at once.
"""

from collections import deque

from psp.circuit import events as circuit_events
from psp.circuit.state import HopState
from psp.units import Monotonic
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand
from relay.circuit_table import CircuitTable, RelayCircuit
from relay.config import RelayConfig
from relay.events import RelayEvent, RequestAnswered, RequestReceived
from relay.rendezvous_point import RendezvousPoint
from relay.stats import RelayStats


class Requests:
    """What origins ask of us and we of them."""

    def __init__(
        self,
        config: RelayConfig,
        table: CircuitTable,
        rendezvous: RendezvousPoint,
        events: deque[RelayEvent],
        stats: RelayStats,
    ) -> None:
        self._config = config
        self._table = table
        self._rendezvous = rendezvous
        self._events = events
        self._stats = stats
        self._open: dict[int, set[int]] = {}
        self._asked: dict[tuple[int, int], int] = {}
        self._tokens = 0
        self._size = 0

    @property
    def size(self) -> int:
        """Requests being worked on, both ways."""
        return self._size + len(self._asked)

    def receive(
        self,
        circuit: RelayCircuit,
        event: circuit_events.RequestReceived,
        now: Monotonic,
    ) -> RelayCircuit | None:
        """Take in a request; return another circuit that has something to say now."""
        hop = circuit.hop
        if event.command is RelayCommand.ESTABLISH:
            self._establish(circuit, event, now)
        elif event.command is RelayCommand.JOIN:
            return self._join(circuit, event, now)
        elif self._size >= self._config.max_requests:
            self._stats.requests_refused += 1
            hop.refuse(event.stream_id, Reason.RESOURCE_LIMIT, now)
        else:
            self._open.setdefault(circuit.key, set()).add(event.stream_id)
            self._size += 1
            self._events.append(
                RequestReceived(
                    circuit.key,
                    event.stream_id,
                    event.command,
                    event.data,
                    hop.handshake_hash,
                )
            )
        return None

    def answer(
        self, key: int, stream_id: int, data: bytes, now: Monotonic
    ) -> RelayCircuit | None:
        """Answer a request; return its circuit, or None if it is too late.

        Raises:
            LocalProtocolError: If the data does not fit; the request stays open.
        """
        circuit = self._table.by_key(key)
        if circuit is None or stream_id not in self._open.get(key, ()):
            return None
        circuit.hop.answer(stream_id, data, now)
        self._end(key, stream_id)
        return circuit

    def refuse(
        self, key: int, stream_id: int, reason: Reason, now: Monotonic
    ) -> RelayCircuit | None:
        """Refuse a request; return its circuit, or None if it is too late."""
        circuit = self._end(key, stream_id)
        if circuit is not None:
            circuit.hop.refuse(stream_id, reason, now)
        return circuit

    def ask(
        self, key: int, command: RelayCommand, data: bytes, now: Monotonic
    ) -> tuple[int, RelayCircuit | None]:
        """Ask an origin; return a token, and the circuit if there is one."""
        self._tokens += 1
        token = self._tokens
        circuit = self._table.by_key(key)
        stream_id = None
        if circuit is not None and len(self._asked) < self._config.max_requests:
            stream_id = circuit.hop.request(command, data, now)
        if stream_id is None:
            self._events.append(RequestAnswered(token, None))
            return token, None
        self._asked[key, stream_id] = token
        return token, circuit

    def answered(
        self,
        circuit: RelayCircuit,
        event: circuit_events.RequestAnswered | circuit_events.RequestFailed,
    ) -> None:
        """Pass on what an origin answered, or that it did not."""
        token = self._asked.pop((circuit.key, event.stream_id), None)
        if token is None:
            return
        data = event.data if isinstance(event, circuit_events.RequestAnswered) else None
        self._events.append(RequestAnswered(token, data))

    def circuit_closed(self, key: int) -> None:
        """Forget the requests of a circuit; fail ours to its origin."""
        self._size -= len(self._open.pop(key, ()))
        for asked in [asked for asked in self._asked if asked[0] == key]:
            self._events.append(RequestAnswered(self._asked.pop(asked), None))

    def audit(self) -> bool:
        """Recompute what is kept twice; return whether it agrees."""
        keys = [*self._open, *(key for key, _ in self._asked)]
        alive = all(self._table.by_key(key) is not None for key in keys)
        return alive and self._size == sum(map(len, self._open.values()))

    def _end(self, key: int, stream_id: int) -> RelayCircuit | None:
        streams = self._open.get(key)
        if streams is None or stream_id not in streams:
            return None
        streams.remove(stream_id)
        if not streams:
            del self._open[key]
        self._size -= 1
        return self._table.by_key(key)

    def _establish(
        self,
        circuit: RelayCircuit,
        event: circuit_events.RequestReceived,
        now: Monotonic,
    ) -> None:
        reason: Reason | None = Reason.PROTOCOL
        if circuit.hop.state is HopState.LAST:
            reason = self._rendezvous.establish(event.data, circuit.key, now)
        if reason is None:
            circuit.hop.answer(event.stream_id, b"", now)
        else:
            circuit.hop.refuse(event.stream_id, reason, now)

    def _join(
        self,
        circuit: RelayCircuit,
        event: circuit_events.RequestReceived,
        now: Monotonic,
    ) -> RelayCircuit | None:
        """Join two circuits; return the one that waited if it must be told."""
        found: int | Reason = Reason.PROTOCOL
        if circuit.hop.state is HopState.LAST:
            found = self._rendezvous.join(event.data, circuit.key)
        host = None if isinstance(found, Reason) else self._table.by_key(found)
        if host is None:
            reason = found if isinstance(found, Reason) else Reason.INTERNAL
            circuit.hop.refuse(event.stream_id, reason, now)
            return None
        circuit.hop.answer(event.stream_id, b"", now)
        if circuit.partner is host:
            return None
        circuit.partner, host.partner = host, circuit
        circuit.was_joined = host.was_joined = True
        host.hop.joined()
        return host
