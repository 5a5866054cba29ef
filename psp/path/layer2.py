"""Layer-2 guards: who stands behind the guard on circuits that strangers can provoke.

Somebody who makes a user build circuits again and again would soon have a relay of his
own beside the user's guard, and so learn the guard. Four fixed relays in the second
place, each for some days, move that to about a month (R-PATH-5; Tor's vanguards-lite).
A lifetime is the larger of two even draws from 1 … 12 days.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Self

import msgspec

from psp.entropy import Entropy
from psp.errors import DecodeError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.weights import Wheel
from psp.units import UnixTime

COUNT = 4
SHORTEST_LIFE = 86_400
LONGEST_LIFE = 12 * 86_400
"""Seconds; both from vanguards-lite (Tor proposal 333)."""


@dataclass(frozen=True, slots=True)
class Layer2Guard:
    """One of them.

    Attributes:
        node_id: Which relay.
        expires: Unix seconds; replaced then.
    """

    node_id: NodeId
    expires: UnixTime


class _Entry(msgspec.Struct, array_like=True, frozen=True):
    node_id: Annotated[
        bytes, msgspec.Meta(min_length=NODE_ID_SIZE, max_length=NODE_ID_SIZE)
    ]
    expires: Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]


class _Entries(msgspec.Struct, frozen=True, tag="psp-layer2-v1"):
    entries: Annotated[list[_Entry], msgspec.Meta(max_length=COUNT)]


class Layer2Guards:
    """The set in use. `refresh` before use; `encode` after a change."""

    def __init__(self, guards: Collection[Layer2Guard] = ()) -> None:
        self._guards = list(guards)[:COUNT]

    @property
    def guards(self) -> tuple[Layer2Guard, ...]:
        """All of them, in order of choice."""
        return tuple(self._guards)

    @property
    def node_ids(self) -> frozenset[NodeId]:
        """Their ids."""
        return frozenset(guard.node_id for guard in self._guards)

    def refresh(
        self,
        nodes: Mapping[NodeId, NodeRecord],
        weights: Mapping[NodeId, int],
        unix_now: UnixTime,
        entropy: Entropy,
        *,
        avoid: Collection[NodeId] = (),
    ) -> bool:
        """Replace expired and unlisted ones; tell whether the set changed.

        Args:
            nodes: Every listed node.
            weights: From `psp.path.weights.node_weights`.
            unix_now: For their lifetimes. A clock set far back does not make one live
                longer than the longest life.
            entropy: For the choice.
            avoid: The guards, which must not stand twice in a path.
        """
        keep = [
            guard
            for guard in self._guards
            if guard.node_id in nodes
            and unix_now < guard.expires <= unix_now + LONGEST_LIFE
        ]
        changed = len(keep) != len(self._guards)
        taken = {guard.node_id for guard in keep} | set(avoid)
        # In a small network the last hops must come from somewhere too.
        wanted = min(COUNT, max(1, (len(nodes) - len(avoid)) // 2))
        wheel = Wheel(nodes.values(), weights)
        while len(keep) < wanted:
            chosen = wheel.draw(entropy, lambda node: node.node_id not in taken)
            if chosen is None:
                break
            taken.add(chosen.node_id)
            keep.append(
                Layer2Guard(chosen.node_id, UnixTime(unix_now + _lifetime(entropy)))
            )
            changed = True
        self._guards = keep
        return changed

    def encode(self) -> bytes:
        """Return the state for the disk; keep it secret, it names the user's relays."""
        entries = [_Entry(guard.node_id, guard.expires) for guard in self._guards]
        return msgspec.msgpack.encode(_Entries(entries))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a state.

        Raises:
            DecodeError: If ``data`` is anything else.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_Entries)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise DecodeError("not a state of layer-2 guards") from None
        if len({entry.node_id for entry in state.entries}) != len(state.entries):
            raise DecodeError("a layer-2 guard stands twice")
        return cls(
            [
                Layer2Guard(NodeId(entry.node_id), UnixTime(entry.expires))
                for entry in state.entries
            ]
        )


def _lifetime(entropy: Entropy) -> int:
    span = LONGEST_LIFE - SHORTEST_LIFE + 1
    return SHORTEST_LIFE + max(entropy.below(span), entropy.below(span))
