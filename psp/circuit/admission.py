"""A relay becomes a hop: from a client handshake to our end of a circuit."""

from collections.abc import Sequence

from psp.circuit.create import CreateReceived
from psp.circuit.hop import HopCircuit
from psp.circuit.stats import HopStats
from psp.crypto.circuit_handshake import RelayHandshake
from psp.entropy import Entropy
from psp.errors import RemoteProtocolError
from psp.ids import NodeId
from psp.units import Monotonic


def read_handshake(
    received: CreateReceived, *, node_id: NodeId, onion_privates: Sequence[bytes]
) -> RelayHandshake:
    """Read a client handshake: what it asks for can still be refused.

    Args:
        received: From a `CreateTable`.
        node_id: Our own.
        onion_privates: Our onion keys, the current one first.

    Raises:
        RemoteProtocolError: If the handshake is bad (a `HandshakeError`), or was made
            for another place in the circuit than the neighbour gives us.
    """
    handshake = RelayHandshake(
        received.client_handshake, node_id=node_id, onion_privates=onion_privates
    )
    if handshake.hop != received.hop:
        raise RemoteProtocolError(f"hop {handshake.hop} in the place of {received.hop}")
    return handshake


def accept(
    received: CreateReceived,
    handshake: RelayHandshake,
    granted: int,
    *,
    entropy: Entropy,
    stats: HopStats,
    now: Monotonic,
) -> tuple[HopCircuit, bytes]:
    """Answer a client handshake.

    Args:
        received: From a `CreateTable`.
        handshake: As read from it.
        granted: Bandwidth, in kbit/s, within what is asked for.
        entropy: For our half of the handshake.
        stats: Shared by all circuits of this relay.
        now: The time.

    Returns:
        Our end of the circuit, and the relay handshake for `CreateTable.answer`.

    Raises:
        RemoteProtocolError: If the client's ML-KEM key is bad.
    """
    result = handshake.answer(granted, entropy)
    circuit = HopCircuit(received.circuit_id, handshake.hop, result.keys, stats, now)
    return circuit, result.reply
