"""An origin builds and extends its circuit through a chain of real hops."""

import pytest

from psp.circuit.config import CircuitConfig
from psp.circuit.events import CircuitBuilt, ExtendFailed, HopAdded
from psp.circuit.origin import HopSpec
from psp.circuit.state import OriginState
from psp.errors import LocalProtocolError
from psp.ids import NodeId
from psp.testing.circuits import CircuitRig
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.relay_message import RelayCommand, RelayMessage
from tests.unit.psp.circuit.origin_rig import closed_for, say


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_circuit_of_any_length_is_built(hops):
    rig = CircuitRig(hops)

    circuit = rig.build(range(hops))
    rig.run(Seconds(2.0))

    assert circuit.is_open
    added = [HopAdded(hop) for hop in range(1, hops + 1)]
    build_time = pytest.approx(0.02 * hops * (hops + 1))
    assert rig.events[0] == [*added, CircuitBuilt(build_time)]
    assert [relay.created for relay in rig.relays] == [1] * hops
    assert circuit.hops == len(circuit.path) == hops
    for number, relay in enumerate(rig.relays):
        assert circuit.handshake_hash(number + 1) == relay.route.hop.handshake_hash
    assert circuit.stats.early_sent == 2 * (hops - 1)


def test_a_fourth_hop_is_added_later():
    rig = CircuitRig(4)
    circuit = rig.built(3)

    circuit.extend(rig.relays[3].spec, rig.now)
    assert circuit.state is OriginState.EXTENDING
    rig.run(Seconds(1.0))

    assert rig.events[0] == [HopAdded(4), CircuitBuilt(pytest.approx(0.16))]
    assert circuit.is_open
    with pytest.raises(LocalProtocolError, match="four hops"):
        circuit.extend(rig.relays[0].spec, rig.now)


def test_a_refused_extension_leaves_the_circuit_as_it_was():
    rig = CircuitRig(3)
    circuit = rig.built(2)
    real = rig.relays[2].spec
    unknown = HopSpec(NodeId(b"x" * 32), real.onion_key, real.endpoints)

    circuit.extend(unknown, rig.now)
    rig.run(Seconds(1.0))
    assert rig.events[0] == [ExtendFailed(Reason.NO_SUCH_NODE)]
    assert circuit.hops == len(circuit.path) == 2

    circuit.extend(real, rig.now)
    rig.run(Seconds(1.0))
    assert rig.events[0][-1] == CircuitBuilt(pytest.approx(0.12))


@pytest.mark.parametrize("hops", [2, 3])
def test_a_dead_relay_fails_an_extension_but_not_the_circuit(hops):
    rig = CircuitRig(4)
    circuit = rig.built(hops)
    rig.fate = lambda p: [] if hops in (p.sender, p.receiver) else [(0.02, p.cell)]

    circuit.extend(rig.relays[hops].spec, rig.now)
    rig.run(Seconds(4.0))

    assert rig.events[0] == [ExtendFailed(Reason.TIMEOUT)]
    assert circuit.is_open


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_dead_relay_fails_the_build_and_is_named(dead):
    rig = CircuitRig(3)
    rig.fate = lambda p: [] if dead in (p.sender, p.receiver) else [(0.02, p.cell)]

    rig.build(range(3))
    rig.run(Seconds(9.0))

    assert rig.events[0][-1] == closed_for(Reason.TIMEOUT, dead + 1)
    assert [len(relay.routes) for relay in rig.relays] == [0, 0, 0]


def test_building_takes_no_longer_than_configured():
    rig = CircuitRig(1)
    rig.fate = lambda passage: []

    circuit = rig.build([0], CircuitConfig(build_timeout=Seconds(1.0)))
    assert circuit.next_timeout() == 0.25
    rig.run(Seconds(1.1))

    assert rig.events[0] == [closed_for(Reason.TIMEOUT, 1)]
    assert circuit.next_timeout() is None


@pytest.mark.parametrize(
    ("wrong", "hop"),
    [
        ("onion key", 1),  # The link finds the first relay, not the circuit.
        *((wrong, 2) for wrong in ("node id", "endpoint", "onion key")),
        *((wrong, 3) for wrong in ("node id", "endpoint", "onion key")),
    ],
)
def test_a_wrong_path_is_not_built(wrong, hop):
    rig = CircuitRig(3)
    path = [relay.spec for relay in rig.relays]
    spec = path[hop - 1]
    path[hop - 1] = {
        "node id": HopSpec(NodeId(b"w" * 32), spec.onion_key, spec.endpoints),
        "endpoint": HopSpec(spec.node_id, spec.onion_key, (Endpoint("192.0.2.99", 1),)),
        "onion key": HopSpec(spec.node_id, path[hop % 3].onion_key, spec.endpoints),
    }[wrong]

    rig.build_path(path)
    rig.run(Seconds(9.0))

    expected = Reason.NONE if wrong == "onion key" else Reason.NO_SUCH_NODE
    closed = rig.events[0][-1]
    assert closed.reason is expected
    assert closed.hop == (None if hop == 1 else hop)


def test_a_hop_lost_while_extending_closes_the_circuit():
    rig = CircuitRig(4)
    circuit = rig.built(3)
    circuit.extend(rig.relays[3].spec, rig.now)

    say(rig, 1, RelayMessage(RelayCommand.TRUNCATED, 0, bytes([Reason.TIMEOUT])))

    assert rig.events[0] == [closed_for(Reason.TIMEOUT, 2)]
    assert circuit.state is OriginState.CLOSED


def test_a_notice_repeated_while_extending_again_is_no_matter():
    rig = CircuitRig(3)
    circuit = rig.built(2)
    rig.relays[0].destroy_next(rig.relays[0].route)
    rig.run(Seconds(0.1))
    circuit.extend(rig.relays[2].spec, rig.now)

    say(rig, 1, RelayMessage(RelayCommand.TRUNCATED, 0, bytes([Reason.LINK_CLOSED])))
    rig.run(Seconds(1.0))

    assert circuit.is_open
    assert circuit.hops == 2
    assert circuit.stats.stale == 1
