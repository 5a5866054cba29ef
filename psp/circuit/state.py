"""The states of a circuit, at either end, and every legal move between them.

Everything that decides whether a move is legal stands in the two tables of this file;
an illegal one raises `LocalProtocolError`. `diagram` prints a table for the documents.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from psp.errors import LocalProtocolError
from psp.wire.relay_message import RelayCommand


class OriginState(enum.Enum):
    """Where the client's end of a circuit stands."""

    CREATING = "waits for hop 1"
    EXTENDING = "waits for one more hop"
    OPEN = "complete"
    TRUNCATING = "waits for the rest to be cut off"
    CLOSED = "gone"


class OriginMove(enum.Enum):
    """What changes the state of the client's end."""

    HOP_ADDED = "a hop answered, more are to come"
    BUILT = "the last hop answered"
    EXTEND = "one more hop is wanted"
    EXTEND_FAILED = "that hop will not come"
    TRUNCATE = "the rest shall go"
    TRUNCATED = "the rest is gone"
    CLOSE = "either side ended it"


class HopState(enum.Enum):
    """Where a relay's end of a circuit stands."""

    LAST = "no next hop"
    EXTENDING = "waits for the next hop"
    PASSING = "passes cells to the next hop"
    CLOSED = "gone"


class HopMove(enum.Enum):
    """What changes the state of a relay's end."""

    EXTEND = "the origin wants one more hop"
    EXTENDED = "the next hop answered"
    EXTEND_FAILED = "it did not"
    TRUNCATE = "the origin wants the rest gone"
    NEXT_CLOSED = "the next hop went away"
    CLOSE = "either side ended it"


ORIGIN_MOVES: Mapping[tuple[OriginState, OriginMove], OriginState] = MappingProxyType(
    {
        (OriginState.CREATING, OriginMove.HOP_ADDED): OriginState.EXTENDING,
        (OriginState.CREATING, OriginMove.BUILT): OriginState.OPEN,
        (OriginState.CREATING, OriginMove.CLOSE): OriginState.CLOSED,
        (OriginState.EXTENDING, OriginMove.HOP_ADDED): OriginState.EXTENDING,
        (OriginState.EXTENDING, OriginMove.BUILT): OriginState.OPEN,
        (OriginState.EXTENDING, OriginMove.EXTEND_FAILED): OriginState.OPEN,
        (OriginState.EXTENDING, OriginMove.CLOSE): OriginState.CLOSED,
        (OriginState.OPEN, OriginMove.EXTEND): OriginState.EXTENDING,
        (OriginState.OPEN, OriginMove.TRUNCATE): OriginState.TRUNCATING,
        (OriginState.OPEN, OriginMove.TRUNCATED): OriginState.OPEN,
        (OriginState.OPEN, OriginMove.CLOSE): OriginState.CLOSED,
        (OriginState.TRUNCATING, OriginMove.TRUNCATED): OriginState.OPEN,
        (OriginState.TRUNCATING, OriginMove.CLOSE): OriginState.CLOSED,
        (OriginState.CLOSED, OriginMove.CLOSE): OriginState.CLOSED,
    }
)

HOP_MOVES: Mapping[tuple[HopState, HopMove], HopState] = MappingProxyType(
    {
        (HopState.LAST, HopMove.EXTEND): HopState.EXTENDING,
        (HopState.LAST, HopMove.TRUNCATE): HopState.LAST,
        (HopState.LAST, HopMove.CLOSE): HopState.CLOSED,
        (HopState.EXTENDING, HopMove.EXTENDED): HopState.PASSING,
        (HopState.EXTENDING, HopMove.EXTEND_FAILED): HopState.LAST,
        (HopState.EXTENDING, HopMove.TRUNCATE): HopState.LAST,
        (HopState.EXTENDING, HopMove.CLOSE): HopState.CLOSED,
        (HopState.PASSING, HopMove.TRUNCATE): HopState.LAST,
        (HopState.PASSING, HopMove.NEXT_CLOSED): HopState.LAST,
        (HopState.PASSING, HopMove.CLOSE): HopState.CLOSED,
        (HopState.CLOSED, HopMove.CLOSE): HopState.CLOSED,
    }
)

_ALIVE = frozenset({HopState.LAST, HopState.EXTENDING, HopState.PASSING})

HOP_TAKES: Mapping[RelayCommand, frozenset[HopState]] = MappingProxyType(
    {
        RelayCommand.EXTEND: frozenset({HopState.LAST}),
        RelayCommand.TRUNCATE: _ALIVE,
        RelayCommand.PING: _ALIVE,
        RelayCommand.REGISTER: _ALIVE,
        RelayCommand.PUBLISH: _ALIVE,
        RelayCommand.LOOKUP: _ALIVE,
        RelayCommand.INTRODUCE: _ALIVE,
        RelayCommand.ESTABLISH: _ALIVE,
        RelayCommand.JOIN: _ALIVE,
        RelayCommand.FETCH: _ALIVE,
        RelayCommand.WATCH: _ALIVE,
        RelayCommand.HOLD: _ALIVE,
        RelayCommand.COLLECT: _ALIVE,
        RelayCommand.MISSED: _ALIVE,
    }
)
"""In which states a hop takes a new request; in any other the circuit closes."""

StateT = TypeVar("StateT", OriginState, HopState)
MoveT = TypeVar("MoveT", OriginMove, HopMove)


def after(
    moves: Mapping[tuple[StateT, MoveT], StateT], state: StateT, move: MoveT
) -> StateT:
    """Return the state that ``move`` leads to.

    Raises:
        LocalProtocolError: If the move is illegal in ``state``.
    """
    following = moves.get((state, move))
    if following is None:
        raise LocalProtocolError(f"{move.name} is not possible in {state.name}")
    return following


def diagram(moves: Mapping[tuple[StateT, MoveT], StateT]) -> str:
    """Return a table of moves as a Mermaid state diagram in Markdown."""
    start = next(iter(moves))[0]
    lines: list[str] = ["```mermaid", "stateDiagram-v2", f"    [*] --> {start.name}"]
    for (state, move), following in moves.items():
        lines.append(f"    {state.name} --> {following.name}: {move.name}")
    return "\n".join([*lines, "```", ""])
