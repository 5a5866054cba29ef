"""Which members have given bad answers lately. Pure.

A member that says under its signature what it does not give, that gives junk, or that
holds an old record long after the others have the new one, is *doubted* for a while. A
doubted member is still asked, and what it gives still counts when it proves itself; but
it takes nobody's place: one more member is asked, or given a record to keep, beside it,
and its word is not enough for there being no record.

Blame halves every ten minutes. An honest node that was down while users published may
be doubted until they have published anew; that costs a message more and nothing else.
"""

import enum
import math
from collections import OrderedDict
from dataclasses import dataclass

from psp.units import Monotonic, Seconds

HALF_LIFE = Seconds(600)
DOUBTED = 2.0
"""Blame from which on a member is doubted."""
STALE_APART = Seconds(60)
"""Being behind counts once a minute at most: one user whom many look for must not make
a node that missed one publication look worse than it is."""


class Fault(enum.StrEnum):
    """What a member did wrong."""

    FORGED = "forged"
    """Gave what is no record, or no voice of its own."""
    WITHHELD = "withheld"
    """Signed for a record and did not give it."""
    STALE = "stale"
    """Has not what others have had for a minute."""


_WEIGHT = {Fault.FORGED: 4.0, Fault.WITHHELD: 2.0, Fault.STALE: 1.0}


@dataclass(slots=True)
class _Blame:
    amount: float
    since: Monotonic
    stale_at: float = float("-inf")


class Reputations:
    """Blame by DHT id, for at most ``size`` members; the longest good is forgotten."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._blamed: OrderedDict[bytes, _Blame] = OrderedDict()

    def blame(self, member: bytes, fault: Fault, now: Monotonic) -> bool:
        """Note a fault; return whether it counts."""
        blame = self._blamed.pop(member, None) or _Blame(0.0, now)
        self._blamed[member] = blame
        if fault is Fault.STALE:
            if now < blame.stale_at + STALE_APART:
                return False
            blame.stale_at = now
        blame.amount = _left(blame, now) + _WEIGHT[fault]
        blame.since = now
        if len(self._blamed) > self._size:
            self._blamed.popitem(last=False)
        return True

    def is_doubted(self, member: bytes, now: Monotonic) -> bool:
        """Tell whether a member's word is worth little now."""
        blame = self._blamed.get(member)
        return blame is not None and _left(blame, now) >= DOUBTED


def _left(blame: _Blame, now: Monotonic) -> float:
    return blame.amount * math.exp2(-max(now - blame.since, 0.0) / HALF_LIFE)
