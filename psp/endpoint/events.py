"""What a client machine tells its owner."""

from dataclasses import dataclass

from psp.circuit.events import OriginEvent
from psp.endpoint.session import SessionEvent
from psp.link.events import LinkEvent


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """Something happened on a circuit.

    Attributes:
        key: The circuit, as `ClientMachine.open_circuit` named it.
        event: What.
    """

    key: int
    event: OriginEvent


@dataclass(frozen=True, slots=True)
class HandshakeBlock:
    """A block of a session handshake came over a circuit."""

    key: int
    block: bytes


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """Something happened in a session.

    Attributes:
        key: The session, as `ClientMachine.add_session` named it.
        event: What.
    """

    key: int
    event: SessionEvent


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """A link opened or closed."""

    event: LinkEvent


ClientEvent = CircuitChanged | HandshakeBlock | SessionChanged | LinkChanged
