"""Cells (psp/wire/cell.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import CircuitId
from psp.wire.cell import BODY_SIZE, CELL_SIZE, Cell, CellCommand, Reason

cells = st.builds(
    Cell,
    st.integers(0, 2**32 - 1).map(CircuitId),
    st.sampled_from(CellCommand),
    st.binary(max_size=BODY_SIZE),
)


def test_layout_is_the_one_in_the_spec():
    cell = Cell(CircuitId(0x80000001), CellCommand.CREATE, b"hi")

    assert cell.encode() == bytes.fromhex("80000001 01 6869") + bytes(1193)


@given(cells)
def test_decode_undoes_encode(cell):
    decoded = Cell.decode(cell.encode())

    assert decoded.circuit_id == cell.circuit_id
    assert decoded.command is cell.command
    assert decoded.body == cell.body.ljust(BODY_SIZE, b"\0")


@given(st.binary(max_size=CELL_SIZE + 2))
def test_any_bytes_decode_or_raise_decode_error(data):
    with suppress(DecodeError):
        Cell.decode(data)


@given(st.binary(min_size=CELL_SIZE, max_size=CELL_SIZE))
def test_any_whole_cell_decodes_or_raises_decode_error(data):
    with suppress(DecodeError):
        assert Cell.decode(data).encode() == data


def test_unknown_command_is_refused():
    data = bytes.fromhex("00000001 63") + bytes(BODY_SIZE)

    with pytest.raises(DecodeError, match="unknown cell command 99"):
        Cell.decode(data)


def test_too_long_a_body_is_our_own_fault():
    cell = Cell(CircuitId(1), CellCommand.RELAY, bytes(BODY_SIZE + 1))

    with pytest.raises(LocalProtocolError, match="1196"):
        cell.encode()


@given(st.integers(0, 255))
def test_every_reason_number_means_something(number):
    assert Reason.from_wire(number) in Reason
