"""Which circuit ids an end of a link may choose (R-CIR-6; SPEC.md section 2).

Both ends choose at random, one the even ids and the other the odd ones, so they never
choose the same.
"""

from collections.abc import Container

from psp.entropy import Entropy
from psp.errors import LocalProtocolError
from psp.ids import CircuitId, NodeId
from psp.units import Monotonic

REST = 60.0
"""Seconds before an id is used again: late cells must not reach another circuit."""

MAX_RESTING = 65_536
"""Ids that rest at a time; the one that rested longest goes first."""

_MAX_DRAWS = 64
"""Even with MAX_RESTING ids resting, a draw collides once in 32,768 times."""


def uses_even_ids(local: NodeId | None, remote: NodeId | None) -> bool:
    """Tell whether we choose even circuit ids.

    Args:
        local: Our node id; None for a client.
        remote: The peer's; None for a client.
    """
    if local is None:
        return True
    return remote is not None and local < remote


class CircuitIds:
    """The ids that we may choose on one link."""

    __slots__ = ("_entropy", "_is_even", "_resting")

    def __init__(self, entropy: Entropy, *, is_even: bool) -> None:
        self._entropy = entropy
        self._is_even = is_even
        self._resting: dict[CircuitId, Monotonic] = {}

    def allocate(self, in_use: Container[CircuitId], now: Monotonic) -> CircuitId:
        """Return a random id that is neither in use nor resting.

        Raises:
            LocalProtocolError: If none was found, which cannot happen with fewer than
                a billion circuits.
        """
        self._forget(now)
        for _ in range(_MAX_DRAWS):
            number = int.from_bytes(self._entropy.token(4)) | 1
            circuit_id = CircuitId(number ^ 1 if self._is_even else number)
            if not circuit_id or circuit_id in self._resting:
                continue
            if circuit_id not in in_use:
                return circuit_id
        raise LocalProtocolError("no free circuit id")

    def release(self, circuit_id: CircuitId, now: Monotonic) -> None:
        """Let an id of either end rest."""
        self._resting.pop(circuit_id, None)
        self._resting[circuit_id] = Monotonic(now + REST)
        if len(self._resting) > MAX_RESTING:
            del self._resting[next(iter(self._resting))]

    def may_peer_choose(self, circuit_id: CircuitId, now: Monotonic) -> bool:
        """Tell whether the peer may open a circuit with this id now."""
        self._forget(now)
        is_even = circuit_id % 2 == 0
        return (
            0 < circuit_id < 1 << 32
            and is_even is not self._is_even
            and circuit_id not in self._resting
        )

    def _forget(self, now: Monotonic) -> None:
        resting = self._resting
        while resting:
            circuit_id, until = next(iter(resting.items()))
            if until > now:
                return
            del resting[circuit_id]
