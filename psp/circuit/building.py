"""The handshakes that build a circuit, one hop after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from psp.bandwidth import NO_BANDWIDTH, Bandwidth
from psp.circuit.create import Creation
from psp.crypto.circuit_handshake import ClientHandshake, HopKeys
from psp.entropy import Entropy
from psp.errors import LocalProtocolError, RemoteProtocolError
from psp.ids import CircuitId, NodeId
from psp.units import Monotonic
from psp.wire.endpoint import Endpoint
from psp.wire.extend import Extend
from psp.wire.onion import MAX_HOPS


@dataclass(frozen=True, slots=True)
class HopSpec:
    """A relay to build a circuit over.

    Attributes:
        node_id: Its identity.
        onion_key: Its X25519 onion key, 32 bytes.
        endpoints: Where it can be reached; the first one goes into EXTEND: of
            the worker that is to run the circuit.
        bandwidth: What to ask it for.
    """

    node_id: NodeId
    onion_key: bytes
    endpoints: tuple[Endpoint, ...]
    bandwidth: Bandwidth = NO_BANDWIDTH


class Building:
    """The path of a circuit and the handshake under way.

    Attributes:
        path: The relays wanted, hop 1 first.
        begun: When building, or extending, began.
        creation: The CREATE exchange with hop 1.
        granted: What the hop that answered last grants, in kbit/s.
    """

    __slots__ = ("_entropy", "_handshake", "begun", "creation", "granted", "path")

    def __init__(
        self,
        circuit_id: CircuitId,
        path: Sequence[HopSpec],
        entropy: Entropy,
        now: Monotonic,
    ) -> None:
        """Begin with hop 1.

        Raises:
            LocalProtocolError: If the path does not have 1 … 4 hops with endpoints, or
                the first relay's onion key is of low order.
        """
        if not 1 <= len(path) <= MAX_HOPS:
            raise LocalProtocolError(f"path of {len(path)} hops")
        self.path = list(path)
        self.begun = now
        self.granted = 0
        self._entropy = entropy
        handshake = self._shake(1)
        self._handshake: ClientHandshake | None = handshake
        self.creation = Creation(circuit_id, 1, handshake.message, now)

    def extend(self, hop: int) -> bytes:
        """Begin the handshake with ``hop``; return the data of EXTEND."""
        handshake = self._handshake = self._shake(hop)
        spec = self.path[hop - 1]
        return Extend(spec.node_id, spec.endpoints[0], handshake.message).encode()

    def finish(self, reply: bytes) -> HopKeys:
        """Finish the handshake under way.

        Raises:
            RemoteProtocolError: If the reply is not that relay's.
        """
        handshake, self._handshake = self._handshake, None
        if handshake is None:
            raise RemoteProtocolError("no handshake is under way")
        keys = handshake.finish(reply)
        self.granted = handshake.granted
        return keys

    def _shake(self, hop: int) -> ClientHandshake:
        spec = self.path[hop - 1]
        if not spec.endpoints:
            raise LocalProtocolError(f"no endpoint for hop {hop}")
        return ClientHandshake(
            spec.node_id, spec.onion_key, hop, self._entropy, spec.bandwidth
        )
