"""The relay's end of one circuit.

A relay moves far more cells than it answers messages: this class has two halves. The
fast one makes no objects. For a cell from the origin's side::

    plaintext = hop.open_forward(cell, now)
    if plaintext is None:         pass  # bad, or dealt with here
    elif plaintext[0] & 1:        block = hop.block_of(plaintext)
    else:                         send hop.next_head + plaintext[1:] + hop.next_padding

and for a cell from the next hop, `backward_cell`. A relay has its own loop of the same.

The slow half is a machine: after any call, send `cells_to_send`, handle `next_event`
until None, and arm a timer for `next_timeout`. Its states are in `psp.circuit.state`. A
breach of the protocol closes the circuit: it emits `HopClosed` and is deaf from then on.
"""

from collections import deque

from psp.circuit.blocks import BLOCK_HEADER, BLOCK_PADDING
from psp.circuit.commands import TO_HOP
from psp.circuit.events import (
    ExtendRequested,
    HopClosed,
    HopEvent,
    RequestReceived,
    TruncateRequested,
)
from psp.circuit.exchange import FIRST_HOP_STREAM, Exchange
from psp.circuit.hop_layer import HopLayer
from psp.circuit.limits import HopLimits
from psp.circuit.report import hop_report
from psp.circuit.report_times import Look, ReportTimes
from psp.circuit.state import HOP_MOVES, HOP_TAKES, HopMove, HopState, after
from psp.circuit.stats import HopStats
from psp.crypto.circuit_handshake import HopKeys
from psp.errors import DecodeError, RemoteProtocolError
from psp.ids import CircuitId
from psp.units import Monotonic, Seconds
from psp.wire.cell import HEADER, CellCommand, Reason
from psp.wire.extend import Extend
from psp.wire.onion import KIND_MASK, MAX_HOPS, Kind, message_capacity
from psp.wire.relay_message import RelayCommand, RelayMessage

LOST_NOTICE_INTERVAL = Seconds(1.0)

_MESSAGE = int(Kind.MESSAGE)
_EARLY = int(Kind.EARLY)
_NOT_PLAIN = 0xFF & ~int(Kind.AUDIO | Kind.KEY_FRAME)
_RESERVED = 0xFF & ~KIND_MASK


class HopCircuit(HopLayer):
    """One relay's end of one circuit.

    Attributes:
        dropped_forward: Cells to the next hop that the relay's queue threw away; the
            relay counts, we report.
        dropped_backward: The same towards the origin.
    """

    __slots__ = (
        "_asked_stream_id",
        "_events",
        "_exchange",
        "_extend_stream_id",
        "_limits",
        "_lost_reason",
        "_lost_told",
        "_outgoing",
        "_own_cells",
        "_report_times",
        "_start",
        "_state",
        "_stats",
        "dropped_backward",
        "dropped_forward",
    )

    def __init__(
        self,
        circuit_id: CircuitId,
        hop: int,
        keys: HopKeys,
        stats: HopStats,
        now: Monotonic,
    ) -> None:
        super().__init__(circuit_id, hop, keys)
        self.dropped_forward = 0
        self.dropped_backward = 0
        self._stats = stats
        self._state = HopState.LAST
        self._start = self.sealing.counter
        self._own_cells = 0
        self._extend_stream_id = 0
        self._limits = HopLimits()
        self._exchange: Exchange | None = None
        self._asked_stream_id = FIRST_HOP_STREAM
        self._lost_reason: Reason | None = None
        self._lost_told = now
        self._outgoing: list[bytes] | None = None
        self._events: deque[HopEvent] | None = None
        self._report_times = ReportTimes(now)

    @property
    def state(self) -> HopState:
        """Where this end stands."""
        return self._state

    # -- cells passing through

    def open_forward(self, cell: bytes, now: Monotonic) -> bytes | None:
        """Open our layer of a whole RELAY cell from the origin's side.

        Returns:
            ``kind 1 | inner``: something to pass on, or (kind has MESSAGE) a BLOCK whose
            shape was checked; None when nothing is left for the caller to do but to
            look for cells and events.
        """
        return self.judge(self.opening.open(cell, 5, self.body_end), now)

    def judge(self, plaintext: bytes | None, now: Monotonic) -> bytes | None:
        """Do what `open_forward` does once a cell is opened.

        What has no kind bits but audio and key frame, and a next hop, passes unjudged.
        """
        if plaintext is None:
            self._count_bad(now)
            return None
        kind = plaintext[0]
        if not kind & _NOT_PLAIN and self.next_head is not None:
            return plaintext
        return self._sort(plaintext, kind, now)

    # -- the machine

    def cells_to_send(self, now: Monotonic) -> list[bytes]:
        """Act on what is due; return our own cells towards the origin, oldest first."""
        self.handle_timeout(now)
        if self._exchange is not None:
            for message in self._exchange.messages_to_send():
                self._send(message)
        outgoing, self._outgoing = self._outgoing, None
        return outgoing or []

    def next_event(self) -> HopEvent | None:
        """Return the oldest unread event, or None."""
        if self._events:
            return self._events.popleft()
        self._events = None
        return None

    def next_timeout(self) -> Monotonic | None:
        """Return when to call `handle_timeout`, or None once closed."""
        if self._state is HopState.CLOSED:
            return None
        report = self._report_times.next_timeout()
        due = None if self._exchange is None else self._exchange.next_timeout()
        return report if due is None else min(due, report)

    def handle_timeout(self, now: Monotonic) -> None:
        """Repeat, give up, forget and report whatever is due."""
        if self._state is HopState.CLOSED:
            return
        if self._exchange is not None:
            self._exchange.handle_timeout(now)
            self._collect(now)
            self._forget_exchange()
        if self._report_times.is_due(now):
            self._look(now)

    def extended(
        self,
        stream_id: int,
        next_circuit_id: CircuitId,
        relay_handshake: bytes,
        now: Monotonic,
    ) -> None:
        """Tell the origin, unless it changed its mind, and pass cells on."""
        if not self._is_extending(stream_id):
            return
        self._move(HopMove.EXTENDED)
        self.next_head = HEADER.pack(next_circuit_id, CellCommand.RELAY)
        self._exchange_now().answer(stream_id, relay_handshake, now)

    def extend_failed(self, stream_id: int, reason: Reason, now: Monotonic) -> None:
        """The next hop cannot be had: refuse."""
        if self._is_extending(stream_id):
            self._move(HopMove.EXTEND_FAILED)
            self._exchange_now().refuse(stream_id, reason, now)

    def next_closed(self, reason: Reason, now: Monotonic) -> None:
        """The next hop, or the link to it, went away: tell the origin.

        Told again, at most once a second, for cells that still ask to be passed on.
        """
        if self._state is HopState.PASSING:
            self._move(HopMove.NEXT_CLOSED)
            self.next_head = None
            self._lost_reason = reason
            self._tell_lost(now)

    def request(self, command: RelayCommand, data: bytes, now: Monotonic) -> int | None:
        """Ask the origin; return the stream id, or None if it is asked too much."""
        exchange = self._exchange_now()
        if self._state is HopState.CLOSED or not exchange.can_ask:
            return None
        return exchange.request(command, data, now)

    def answer(self, stream_id: int, data: bytes, now: Monotonic) -> None:
        """Answer a request of the origin; late answers are dropped."""
        if self._exchange is not None and self._state is not HopState.CLOSED:
            self._exchange.answer(stream_id, data, now)

    def refuse(self, stream_id: int, reason: Reason, now: Monotonic) -> None:
        """Refuse a request of the origin; late refusals are dropped."""
        if self._exchange is not None and self._state is not HopState.CLOSED:
            self._exchange.refuse(stream_id, reason, now)

    def warn(self, now: Monotonic) -> None:
        """Report in a marked cell, 100 ms after the last report at the soonest."""
        self._report_times.warn(now)

    def joined(self) -> None:
        """Tell the origin that established here, once, that the other has joined."""
        if self._state is not HopState.CLOSED:
            self._send(RelayMessage(RelayCommand.JOINED, 0, b"\0"))

    def close(self) -> None:
        """Forget everything; the relay destroys the circuit. May be called again."""
        self._move(HopMove.CLOSE)
        self.next_head = None
        self._exchange = None
        self._outgoing = None

    # -- what the origin says

    def _sort(self, plaintext: bytes, kind: int, now: Monotonic) -> bytes | None:
        if self._state is HopState.CLOSED:
            return None
        try:
            if kind & _RESERVED:
                raise DecodeError("reserved kind bits are not zero")
            if kind & _EARLY:
                self._limits.count_early()
            if kind & _MESSAGE:
                return self._open_message(plaintext, kind, now)
        except RemoteProtocolError:
            self._break()
            return None
        if self.next_head is not None:
            return plaintext
        self._stats.not_extended += 1
        if self._lost_reason is not None:
            self._tell_lost(now)
        return None

    def _open_message(
        self, plaintext: bytes, kind: int, now: Monotonic
    ) -> bytes | None:
        if plaintext.startswith(BLOCK_HEADER, 1):
            if not plaintext.endswith(BLOCK_PADDING[self.hop]):
                raise DecodeError("padding is not zero")
            if self._state is HopState.LAST:
                return plaintext
            self._stats.not_last += 1
            return None
        message = RelayMessage.decode(plaintext[1:])
        if message.command is RelayCommand.EXTEND and not kind & _EARLY:
            raise RemoteProtocolError("EXTEND in a cell that is not EARLY")
        self._exchange_now().receive(message, now)
        self._collect(now)
        return None

    def _collect(self, now: Monotonic) -> None:
        """Move the exchange's events to ours, acting on those that are for us."""
        exchange = self._exchange_now()
        while (event := exchange.next_event()) is not None:
            if not isinstance(event, RequestReceived):
                self._emit(event)
            elif self._state not in HOP_TAKES[event.command]:
                raise RemoteProtocolError(f"{event.command.name} in {self._state.name}")
            elif event.command is RelayCommand.EXTEND:
                self._begin_extend(event, now)
            elif event.command is RelayCommand.TRUNCATE:
                self._truncate(event, now)
            else:
                self._emit(event)

    def _begin_extend(self, event: RequestReceived, now: Monotonic) -> None:
        extend = Extend.decode(event.data)
        if self.hop == MAX_HOPS or not self._limits.allows_extend():
            self._exchange_now().refuse(event.stream_id, Reason.RESOURCE_LIMIT, now)
            return
        self._move(HopMove.EXTEND)
        self._extend_stream_id = event.stream_id
        self._lost_reason = None
        self._emit(
            ExtendRequested(
                event.stream_id,
                extend.node_id,
                extend.endpoint,
                extend.client_handshake,
            )
        )

    def _truncate(self, event: RequestReceived, now: Monotonic) -> None:
        if event.data:
            raise DecodeError(f"TRUNCATE of {len(event.data)} bytes")
        has_rest = self._state is not HopState.LAST
        if self._state is HopState.EXTENDING:
            self._exchange_now().refuse(self._extend_stream_id, Reason.REQUESTED, now)
        self._move(HopMove.TRUNCATE)
        self.next_head = None
        self._lost_reason = None
        self._exchange_now().answer(event.stream_id, bytes([Reason.REQUESTED]), now)
        if has_rest:
            self._emit(TruncateRequested())

    def _is_extending(self, stream_id: int) -> bool:
        return self._state is HopState.EXTENDING and stream_id == self._extend_stream_id

    # -- limits

    def _count_bad(self, now: Monotonic) -> None:
        if not self._limits.is_bad_tag(self.opening.bad_tag):
            self._stats.replayed += 1
            return
        self._stats.bad_tag += 1
        if self._limits.record_bad_tag(now) and self._state is not HopState.CLOSED:
            self._stats.too_many_bad_tags += 1
            self._break()

    def _break(self) -> None:
        self._stats.protocol += 1
        self.close()
        self._emit(HopClosed(Reason.PROTOCOL))

    # -- what we say

    def _look(self, now: Monotonic) -> None:
        passed_back = self.sealing.counter - self._start - self._own_cells
        look = self._report_times.look(self.opening.received + passed_back, now)
        if look is Look.REST:
            self.rest()
        elif look is not Look.WAIT:
            mark = Kind.CONGESTED if look is Look.WARN else Kind.PASS
            report = hop_report(
                self.opening, self.dropped_forward, passed_back, self.dropped_backward
            )
            self._send(RelayMessage(RelayCommand.REPORT, 0, report.encode()), mark)

    def _tell_lost(self, now: Monotonic) -> None:
        reason = self._lost_reason
        if reason is not None and now >= self._lost_told:
            self._lost_told = Monotonic(now + LOST_NOTICE_INTERVAL)
            self._send(RelayMessage(RelayCommand.TRUNCATED, 0, bytes([reason])))

    def _send(self, message: RelayMessage, mark: Kind = Kind.PASS) -> None:
        self._own_cells += 1
        if self._outgoing is None:
            self._outgoing = []
        self._outgoing.append(self.message_cell(message, mark))

    def _emit(self, event: HopEvent) -> None:
        if self._events is None:
            self._events = deque()
        self._events.append(event)

    def _move(self, move: HopMove) -> None:
        self._state = after(HOP_MOVES, self._state, move)

    def _exchange_now(self) -> Exchange:
        if self._exchange is None:
            self._exchange = Exchange(
                self.hop,
                first_stream_id=self._asked_stream_id,
                accepts=TO_HOP,
                capacity=message_capacity(self.hop),
            )
        return self._exchange

    def _forget_exchange(self) -> None:
        if self._exchange is not None and self._exchange.is_idle:
            self._asked_stream_id = self._exchange.next_stream_id
            self._exchange = None
