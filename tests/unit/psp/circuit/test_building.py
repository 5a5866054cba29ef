"""Handshakes of a circuit under construction."""

from dataclasses import replace

import pytest

from psp.bandwidth import Bandwidth
from psp.circuit.building import Building, HopSpec
from psp.crypto.circuit_handshake import RelayHandshake
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.errors import LocalProtocolError, RemoteProtocolError
from psp.ids import CircuitId, NodeId
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic
from psp.wire.endpoint import Endpoint
from psp.wire.extend import Extend

ENTROPY = SeededEntropy("building")
PRIVATE = x25519_generate(ENTROPY)
SPEC = HopSpec(
    NodeId(b"n" * 32),
    x25519_public(PRIVATE),
    (Endpoint("192.0.2.1", 1), Endpoint("192.0.2.2", 2)),
)


def building(path=(SPEC, SPEC)):
    return Building(CircuitId(2), path, ENTROPY, Monotonic(0.0))


def read(handshake):
    return RelayHandshake(handshake, node_id=b"n" * 32, onion_privates=[PRIVATE])


def reply_to(handshake):
    return read(handshake).answer(0, ENTROPY)


def test_each_hop_has_a_handshake_of_its_own_for_its_place():
    under_way = building()

    extend = Extend.decode(under_way.extend(2))
    reply = reply_to(extend.client_handshake)

    assert (extend.node_id, extend.endpoint) == (SPEC.node_id, SPEC.endpoints[0])
    assert read(extend.client_handshake).hop == 2
    keys = under_way.finish(reply.reply)
    assert keys.handshake_hash == reply.keys.handshake_hash


def test_each_hop_is_asked_for_its_own_bandwidth():
    asking = [
        replace(SPEC, bandwidth=Bandwidth(8 * hop, 80 * hop)) for hop in range(1, 4)
    ]
    under_way = building(asking)

    for hop in (2, 3):
        handshake = read(Extend.decode(under_way.extend(hop)).client_handshake)
        assert handshake.bandwidth == Bandwidth(8 * hop, 80 * hop)
        under_way.finish(handshake.answer(16 * hop, ENTROPY).reply)
        assert under_way.granted == 16 * hop


def test_a_reply_is_taken_once():
    under_way = building()
    reply = reply_to(Extend.decode(under_way.extend(2)).client_handshake)
    under_way.finish(reply.reply)

    with pytest.raises(RemoteProtocolError, match="no handshake"):
        under_way.finish(reply.reply)


def test_a_forged_reply_is_refused():
    with pytest.raises(RemoteProtocolError):
        building().finish(bytes(1184))


@pytest.mark.parametrize("length", [0, 5])
def test_paths_have_one_to_four_hops(length):
    with pytest.raises(LocalProtocolError, match=f"{length} hops"):
        building([SPEC] * length)


def test_a_hop_needs_an_endpoint():
    with pytest.raises(LocalProtocolError, match="endpoint"):
        building([HopSpec(SPEC.node_id, SPEC.onion_key, ())])
