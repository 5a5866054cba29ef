"""The client's end of a circuit.

Hop 1 is created by CREATE cells, each further hop by an EXTEND message through the
layers that are there already. Then the owner asks things of hops, sends blocks to the
last one, and may extend to a fourth or truncate.

Whatever was not asked for closes the circuit (R-TAG-5): see `psp.circuit.expectations`
for messages, `psp.circuit.exchange` for answers, `psp.circuit.layers` for kind bits.

After any call, send `cells_to_send` to the first relay, handle `next_event` until None,
and arm a timer for `next_timeout`.
"""

from collections import deque
from collections.abc import Sequence

from psp.circuit import events
from psp.circuit.blocks import BLOCK_END, BLOCK_HEADER, BLOCK_PADDING, BLOCK_START
from psp.circuit.building import Building, HopSpec
from psp.circuit.commands import SERVICES, TO_ORIGIN
from psp.circuit.config import CircuitConfig
from psp.circuit.exchange import read_reason
from psp.circuit.hops import Hops
from psp.circuit.report import DirectionReport, Report
from psp.circuit.state import ORIGIN_MOVES, OriginMove, OriginState, after
from psp.circuit.stats import OriginStats
from psp.circuit.tags import BadTagWatch
from psp.entropy import Entropy
from psp.errors import DecodeError, LocalProtocolError, RemoteProtocolError
from psp.ids import CircuitId
from psp.units import Monotonic, Seconds
from psp.wire.cell import CELL_SIZE, Cell, CellCommand, Reason
from psp.wire.onion import MAX_HOPS, Kind
from psp.wire.relay_message import RelayCommand, RelayMessage

__all__ = ["HopSpec", "OriginCircuit"]

_RELAY = int(CellCommand.RELAY)
_MEDIA = Kind.AUDIO | Kind.KEY_FRAME
_RESHAPING = frozenset({RelayCommand.EXTEND, RelayCommand.TRUNCATE})


class OriginCircuit:
    """One circuit of ours; `circuit_id` is that on the link to the first relay."""

    def __init__(
        self,
        circuit_id: CircuitId,
        path: Sequence[HopSpec],
        entropy: Entropy,
        config: CircuitConfig,
        now: Monotonic,
    ) -> None:
        """Begin to build.

        Raises:
            LocalProtocolError: If the path does not have 1 … 4 hops with endpoints.
        """
        self.circuit_id = circuit_id
        self.stats = OriginStats()
        self._config = config
        self._state = OriginState.CREATING
        self._building = Building(circuit_id, path, entropy, now)
        self._hops = Hops(circuit_id, self.stats)
        self._bad_tags = BadTagWatch()
        self._was_built = False
        self._outgoing: list[bytes] = []
        self._events: deque[events.OriginEvent] = deque()

    # -- what it is

    @property
    def state(self) -> OriginState:
        """Where the circuit stands."""
        return self._state

    @property
    def is_open(self) -> bool:
        """Whether all hops that were asked for are there."""
        return self._state is OriginState.OPEN

    @property
    def hops(self) -> int:
        """How many hops there are by now."""
        return len(self._hops)

    @property
    def path(self) -> tuple[HopSpec, ...]:
        """The relays, those still to come included."""
        return tuple(self._building.path)

    def handshake_hash(self, hop: int) -> bytes:
        """Return what names ``hop`` of this circuit to both ends, 32 bytes."""
        return self._hops.layers[self._check(hop)].handshake_hash

    def received(self, hop: int) -> DirectionReport:
        """Return what we counted at the layer of ``hop``.

        A bad tag there came about at that hop, the one before, or between (R-TAG-4).
        """
        opening = self._hops.layers[self._check(hop)].opening
        return DirectionReport(opening.received, opening.bad_tag, opening.replayed)

    def take_marks(self) -> tuple[int, int]:
        """Return how many cells came since last asked, and how many were marked.

        By a relay that is behind, as we take more than our share: send less.
        """
        return self._hops.layers.take_marks()

    # -- what to do with it

    def request(
        self, command: RelayCommand, data: bytes, now: Monotonic, hop: int | None = None
    ) -> int:
        """Ask ``hop`` (the last, if None); return the stream id of the answer.

        Raises:
            LocalProtocolError: If there is no such hop, the data does not fit, too much
                is being asked, or it is EXTEND, TRUNCATE or PING.
        """
        if command not in SERVICES:
            raise LocalProtocolError(f"{command.name} is not for request()")
        hop = self._check(self.hops if hop is None else hop)
        stream_id = self._hops.exchanges[hop - 1].request(command, data, now)
        self._hops.expectations.ask(hop, command)
        return stream_id

    def answer(self, hop: int, stream_id: int, data: bytes, now: Monotonic) -> None:
        """Answer a request of ``hop``; late answers are dropped."""
        if self._state is not OriginState.CLOSED and hop <= self.hops:
            self._hops.exchanges[hop - 1].answer(stream_id, data, now)

    def refuse(self, hop: int, stream_id: int, reason: Reason, now: Monotonic) -> None:
        """Refuse a request of ``hop``; late refusals are dropped."""
        if self._state is not OriginState.CLOSED and hop <= self.hops:
            self._hops.exchanges[hop - 1].refuse(stream_id, reason, now)

    def ping(self, hop: int, now: Monotonic) -> int:
        """Ask ``hop`` for a sign of life: a `Pong`, or `RequestFailed`."""
        exchange = self._hops.exchanges[self._check(hop) - 1]
        return exchange.request(RelayCommand.PING, b"", now)

    def send_blocks(
        self, blocks: Sequence[bytes], flags: Kind = Kind.PASS
    ) -> list[bytes]:
        """Return the cells that take session blocks to the last hop, none unless open.

        Args:
            blocks: 1,106 bytes each.
            flags: AUDIO and KEY_FRAME, for all of them; every relay sees them.
        """
        if self._state is not OriginState.OPEN:
            self.stats.blocks_dropped += len(blocks)
            return []
        return self._hops.layers.seal_blocks(blocks, flags & _MEDIA)

    def extend(self, spec: HopSpec, now: Monotonic) -> None:
        """Add one more hop: `CircuitBuilt`, or `ExtendFailed`, or the circuit closes.

        Raises:
            LocalProtocolError: If the circuit is not open or has four hops.
        """
        if self.hops == MAX_HOPS:
            raise LocalProtocolError("a circuit has at most four hops")
        self._move(OriginMove.EXTEND)
        self._building.path.append(spec)
        self._building.begun = now
        self._extend(now)

    def truncate(self, hop: int, now: Monotonic) -> None:
        """Cut off every hop behind ``hop``: `Truncated`, or the circuit closes.

        Raises:
            LocalProtocolError: If the circuit is not open or there is nothing to cut.
        """
        if not 1 <= hop < self.hops:
            raise LocalProtocolError(f"nothing behind hop {hop}")
        self._move(OriginMove.TRUNCATE)
        self._building.begun = now
        self._hops.exchanges[hop - 1].request(RelayCommand.TRUNCATE, b"", now)

    def destroy(self, reason: Reason = Reason.REQUESTED) -> None:
        """End the circuit; again is fine. ``reason`` is for our event, not for hop 1."""
        self._close(reason, None)

    # -- the machine

    def receive(self, cells: Sequence[bytes], now: Monotonic) -> None:
        """Take in cells of this circuit, in order of arrival; never raises."""
        blocks: list[bytes] = []
        if self._state is OriginState.CLOSED:
            return
        try:
            if all(len(cell) == CELL_SIZE and cell[4] == _RELAY for cell in cells):
                for hop, plaintext in self._hops.layers.open_each(cells):
                    self._receive_relay(hop, plaintext, blocks, now)
            else:
                for cell in cells:
                    self._receive_any(cell, blocks, now)
        except RemoteProtocolError:
            self._close(Reason.PROTOCOL, None)
        if blocks:
            self._events.append(events.BlocksReceived(blocks))

    def cells_to_send(self, now: Monotonic) -> list[bytes]:
        """Act on what is due; return all cells but blocks, oldest first."""
        self.handle_timeout(now)
        if self._state is not OriginState.CLOSED:
            self._outgoing += self._building.creation.cells_to_send(now)
            self._outgoing += self._hops.cells_to_send()
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def next_event(self) -> events.OriginEvent | None:
        """Return the oldest unread event, or None."""
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> Monotonic | None:
        """Return when to call `handle_timeout`, or None for never."""
        if self._state is OriginState.CLOSED:
            return None
        due = [self._hops.next_timeout(), self._building.creation.next_timeout()]
        if self._state is not OriginState.OPEN:
            due.append(self._deadline)
        return min((time for time in due if time is not None), default=None)

    def handle_timeout(self, now: Monotonic) -> None:
        """Repeat, give up and forget whatever is due."""
        if self._state is OriginState.CLOSED:
            return
        is_late = self._state is not OriginState.OPEN and now >= self._deadline
        if is_late or self._building.creation.has_failed(now):
            self._close(Reason.TIMEOUT, self.hops + 1)
            return
        for hop, exchange in enumerate(list(self._hops.exchanges), 1):
            exchange.handle_timeout(now)
            self._collect(hop, now)

    @property
    def _deadline(self) -> Monotonic:
        return Monotonic(self._building.begun + self._config.build_timeout)

    # -- what comes in

    def _receive_any(self, cell: bytes, blocks: list[bytes], now: Monotonic) -> None:
        if len(cell) == CELL_SIZE and cell[4] == _RELAY:
            self._receive_relay(*self._hops.layers.open(cell), blocks, now)
        elif self._state is not OriginState.CLOSED:
            self._receive_control(Cell.decode(cell), now)

    def _receive_relay(
        self, hop: int, plaintext: bytes | None, blocks: list[bytes], now: Monotonic
    ) -> None:
        if self._state is OriginState.CLOSED:
            return
        if plaintext is None:
            self._receive_bad(hop, now)
        elif plaintext.startswith(BLOCK_HEADER, 1):
            self._hops.expectations.check_block(hop)
            if not plaintext.endswith(BLOCK_PADDING[hop]):
                raise DecodeError("padding is not zero")
            blocks.append(plaintext[BLOCK_START:BLOCK_END])
        else:
            self._receive_message(hop, RelayMessage.decode(plaintext[1:]), now)

    def _receive_bad(self, hop: int, now: Monotonic) -> None:
        if hop == 0:
            self._excuse_stale("cell from behind the last hop", now)
        elif self._hops.layers[hop].has_new_bad_tag() and self._bad_tags.record(now):
            self._close(Reason.PROTOCOL, hop)

    def _receive_message(self, hop: int, message: RelayMessage, now: Monotonic) -> None:
        if message.stream_id == 0:
            self._hops.expectations.check_notice(hop, message.command)
            self._receive_notice(hop, message, now)
            return
        if message.command in TO_ORIGIN:
            self._hops.expectations.check_request(hop, message.command)
        self._hops.exchanges[hop - 1].receive(message, now)
        self._collect(hop, now)

    def _receive_notice(self, hop: int, message: RelayMessage, now: Monotonic) -> None:
        if message.command is RelayCommand.REPORT:
            report = Report.decode(message.data)
            loss = self._hops.record(hop, report, now)
            self._events.append(events.ReportReceived(hop, report, loss))
        elif message.command is RelayCommand.TRUNCATED:
            self._receive_truncated(hop, read_reason(message.data), now)
        elif message.data != b"\0":
            raise DecodeError(f"{message.command.name} of {len(message.data)} bytes")
        else:
            self._events.append(events.NoticeReceived(hop, message.command))

    def _receive_truncated(self, hop: int, reason: Reason, now: Monotonic) -> None:
        """The hop behind ``hop`` went away by itself."""
        has_rest = hop < self.hops
        if has_rest and self._state is OriginState.OPEN:
            self._cut(hop, reason, now)
        elif has_rest and self._state is OriginState.EXTENDING:
            self._close(reason, hop + 1)
        else:
            self._excuse_stale("nothing to truncate", now)

    def _excuse_stale(self, what: str, now: Monotonic) -> None:
        """Count what hops that come or go may cause; close for it otherwise."""
        if self.is_open and not self._hops.expectations.excuses_stale(now):
            raise RemoteProtocolError(what)
        self.stats.stale += 1

    def _receive_control(self, cell: Cell, now: Monotonic) -> None:
        if cell.command is CellCommand.DESTROY:
            self._close(Reason.from_wire(cell.body[0]), None, is_remote=True)
        elif cell.command is CellCommand.CREATED:
            reply = self._building.creation.receive(cell.body)
            if reply is not None:
                self._add_hop(reply, now)
        else:
            raise RemoteProtocolError(f"{cell.command.name} on a circuit")

    # -- what happens then

    def _collect(self, hop: int, now: Monotonic) -> None:
        """Move an exchange's events to ours, acting on those that are for us."""
        exchange = self._hops.exchanges[hop - 1]
        while (event := exchange.next_event()) is not None:
            if isinstance(event, events.RequestAnswered):
                self._receive_answer(event, now)
            elif (
                isinstance(event, events.RequestFailed) and event.command in _RESHAPING
            ):
                self._receive_failure(event)
            else:
                self._events.append(event)

    def _receive_answer(self, event: events.RequestAnswered, now: Monotonic) -> None:
        if event.command is RelayCommand.EXTENDED:
            self._add_hop(event.data, now)
        elif event.command is RelayCommand.TRUNCATED:
            self._cut(event.hop, read_reason(event.data), now)
        elif event.command is RelayCommand.PONG:
            if event.data:
                raise RemoteProtocolError("PONG with other bytes than PING")
            self._events.append(events.Pong(event.hop, event.round_trip))
        else:
            self._events.append(event)

    def _receive_failure(self, event: events.RequestFailed) -> None:
        """Only a refused extension leaves a complete circuit of known length."""
        is_extend = event.command is RelayCommand.EXTEND
        if is_extend and event.is_refused and self._was_built:
            self._move(OriginMove.EXTEND_FAILED)
            self._building.path.pop()
            self._events.append(events.ExtendFailed(event.reason))
        else:
            self._close(event.reason, event.hop + 1)

    def _add_hop(self, reply: bytes, now: Monotonic) -> None:
        hop = self._hops.add(self._building.finish(reply))
        self._events.append(events.HopAdded(hop, self._building.granted))
        if hop < len(self._building.path):
            self._move(OriginMove.HOP_ADDED)
            self._extend(now)
        else:
            self._move(OriginMove.BUILT)
            self._was_built = True
            self._events.append(
                events.CircuitBuilt(Seconds(now - self._building.begun))
            )

    def _extend(self, now: Monotonic) -> None:
        data = self._building.extend(self.hops + 1)
        self._hops.exchanges[-1].request(RelayCommand.EXTEND, data, now)

    def _cut(self, hop: int, reason: Reason, now: Monotonic) -> None:
        self._move(OriginMove.TRUNCATED)
        del self._building.path[hop:]
        self._events += self._hops.cut(hop, reason, now)
        self._events.append(events.Truncated(hop, reason))

    def _close(
        self, reason: Reason, hop: int | None, *, is_remote: bool = False
    ) -> None:
        if self._state is OriginState.CLOSED:
            return
        self._move(OriginMove.CLOSE)
        self._outgoing = []
        if not is_remote:
            cell = Cell(self.circuit_id, CellCommand.DESTROY, bytes([Reason.NONE]))
            self._outgoing.append(cell.encode())
        self._events.append(events.CircuitClosed(reason, hop, is_remote))

    def _move(self, move: OriginMove) -> None:
        self._state = after(ORIGIN_MOVES, self._state, move)

    def _check(self, hop: int) -> int:
        if self._state is OriginState.CLOSED or not 1 <= hop <= self.hops:
            raise LocalProtocolError(f"no hop {hop} in {self._state.name}")
        return hop
