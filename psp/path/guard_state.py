"""What a client keeps of its guards from one run to the next.

The state names the relays a user enters by: whoever reads it can watch them, so the
file is encrypted on disk. Its times are coarse for the same reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from psp.errors import DecodeError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.units import UnixTime

MAX_SAMPLE = 60
"""Guards a client ever holds (Tor guard-spec). More would let whoever blocks relays
lead the client through the whole network until it meets his own."""

_Time = Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 20)]


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard, as kept on disk.

    Attributes:
        node_id: Which relay.
        sampled: When it was drawn, set back by up to a tenth of its life.
        confirmed: When a circuit through it first worked, likewise; None before.
        unlisted: Since when the registry lacks it; None while it is listed.
        attempts: Circuits begun beyond it, halved now and then.
        built: How many of these were completed, halved with them.
    """

    node_id: NodeId
    sampled: UnixTime
    confirmed: UnixTime | None = None
    unlisted: UnixTime | None = None
    attempts: int = 0
    built: int = 0


class _Entry(msgspec.Struct, array_like=True, frozen=True):
    node_id: Annotated[
        bytes, msgspec.Meta(min_length=NODE_ID_SIZE, max_length=NODE_ID_SIZE)
    ]
    sampled: _Time
    confirmed: _Time | None
    unlisted: _Time | None
    attempts: _Count
    built: _Count


class _Entries(msgspec.Struct, frozen=True, tag="psp-guards-v1"):
    entries: Annotated[list[_Entry], msgspec.Meta(max_length=MAX_SAMPLE)]


def encode_guards(guards: Sequence[Guard]) -> bytes:
    """Return the state for the disk; the order is part of it."""
    entries = [
        _Entry(g.node_id, g.sampled, g.confirmed, g.unlisted, g.attempts, g.built)
        for g in guards
    ]
    return msgspec.msgpack.encode(_Entries(entries))


def decode_guards(data: bytes) -> list[Guard]:
    """Read a state.

    Raises:
        DecodeError: If ``data`` is anything else.
    """
    try:
        state = msgspec.msgpack.decode(data, type=_Entries)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise DecodeError("not a state of guards") from None
    if len({entry.node_id for entry in state.entries}) != len(state.entries):
        raise DecodeError("a guard stands twice")
    if any(entry.built > entry.attempts for entry in state.entries):
        raise DecodeError("more circuits built than begun")
    return [
        Guard(
            NodeId(entry.node_id),
            UnixTime(entry.sampled),
            None if entry.confirmed is None else UnixTime(entry.confirmed),
            None if entry.unlisted is None else UnixTime(entry.unlisted),
            entry.attempts,
            entry.built,
        )
        for entry in state.entries
    ]
