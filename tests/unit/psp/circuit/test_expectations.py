"""What an origin takes from hops."""

import pytest

from psp.circuit.expectations import STALE_FOR, Expectations
from psp.errors import RemoteProtocolError
from psp.units import Monotonic
from psp.wire.relay_message import RelayCommand

START = Monotonic(5.0)


def three_hops():
    expectations = Expectations()
    for _ in range(3):
        expectations.add_hop()
    return expectations


@pytest.mark.parametrize("command", [RelayCommand.REPORT, RelayCommand.TRUNCATED])
def test_any_hop_may_report_and_tell_that_the_rest_is_gone(command):
    expectations = three_hops()

    for hop in (1, 2, 3):
        expectations.check_notice(hop, command)


@pytest.mark.parametrize("command", [RelayCommand.ESTABLISH, RelayCommand.JOIN])
def test_blocks_come_from_where_a_rendezvous_was_asked_for(command):
    expectations = three_hops()
    with pytest.raises(RemoteProtocolError):
        expectations.check_block(3)

    expectations.ask(3, command)

    expectations.check_block(3)
    with pytest.raises(RemoteProtocolError):
        expectations.check_block(2)


def test_blocks_come_from_the_last_hop_only():
    expectations = three_hops()
    expectations.ask(2, RelayCommand.JOIN)

    with pytest.raises(RemoteProtocolError):
        expectations.check_block(2)


def test_introductions_come_from_where_we_registered():
    expectations = three_hops()
    expectations.ask(2, RelayCommand.REGISTER)

    expectations.check_request(2, RelayCommand.INTRODUCTION)
    with pytest.raises(RemoteProtocolError):
        expectations.check_request(3, RelayCommand.INTRODUCTION)


def test_joined_comes_unasked_from_where_we_established_only():
    expectations = three_hops()
    expectations.ask(3, RelayCommand.ESTABLISH)
    expectations.ask(2, RelayCommand.JOIN)

    expectations.check_notice(3, RelayCommand.JOINED)
    with pytest.raises(RemoteProtocolError):
        expectations.check_notice(2, RelayCommand.JOINED)


@pytest.mark.parametrize(
    "command",
    sorted(
        set(RelayCommand)
        - {RelayCommand.REPORT, RelayCommand.TRUNCATED, RelayCommand.JOINED}
    ),
)
def test_nothing_else_is_a_notice(command):
    expectations = three_hops()
    for asked in RelayCommand:
        expectations.ask(3, asked)

    with pytest.raises(RemoteProtocolError):
        expectations.check_notice(3, command)


def test_what_was_asked_of_a_hop_is_forgotten_with_it():
    expectations = three_hops()
    expectations.ask(3, RelayCommand.JOIN)

    expectations.cut(2, START)
    expectations.add_hop()

    with pytest.raises(RemoteProtocolError):
        expectations.check_block(3)


def test_stray_cells_are_excused_for_a_while_after_a_truncation():
    expectations = three_hops()
    assert not expectations.excuses_stale(START)

    expectations.cut(2, START)

    assert expectations.excuses_stale(Monotonic(START + STALE_FOR - 0.1))
    assert not expectations.excuses_stale(Monotonic(START + STALE_FOR))
