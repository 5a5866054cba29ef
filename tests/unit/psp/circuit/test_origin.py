"""The client's end, against chains of real hops."""

import pytest

from psp.circuit.events import CircuitBuilt, HopAdded
from psp.testing.circuits import CircuitRig
from psp.units import Seconds


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_circuit_of_any_length_is_built(hops):
    rig = CircuitRig(hops)

    circuit = rig.build(range(hops))
    rig.run(Seconds(2.0))

    assert circuit.is_open
    added = [HopAdded(hop) for hop in range(1, hops + 1)]
    assert rig.events[0] == [
        *added,
        CircuitBuilt(pytest.approx(0.02 * hops * (hops + 1))),
    ]
    assert [relay.created for relay in rig.relays] == [1] * hops
    for number, relay in enumerate(rig.relays):
        assert circuit.handshake_hash(number + 1) == relay.route.hop.handshake_hash
