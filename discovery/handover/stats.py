"""Plain counters of the hand-overs; ``metrics.py`` shows them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class HandOverStats:
    """What happened since the start; reasons come from enums only.

    Attributes:
        opened: Periods for which this node has made a body of its own.
        signatures: Signatures that others brought, by what became of them.
        pushed: Its own signatures brought to others, by the answer.
        pushes_failed: Of these, without a usable answer.
        fetched: Lists of hand-overs fetched from others, by outcome.
        views_missing: Anchor blocks that could not be read when they were due.
    """

    opened: int = 0
    signatures: Counter[str] = field(default_factory=Counter)
    pushed: Counter[str] = field(default_factory=Counter)
    pushes_failed: int = 0
    fetched: Counter[str] = field(default_factory=Counter)
    views_missing: int = 0
