"""The tables of states and moves."""

import itertools

import pytest

from psp.circuit.commands import TO_HOP
from psp.circuit.state import (
    HOP_MOVES,
    HOP_TAKES,
    ORIGIN_MOVES,
    HopMove,
    HopState,
    OriginMove,
    OriginState,
    after,
    diagram,
)
from psp.errors import LocalProtocolError

TABLES = [(ORIGIN_MOVES, OriginState, OriginMove), (HOP_MOVES, HopState, HopMove)]


@pytest.mark.parametrize(("moves", "states", "names"), TABLES)
def test_every_move_not_in_the_table_is_illegal(moves, states, names):
    for state, move in itertools.product(states, names):
        if (state, move) in moves:
            assert after(moves, state, move) is moves[state, move]
        else:
            with pytest.raises(LocalProtocolError, match=move.name):
                after(moves, state, move)


@pytest.mark.parametrize(("moves", "states", "names"), TABLES)
def test_every_state_is_reached_and_every_move_used(moves, states, names):
    reached = {next(iter(moves))[0], *moves.values()}

    assert reached == set(states)
    assert {move for _, move in moves} == set(names)


@pytest.mark.parametrize(("moves", "states", "names"), TABLES)
def test_any_state_can_close_and_closed_is_for_good(moves, states, names):
    closed = states["CLOSED"]

    assert all(moves[state, names["CLOSE"]] is closed for state in states)
    assert [move for state, move in moves if state is closed] == [names["CLOSE"]]


@pytest.mark.parametrize(("moves", "states", "names"), TABLES)
def test_the_diagram_shows_every_move(moves, states, names):
    text = diagram(moves)

    for (state, move), following in moves.items():
        assert f"    {state.name} --> {following.name}: {move.name}\n" in text
    assert text.count("-->") == len(moves) + 1
    assert text.startswith("```mermaid\nstateDiagram-v2\n    [*] --> ")
    assert text.endswith("```\n")


def test_every_request_to_a_hop_has_its_states_and_none_is_taken_when_closed():
    assert set(HOP_TAKES) == TO_HOP
    assert all(HopState.CLOSED not in states for states in HOP_TAKES.values())
