"""How a circuit ends at its origin."""

import pytest

from psp.circuit.events import CircuitClosed
from psp.circuit.state import OriginState
from psp.errors import LocalProtocolError
from psp.testing.circuits import CircuitRig
from psp.units import Monotonic, Seconds
from psp.wire.cell import Cell, CellCommand, Reason
from psp.wire.relay_message import RelayCommand
from tests.unit.psp.circuit.origin_rig import closed_for


def test_destroy_reaches_every_hop():
    rig = CircuitRig(3)
    circuit = rig.built(3)

    circuit.destroy()
    circuit.destroy()
    rig.run(Seconds(1.0))

    assert rig.events[0] == [closed_for(Reason.REQUESTED, None)]
    assert [len(relay.routes) for relay in rig.relays] == [0, 0, 0]
    assert circuit.state is OriginState.CLOSED


def test_destroy_tells_no_reason():
    rig = CircuitRig(1)
    circuit = rig.built(1)

    circuit.destroy(Reason.RESOURCE_LIMIT)
    (cell,) = circuit.cells_to_send(rig.now)

    assert Cell.decode(cell).command is CellCommand.DESTROY
    assert not any(Cell.decode(cell).body)


def test_the_first_relay_may_end_the_circuit():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    body = bytes([Reason.SHUTTING_DOWN])
    cell = Cell(circuit.circuit_id, CellCommand.DESTROY, body).encode()

    circuit.receive([cell, cell], rig.now)
    rig.flush()

    assert rig.events[0] == [CircuitClosed(Reason.SHUTTING_DOWN, None, is_remote=True)]
    assert circuit.cells_to_send(rig.now) == []


def test_a_closed_circuit_does_nothing_more():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    circuit.destroy()
    circuit.cells_to_send(rig.now)

    circuit.handle_timeout(Monotonic(rig.now + 100))
    circuit.answer(1, 2, b"", rig.now)
    circuit.refuse(1, 2, Reason.NONE, rig.now)

    assert circuit.cells_to_send(rig.now) == []
    for action in (
        lambda: circuit.request(RelayCommand.FETCH, b"", rig.now),
        lambda: circuit.ping(1, rig.now),
        lambda: circuit.truncate(1, rig.now),
        lambda: circuit.extend(rig.relays[0].spec, rig.now),
        lambda: circuit.handshake_hash(1),
    ):
        with pytest.raises(LocalProtocolError):
            action()
