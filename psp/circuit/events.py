"""What circuits tell their owners.

A hop's index (1 … 4) says where on the circuit it happened; the relay's end fills in
its own.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from psp.circuit.report import Report
from psp.circuit.segments import SegmentLoss
from psp.ids import NodeId
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.relay_message import RelayCommand


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """The other end asks; give `answer` or `refuse` within 30 s.

    Attributes:
        hop: Who asks (at the origin), or our own index (at a hop).
        stream_id: Names the request in the answer.
        command: What is asked.
        data: The whole data, without part bytes.
    """

    hop: int
    stream_id: int
    command: RelayCommand
    data: bytes


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """Our request was answered.

    Attributes:
        hop: Who answered (at the origin), or our own index (at a hop).
        stream_id: What `request` returned.
        command: The answer's command.
        data: The whole data, without part bytes.
        round_trip: Since the request was sent; None when it was sent more than once,
            as nobody knows which sending was answered.
    """

    hop: int
    stream_id: int
    command: RelayCommand
    data: bytes
    round_trip: Seconds | None


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """Our request was refused, or never answered (`Reason.TIMEOUT`).

    Attributes:
        hop: Who was asked (at the origin), or our own index (at a hop).
        stream_id: What `request` returned.
        command: What was asked.
        reason: As given by REFUSED, or TIMEOUT.
        is_refused: Whether the other end said so, rather than nothing.
    """

    hop: int
    stream_id: int
    command: RelayCommand
    reason: Reason
    is_refused: bool


ExchangeEvent: TypeAlias = RequestReceived | RequestAnswered | RequestFailed


@dataclass(frozen=True, slots=True)
class HopAdded:
    """One more hop answered with a good handshake.

    Attributes:
        hop: Its index.
        granted: What it grants of the bandwidth asked for, in kbit/s.
    """

    hop: int
    granted: int = 0


@dataclass(frozen=True, slots=True)
class CircuitBuilt:
    """All hops that were asked for are there; also after a later `extend`.

    Attributes:
        build_time: Since the circuit, or the extension, was begun.
    """

    build_time: Seconds


@dataclass(frozen=True, slots=True)
class CircuitClosed:
    """The circuit is gone; whatever was asked on it will not be answered.

    Attributes:
        reason: Why.
        hop: Whose fault or absence it was, None when that is unknown.
        is_remote: Whether the first relay ended it.
    """

    reason: Reason
    hop: int | None
    is_remote: bool


@dataclass(frozen=True, slots=True)
class ExtendFailed:
    """A later extension was refused; the circuit is as it was before.

    Attributes:
        reason: As given by the last hop.
    """

    reason: Reason


@dataclass(frozen=True, slots=True)
class Truncated:
    """Everything behind ``hop`` is gone, as asked or by itself.

    Attributes:
        hop: Now the last.
        reason: REQUESTED when we asked.
    """

    hop: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class BlocksReceived:
    """Session blocks from the last hop, in order of arrival.

    Attributes:
        blocks: 1,106 bytes each.
    """

    blocks: list[bytes]


@dataclass(frozen=True, slots=True)
class NoticeReceived:
    """The last hop tells something unasked (JOINED at a rendezvous).

    Attributes:
        hop: Who.
        command: What.
    """

    hop: int
    command: RelayCommand


@dataclass(frozen=True, slots=True)
class Pong:
    """A hop is alive.

    Attributes:
        hop: Which.
        round_trip: None when the PING was sent more than once.
    """

    hop: int
    round_trip: Seconds | None


@dataclass(frozen=True, slots=True)
class ReportReceived:
    """A hop's ten-second report.

    Attributes:
        hop: Whose.
        report: What it counted.
        loss: On the segment before it, lately.
    """

    hop: int
    report: Report
    loss: SegmentLoss


OriginEvent: TypeAlias = (
    ExchangeEvent
    | HopAdded
    | CircuitBuilt
    | CircuitClosed
    | ExtendFailed
    | Truncated
    | BlocksReceived
    | NoticeReceived
    | Pong
    | ReportReceived
)


@dataclass(frozen=True, slots=True)
class ExtendRequested:
    """The origin wants another hop: create it, then `extended` or `extend_failed`.

    Attributes:
        stream_id: Names the request in the answer.
        node_id: The relay to extend to.
        endpoint: To be checked against the registry.
        client_handshake: What goes into the CREATE cells.
    """

    stream_id: int
    node_id: NodeId
    endpoint: Endpoint
    client_handshake: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TruncateRequested:
    """The origin wants the rest gone; it is answered already.

    The relay sends DESTROY to the next hop and forgets it.
    """


@dataclass(frozen=True, slots=True)
class HopClosed:
    """The origin broke the protocol: destroy the circuit both ways.

    Attributes:
        reason: What DESTROY says.
    """

    reason: Reason


HopEvent: TypeAlias = ExchangeEvent | ExtendRequested | TruncateRequested | HopClosed
