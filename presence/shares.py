"""Whose records a store holds, and which of them must give way. Pure.

After an election a node that held records for others brings them all, so a limit per
bringer cannot hold, and who published them is only its word. Therefore:

* a record counts for its publisher, whether it came from there or was handed over in
  its name; more than the limit a publisher never has;
* what a publisher brings itself never gives way. It displaces records handed over: in
  its own name where it is at its limit, in any name where the store is full;
* a record handed over displaces only one of a bringer who has at least two more of
  those in question, so that room is shared evenly among the bringers;
* of the bringer with the most, the record longest held goes first.

So a node that was elected once and lies can fill room that nobody else needs. It can
keep no relay from publishing, and take from honest holders no more than one share.
"""

from collections import Counter

from psp.ids import NodeId

Key = tuple[bytes, int]
"""Location and slot."""

_Brought = dict[NodeId, dict[Key, None]]


class Shares:
    """Who brought what; bounded by the store that keeps it."""

    def __init__(self) -> None:
        self._published: Counter[NodeId] = Counter()
        self._total = 0
        self._in_name_of: dict[NodeId, _Brought] = {}
        self._brought: _Brought = {}

    def __len__(self) -> int:
        return self._total

    def __contains__(self, node_id: NodeId) -> bool:
        """Tell whether a relay has published or brought anything that counts."""
        return node_id in self._published or node_id in self._brought

    def of(self, publisher: NodeId) -> int:
        """Return how many records count for a publisher."""
        return self._published[publisher]

    def add(self, key: Key, publisher: NodeId, bringer: NodeId | None) -> None:
        """Count a record; ``bringer`` is None if its publisher brought it."""
        self._published[publisher] += 1
        self._total += 1
        if bringer is not None:
            named = self._in_name_of.setdefault(publisher, {})
            named.setdefault(bringer, {})[key] = None
            self._brought.setdefault(bringer, {})[key] = None

    def remove(self, key: Key, publisher: NodeId, bringer: NodeId | None) -> None:
        """Count a record no longer."""
        self._published[publisher] -= 1
        self._total -= 1
        if not self._published[publisher]:
            del self._published[publisher]
        if bringer is None:
            return
        _remove(self._brought, bringer, key)
        named = self._in_name_of[publisher]
        _remove(named, bringer, key)
        if not named:
            del self._in_name_of[publisher]

    def to_displace(
        self, bringer: NodeId | None, publisher: NodeId | None = None
    ) -> Key | None:
        """Return which record gives way to one of a bringer; None if none does.

        Args:
            bringer: None if the publisher brings the record itself.
            publisher: Only records in its name are in question; None for all.
        """
        pool = self._brought
        if publisher is not None:
            pool = self._in_name_of.get(publisher, {})
        if not pool:
            return None
        most = max(pool, key=lambda each: (len(pool[each]), each))
        if bringer is not None and len(pool[most]) < len(pool.get(bringer, ())) + 2:
            return None
        return next(iter(pool[most]))


def _remove(brought: _Brought, bringer: NodeId, key: Key) -> None:
    del brought[bringer][key]
    if not brought[bringer]:
        del brought[bringer]
