"""A relay becomes a hop: from a client handshake to our end of a circuit."""

from collections.abc import Sequence

from psp.circuit.create import CreateReceived
from psp.circuit.hop import HopCircuit
from psp.circuit.stats import HopStats
from psp.crypto.circuit_handshake import answer
from psp.entropy import Entropy
from psp.errors import RemoteProtocolError
from psp.ids import NodeId
from psp.units import Monotonic


def accept(
    received: CreateReceived,
    *,
    node_id: NodeId,
    onion_privates: Sequence[bytes],
    entropy: Entropy,
    stats: HopStats,
    now: Monotonic,
) -> tuple[HopCircuit, bytes]:
    """Answer a client handshake.

    Args:
        received: From a `CreateTable`.
        node_id: Our own.
        onion_privates: Our onion keys, the current one first.
        entropy: For our half of the handshake.
        stats: Shared by all circuits of this relay.
        now: The time.

    Returns:
        Our end of the circuit, and the relay handshake for `CreateTable.answer`.

    Raises:
        RemoteProtocolError: If the handshake is bad (a `HandshakeError`), or was made
            for another place in the circuit than the neighbour gives us.
    """
    result = answer(
        received.client_handshake,
        node_id=node_id,
        onion_privates=onion_privates,
        entropy=entropy,
    )
    if result.hop != received.hop:
        raise RemoteProtocolError(f"hop {result.hop} in the place of {received.hop}")
    circuit = HopCircuit(received.circuit_id, result.hop, result.keys, stats, now)
    return circuit, result.reply
