"""Whom to ask for the directory and for lookups.

::

    elected discovery nodes, while any of them can be reached
    else nodes of the trusted partners
    else any known node: every node proxies such requests

A fallback changes who is asked, never what is accepted. A node that failed waits longer
each time; as soon as an elected one may be tried again, the elected are in use again.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psp.entropy import Entropy
from psp.ids import NodeId
from psp.units import Monotonic, Seconds

MIN_SOURCES = 3
"""Sources to ask at once, so that one honest one is enough to see all."""
FIRST_WAIT = Seconds(30)
LONGEST_WAIT = Seconds(3600)


class Tier(enum.StrEnum):
    """Who is asked; the best comes first."""

    ELECTED = "elected discovery nodes"
    TRUSTED = "nodes of trusted partners"
    KNOWN = "any known node"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whom to ask now.

    Attributes:
        tier: Which kind of node.
        candidates: In the order to try; empty only if no node is known at all.
        explanation: A sentence for `psp status`, without any identity.
    """

    tier: Tier
    candidates: tuple[NodeId, ...]
    explanation: str


@dataclass(slots=True)
class _Failing:
    failures: int
    retry: Monotonic


class Health:
    """Which nodes have failed lately. Holds nodes of the registry only.

    A node that keeps failing is tried after 30 s, 1 min, 2 min … at most 1 h.
    """

    def __init__(self) -> None:
        self._failing: dict[NodeId, _Failing] = {}

    def record_failure(self, node_id: NodeId, now: Monotonic) -> None:
        """Note a failure: no answer, or a bad one."""
        state = self._failing.setdefault(node_id, _Failing(0, now))
        state.failures += 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(state.failures - 1, 10))
        state.retry = Monotonic(now + wait)

    def record_success(self, node_id: NodeId) -> None:
        """Note a good answer."""
        self._failing.pop(node_id, None)

    def is_waiting(self, node_id: NodeId, now: Monotonic) -> bool:
        """Tell whether a node had better not be asked now."""
        state = self._failing.get(node_id)
        return state is not None and state.retry > now

    def trim(self, members: Iterable[NodeId]) -> None:
        """Forget nodes that have left the registry."""
        for node_id in self._failing.keys() - set(members):
            del self._failing[node_id]


def decide(
    elected: Sequence[NodeId],
    trusted: Sequence[NodeId],
    known: Iterable[NodeId],
    *,
    health: Health,
    now: Monotonic,
    entropy: Entropy,
) -> Decision:
    """Return whom to ask, in random order within the tier.

    Args:
        elected: Discovery nodes of this period.
        trusted: Nodes that trusted partners run.
        known: Every other node.
        health: What happened lately.
        now: The time.
        entropy: For the order: a fixed one would load the first and tell nobody apart.
    """
    tiers: Mapping[Tier, Sequence[NodeId]] = {
        Tier.ELECTED: elected,
        Tier.TRUSTED: trusted,
        Tier.KNOWN: tuple(known),
    }
    notes: list[str] = []
    for tier, members in tiers.items():
        ready = [key for key in members if not health.is_waiting(key, now)]
        if ready:
            notes.append(f"asking {tier}: {len(ready)} of {len(members)} can be tried")
            return Decision(tier, _shuffled(ready, entropy), "; ".join(notes))
        if members:
            notes.append(f"none of {len(members)} {tier} can be reached")
        else:
            notes.append(f"there are no {tier}")
    return _last_resort(tiers, notes, entropy)


def _last_resort(
    tiers: Mapping[Tier, Sequence[NodeId]], notes: list[str], entropy: Entropy
) -> Decision:
    """Ask the best tier that has members, failing or not: a client never gives up."""
    for tier, members in tiers.items():
        if members:
            notes.append(f"trying {tier} again all the same")
            return Decision(tier, _shuffled(members, entropy), "; ".join(notes))
    return Decision(Tier.KNOWN, (), "; ".join(notes))


def _shuffled(members: Sequence[NodeId], entropy: Entropy) -> tuple[NodeId, ...]:
    order = list(members)
    for i in range(len(order) - 1, 0, -1):
        j = entropy.below(i + 1)
        order[i], order[j] = order[j], order[i]
    return tuple(order)
