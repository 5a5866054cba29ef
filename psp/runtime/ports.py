"""What the services of one process may ask of each other.

`cli.assembly` hands a provider to each user; `relay`, `presence` and `discovery` never
import each other.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from psp.ids import NodeId
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand


class RefusedError(Exception):
    """Raised by a circuit request handler: answer REFUSED with this reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CircuitPeer:
    """The origin of a circuit that ends here, as a service sees it.

    Attributes:
        key: Names the circuit in this process until it closes; opaque.
        handshake_hash: Of this hop's circuit handshake, 32 bytes; registrations are
            bound to it.
    """

    key: int
    handshake_hash: bytes


CircuitHandler = Callable[[CircuitPeer, bytes], Awaitable[bytes]]
"""Takes a request's whole data, returns the answer's; may raise `RefusedError`."""

LinkHandler = Callable[[NodeId, bytes], Awaitable[bytes | None]]
"""Takes the asking relay and its request; None sends no answer."""


class CircuitPort(Protocol):
    """Requests over circuits that end at this relay. Provided by the relay service."""

    def serve(self, command: RelayCommand, handler: CircuitHandler) -> None:
        """Call ``handler`` for every request of this command."""

    async def ask(self, key: int, command: RelayCommand, data: bytes) -> bytes | None:
        """Ask the origin of a circuit; None when it is gone, refuses or is silent."""
        ...

    def cells_from(self, key: int) -> int | None:
        """Return how many cells came from a circuit's origin; None if it is gone."""
        ...

    def on_circuit_closed(self, listener: Callable[[int], None]) -> None:
        """Call ``listener(key)`` whenever a circuit ends."""


class LinkPort(Protocol):
    """Requests to other relays over links (SERVICE cells). Provided by the relay."""

    def serve(self, service: int, handler: LinkHandler) -> None:
        """Call ``handler`` for every request to this service."""

    async def request(
        self, node_id: NodeId, service: int, data: bytes, within: Seconds
    ) -> bytes | None:
        """Ask another relay, at most 1,183 bytes each way; None without an answer."""
        ...
