"""An origin's circuit is cut short, by the origin or by the loss of a hop."""

import pytest

from psp.circuit.events import (
    CircuitBuilt,
    HopAdded,
    Pong,
    RequestFailed,
    RequestReceived,
    Truncated,
)
from psp.circuit.state import OriginState
from psp.errors import LocalProtocolError
from psp.testing.circuits import CircuitRig
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand, RelayMessage
from tests.unit.psp.circuit.origin_rig import CLOSED, closed_for, say


@pytest.mark.parametrize("kept", [1, 2])
def test_a_circuit_is_truncated_and_extended_elsewhere(kept):
    rig = CircuitRig(5)
    circuit = rig.built(3)

    circuit.truncate(kept, rig.now)
    assert circuit.state is OriginState.TRUNCATING
    rig.run(Seconds(1.0))
    assert circuit.hops == kept
    circuit.extend(rig.relays[4].spec, rig.now)
    rig.run(Seconds(1.0))
    circuit.ping(kept + 1, rig.now)
    rig.run(Seconds(1.0))

    assert rig.events[0] == [
        Truncated(kept, Reason.REQUESTED),
        HopAdded(kept + 1),
        CircuitBuilt(pytest.approx(0.04 * (kept + 1))),
        Pong(kept + 1, pytest.approx(0.04 * (kept + 1))),
    ]
    assert [len(relay.routes) for relay in rig.relays] == [
        *[1] * kept,
        *[0] * (4 - kept),
        1,
    ]


def test_requests_to_hops_that_were_cut_off_fail():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    stream_id = circuit.request(RelayCommand.FETCH, b"", rig.now, 3)

    circuit.truncate(1, rig.now)
    rig.run(Seconds(1.0))

    assert rig.events[0] == [
        RequestFailed(
            3, stream_id, RelayCommand.FETCH, Reason.REQUESTED, is_refused=False
        ),
        Truncated(1, Reason.REQUESTED),
    ]


@pytest.mark.parametrize("hop", [0, 3, 4])
def test_there_must_be_something_to_cut_off(hop):
    rig = CircuitRig(3)
    circuit = rig.built(3)

    with pytest.raises(LocalProtocolError):
        circuit.truncate(hop, rig.now)


def test_a_hop_that_goes_away_takes_those_behind_it_along():
    rig = CircuitRig(3)
    circuit = rig.built(3)

    rig.relays[0].destroy_next(rig.relays[0].route)
    rig.run(Seconds(1.0))

    assert rig.events[0] == [Truncated(1, Reason.LINK_CLOSED)]
    assert circuit.is_open
    assert circuit.hops == 1


def test_a_silent_truncate_closes_the_circuit():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    rig.fate = lambda passage: []

    circuit.truncate(1, rig.now)
    rig.run(Seconds(9.0))

    assert rig.events[0] == [closed_for(Reason.TIMEOUT, 2)]


def test_cells_under_way_during_a_truncation_are_excused_for_a_while():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    ends = [relay.route.hop for relay in rig.relays]
    report = RelayMessage(RelayCommand.REPORT, 0, bytes(40))
    cells = [
        ends[0].backward_cell(ends[1].backward_cell(ends[2].message_cell(report)))
        for _ in range(2)
    ]
    circuit.truncate(1, rig.now)
    rig.run(Seconds(0.1))

    circuit.receive(cells[:1], rig.now)
    say(rig, 1, RelayMessage(RelayCommand.TRUNCATED, 0, b"\0"))
    assert circuit.is_open
    assert circuit.stats.stale == 2
    rig.run(Seconds(6.0))
    circuit.receive(cells[1:], rig.now)
    rig.flush()

    assert rig.events[0][-1] == CLOSED


def test_a_hop_lost_while_truncating_is_no_matter():
    rig = CircuitRig(3)
    circuit = rig.built(3)
    circuit.truncate(1, rig.now)

    say(rig, 2, RelayMessage(RelayCommand.TRUNCATED, 0, b"\0"))
    rig.run(Seconds(1.0))

    assert rig.events[0] == [Truncated(1, Reason.REQUESTED)]


def test_an_introduction_under_way_when_its_hop_is_cut_off_is_dropped():
    rig = CircuitRig(2)
    circuit = rig.built(2)
    circuit.request(RelayCommand.REGISTER, b"", rig.now)
    rig.relays[1].route.hop.request(RelayCommand.INTRODUCTION, bytes(1520), rig.now)
    circuit.truncate(1, rig.now)
    rig.run(Seconds(1.0))

    (introduction,) = [e for e in rig.events[0] if isinstance(e, RequestReceived)]
    circuit.answer(2, introduction.stream_id, b"\0", rig.now)

    assert rig.events[0][-1] == Truncated(1, Reason.REQUESTED)
