"""CREATE and CREATED between neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.circuit.create import (
    CREATE_GIVE_UP_AFTER,
    MAX_CREATED,
    CreateReceived,
    CreateTable,
    Creation,
)
from psp.circuit.stats import CreateStats
from psp.errors import DecodeError
from psp.ids import CircuitId
from psp.units import Monotonic
from psp.wire.cell import Cell, CellCommand

START = Monotonic(7.0)
CLIENT = bytes(range(224)) * 6
RELAY = bytes(range(148)) * 8


def creation(circuit_id=8, handshake=CLIENT):
    return Creation(CircuitId(circuit_id), 2, handshake, START)


def table():
    stats = CreateStats()
    return CreateTable(stats), stats


def bodies(cells):
    return [Cell.decode(cell).body for cell in cells]


def created(answerer, asker, now=START):
    (received,) = [
        whole
        for body in bodies(asker.cells_to_send(now))
        if (whole := answerer.receive(asker.circuit_id, body, now)) is not None
    ]
    return received


def test_a_handshake_crosses_in_two_cells_each_way():
    asker = creation()
    answerer, stats = table()

    cells = asker.cells_to_send(START)
    first, second = (Cell.decode(cell) for cell in cells)
    assert answerer.receive(first.circuit_id, first.body, START) is None
    received = answerer.receive(second.circuit_id, second.body, START)
    answerer.answer(CircuitId(8), RELAY, START)
    replies = [asker.receive(body) for body in bodies(answerer.cells_to_send())]

    assert {first.command, second.command} == {CellCommand.CREATE}
    assert received == CreateReceived(CircuitId(8), 2, CLIENT)
    assert replies == [None, RELAY]
    assert asker.reply == RELAY
    assert asker.next_timeout() is None
    assert stats == CreateStats(created=1)


def test_create_is_repeated_until_the_relay_is_given_up():
    asker = creation()
    sent = 0

    while not asker.has_failed(asker.next_timeout()):
        sent += len(asker.cells_to_send(asker.next_timeout()))

    assert sent == 2 * 23
    assert asker.next_timeout() == pytest.approx(START + CREATE_GIVE_UP_AFTER)


def test_only_the_half_without_an_answer_is_repeated():
    asker = creation()
    answerer, _ = table()
    created(answerer, asker)
    answerer.answer(CircuitId(8), RELAY, START)
    asker.receive(bodies(answerer.cells_to_send())[1])

    (again,) = bodies(asker.cells_to_send(asker.next_timeout()))

    assert again[0] == 1


def test_a_repeated_half_brings_back_its_half_of_the_answer():
    asker = creation()
    answerer, stats = table()
    cells = asker.cells_to_send(START)
    for body in bodies(cells):
        answerer.receive(CircuitId(8), body, START)
    answerer.answer(CircuitId(8), RELAY, START)
    answer = answerer.cells_to_send()

    later = Monotonic(START + 29)
    assert answerer.receive(CircuitId(8), bodies(cells)[0], later) is None

    assert answerer.cells_to_send() == [answer[0], answer[0]]
    assert stats.created == 1
    assert stats.repeated == 1


def test_a_half_repeated_before_the_answer_does_nothing():
    asker = creation()
    answerer, stats = table()
    created(answerer, asker)

    again = asker.cells_to_send(asker.next_timeout())

    assert [answerer.receive(CircuitId(8), b, START) for b in bodies(again)] == [
        None,
        None,
    ]
    assert answerer.cells_to_send() == []
    assert stats.created == 1


def test_another_handshake_on_the_same_circuit_id_is_ignored():
    answerer, stats = table()
    created(answerer, creation())
    answerer.answer(CircuitId(8), RELAY, START)
    answerer.cells_to_send()

    other = creation(handshake=CLIENT[::-1])
    for body in bodies(other.cells_to_send(START)):
        assert answerer.receive(CircuitId(8), body, START) is None

    assert answerer.cells_to_send() == []
    assert stats.conflicting == 2


def test_late_created_cells_are_ignored():
    asker = creation()
    answerer, _ = table()
    created(answerer, asker)
    answerer.answer(CircuitId(8), RELAY, START)
    replies = bodies(answerer.cells_to_send())

    assert [asker.receive(body) for body in replies * 2] == [None, RELAY, None, None]
    assert asker.cells_to_send(Monotonic(START + 1)) == []


def test_a_malformed_created_cell_is_a_decode_error():
    with pytest.raises(DecodeError):
        creation().receive(bytes(1195))


def test_answers_are_forgotten_after_thirty_seconds():
    answerer, stats = table()
    created(answerer, creation())
    answerer.answer(CircuitId(8), RELAY, START)
    answerer.cells_to_send()

    answerer.expire(Monotonic(START + 30))
    created(answerer, creation())

    assert stats.created == 2


def test_an_answer_too_old_is_not_repeated_even_before_it_is_cleared_away():
    answerer, stats = table()
    created(answerer, creation())
    answerer.answer(CircuitId(8), RELAY, START)

    asker = creation()
    for body in bodies(asker.cells_to_send(START)):
        answerer.receive(CircuitId(8), body, Monotonic(START + 30))

    assert stats.created == 2


def test_half_handshakes_expire():
    answerer, stats = table()
    first, second = bodies(creation().cells_to_send(START))
    answerer.receive(CircuitId(8), first, START)

    answerer.expire(Monotonic(START + 2))

    assert answerer.receive(CircuitId(8), second, Monotonic(START + 2)) is None
    assert stats.created == 0


def test_a_refused_circuit_is_forgotten():
    answerer, stats = table()
    created(answerer, creation())

    answerer.forget(CircuitId(8))
    answerer.answer(CircuitId(8), RELAY, START)

    assert answerer.cells_to_send() == []
    created(answerer, creation())
    assert stats.created == 2


def test_the_oldest_answer_goes_when_there_are_too_many():
    answerer, stats = table()
    for circuit_id in range(1, MAX_CREATED + 2):
        created(answerer, creation(circuit_id))
        answerer.answer(CircuitId(circuit_id), RELAY, START)
    answerer.cells_to_send()

    for circuit_id in (1, 2):
        body = bodies(creation(circuit_id).cells_to_send(START))[0]
        answerer.receive(CircuitId(circuit_id), body, START)

    (cell, _) = answerer.cells_to_send()
    assert Cell.decode(cell).circuit_id == 2
    assert stats.created == MAX_CREATED + 1


def test_halves_made_for_different_hops_are_not_joined():
    answerer, stats = table()
    first, second = bodies(creation().cells_to_send(START))

    answerer.receive(CircuitId(8), first, START)
    answerer.receive(CircuitId(8), second[:1] + b"\3" + second[2:], START)

    assert stats.created == 0


@given(st.binary(max_size=1200), st.integers(1, 3))
def test_any_bytes_are_counted_or_kept(body, circuit_id):
    answerer, stats = table()

    assert answerer.receive(CircuitId(circuit_id), body, START) is None
    assert stats.malformed in {0, 1}
    assert answerer.cells_to_send() == []
