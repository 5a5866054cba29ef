"""What the relay machine tells its owner. Control only: nothing per forwarded cell."""

from dataclasses import dataclass, field

from psp.ids import LinkId, NodeId
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """An origin asks something that a service must answer.

    Attributes:
        key: Names the circuit until `CircuitClosed`.
        stream_id: To be given back to ``answer`` or ``refuse``.
        command: What is asked.
        data: The whole request.
        handshake_hash: Of this hop's handshake with the origin, 32 bytes.
    """

    key: int
    stream_id: int
    command: RelayCommand
    data: bytes = field(repr=False)
    handshake_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """What became of a question to an origin.

    Attributes:
        token: What ``ask`` returned.
        data: The answer; None when refused, silent, or the circuit ended.
    """

    token: int
    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServiceRequested:
    """Another relay asks one of our services.

    Attributes:
        token: To be given back to ``service_answer``.
        node_id: Who asks.
        service: Which service (SPEC.md section 2).
        data: The request.
    """

    token: int
    node_id: NodeId = field(repr=False)
    service: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServiceAnswered:
    """What became of our request to another relay.

    Attributes:
        token: What ``service_request`` returned.
        data: The answer; None when there was none in time.
    """

    token: int
    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CircuitClosed:
    """A circuit ended: everything worth one log line.

    Attributes:
        key: Its name in this process.
        reason: Why.
        age: How long it lived.
        hop: Which hop of it this relay was.
        cells_forward: Opened here, away from the origin.
        cells_backward: Sealed here, towards the origin.
        bad_cells: Forward cells that did not open.
        was_joined: Whether it was half of a rendezvous.
    """

    key: int
    reason: Reason
    age: Seconds
    hop: int
    cells_forward: int
    cells_backward: int
    bad_cells: int
    was_joined: bool


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A link is open.

    Attributes:
        link: Its name in this process.
        peer: The relay at its other end; None for a client.
    """

    link: LinkId
    peer: NodeId | None


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A link ended.

    Attributes:
        link: Its name in this process.
        peer: The relay at its other end; None for a client.
        reason: In the link machine's words.
        circuits: How many circuits ended with it.
    """

    link: LinkId
    peer: NodeId | None
    reason: str
    circuits: int


RelayEvent = (
    RequestReceived
    | RequestAnswered
    | ServiceRequested
    | ServiceAnswered
    | CircuitClosed
    | LinkUp
    | LinkDown
)
