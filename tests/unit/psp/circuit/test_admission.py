"""From a client handshake to a hop."""

import pytest

from psp.bandwidth import Bandwidth
from psp.circuit.admission import accept, read_handshake
from psp.circuit.create import CreateReceived
from psp.circuit.state import HopState
from psp.circuit.stats import HopStats
from psp.crypto.circuit_handshake import ClientHandshake
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.errors import RemoteProtocolError
from psp.ids import CircuitId, NodeId
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic

ENTROPY = SeededEntropy("admission")
NODE_ID = NodeId(ENTROPY.token(32))
OLD_KEY, NEW_KEY = x25519_generate(ENTROPY), x25519_generate(ENTROPY)


def admit(handshake, hop, granted=0):
    received = CreateReceived(CircuitId(6), hop, handshake)
    read = read_handshake(received, node_id=NODE_ID, onion_privates=[NEW_KEY, OLD_KEY])
    return accept(
        received,
        read,
        granted,
        entropy=ENTROPY,
        stats=HopStats(),
        now=Monotonic(0.0),
    )


@pytest.mark.parametrize("key", [OLD_KEY, NEW_KEY])
@pytest.mark.parametrize("hop", [1, 2, 3, 4])
def test_both_ends_have_the_same_keys_afterwards(hop, key):
    client = ClientHandshake(NODE_ID, x25519_public(key), hop, ENTROPY)

    circuit, reply = admit(client.message, hop)

    assert circuit.handshake_hash == client.finish(reply).handshake_hash
    assert circuit.hop == hop
    assert circuit.state is HopState.LAST


def test_the_client_learns_what_is_granted():
    asked = Bandwidth(480, 3000)
    client = ClientHandshake(NODE_ID, x25519_public(NEW_KEY), 1, ENTROPY, asked)

    _, reply = admit(client.message, 1, granted=800)
    client.finish(reply)

    assert client.granted == 800


def test_a_handshake_for_another_place_in_the_circuit_is_refused():
    client = ClientHandshake(NODE_ID, x25519_public(NEW_KEY), 2, ENTROPY)

    with pytest.raises(RemoteProtocolError, match="hop 2 in the place of 3"):
        admit(client.message, 3)


def test_a_bad_handshake_is_refused():
    client = ClientHandshake(NODE_ID, x25519_public(NEW_KEY), 1, ENTROPY)

    forged = client.message[:-1] + bytes([client.message[-1] ^ 1])

    with pytest.raises(RemoteProtocolError):
        admit(forged, 1)
