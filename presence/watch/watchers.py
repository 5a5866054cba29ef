"""The handles that watchers left at a presence point. Pure.

A handle says: when this tag changes, send one message to this cookie at that relay. It is
used up by the first change, and ends with its lifetime. The point does not learn who
left it, only that somebody uses that watch point.

When full, newcomers hear BUSY and look up instead: whoever came first had to bring a
circuit of its own for each handle, so that filling the table costs as many.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from presence.config import WatchConfig
from psp.ids import NodeId
from psp.timers import Deadlines
from psp.units import Monotonic
from psp.wire.watch import Change, Watched, WatchRequest, WatchStatus


@dataclass(frozen=True, slots=True)
class Handle:
    """One watcher's wish to be told once.

    Attributes:
        watch_point: The relay that knows where the cookie leads.
        cookie: 20 bytes.
        key: For the one message.
    """

    watch_point: NodeId
    cookie: bytes = field(repr=False)
    key: bytes = field(repr=False)


class Watchers:
    """Every handle at one presence point; limits in `WatchConfig`."""

    def __init__(self, config: WatchConfig) -> None:
        self._config = config
        self._of_tag: dict[bytes, dict[bytes, Handle]] = {}
        self._tag_of: dict[bytes, bytes] = {}
        self._ends: Deadlines[bytes] = Deadlines()
        self._at: Counter[NodeId] = Counter()
        self._changed: OrderedDict[bytes, int] = OrderedDict()
        self._left_over: set[int] = set()

    def __len__(self) -> int:
        return len(self._tag_of)

    def tags(self) -> list[bytes]:
        """Return the tags that somebody watches."""
        return list(self._of_tag)

    def leave(
        self, circuit: int, request: WatchRequest, status: WatchStatus, now: Monotonic
    ) -> Watched | None:
        """Take a handle in, and say how its tag stands; None for a circuit's second.

        Args:
            circuit: Over which it comes: one handle each, whatever becomes of it.
            request: What the watcher wants.
            status: Of the tag: HERE, AWAY or NO_SUCH_TAG.
            now: The lifetime begins.
        """
        if circuit in self._left_over:
            return None
        self._left_over.add(circuit)
        self.sweep(now)
        sequence = self._changed.get(request.tag, 0)
        if status is WatchStatus.NO_SUCH_TAG:
            return Watched(status)
        if not self._has_room(request):
            return Watched(WatchStatus.BUSY)
        handle = Handle(request.watch_point, request.cookie, request.key)
        self._of_tag.setdefault(request.tag, {})[request.cookie] = handle
        self._tag_of[request.cookie] = request.tag
        self._at[request.watch_point] += 1
        self._ends.set(request.cookie, Monotonic(now + request.lifetime))
        return Watched(status, sequence)

    def changed(
        self, tag: bytes, change: Change, sequence: int, now: Monotonic
    ) -> list[Handle]:
        """Use up the handles of a tag; return them, each to be told once."""
        self.sweep(now)
        if change is Change.GONE:
            self._changed.pop(tag, None)  # nobody can watch it any more
        else:
            self._remember(tag, sequence)
        handles = list(self._of_tag.get(tag, {}).values())
        for handle in handles:
            self._end(handle.cookie)
        return handles

    def circuit_closed(self, circuit: int) -> None:
        """Forget a circuit, not what it left; any key is fine.

        No more circuits are remembered than the relay carries.
        """
        self._left_over.discard(circuit)

    def sweep(self, now: Monotonic) -> None:
        """Forget the handles whose lifetime is over."""
        for cookie in self._ends.pop_expired(now):
            self._end(cookie)

    def _has_room(self, request: WatchRequest) -> bool:
        config = self._config
        return (
            request.cookie not in self._tag_of
            and len(self._tag_of) < config.max_handles
            and len(self._of_tag.get(request.tag, ())) < config.handles_per_tag
            and self._at[request.watch_point] < config.handles_per_watch_point
        )

    def _remember(self, tag: bytes, sequence: int) -> None:
        sequence = max(sequence, self._changed.pop(tag, 0))
        self._changed[tag] = sequence
        if len(self._changed) > self._config.remembered_changes:
            self._changed.popitem(last=False)

    def _end(self, cookie: bytes) -> None:
        tag = self._tag_of.pop(cookie)
        handle = self._of_tag[tag].pop(cookie)
        if not self._of_tag[tag]:
            del self._of_tag[tag]
        self._at[handle.watch_point] -= 1
        if not self._at[handle.watch_point]:
            del self._at[handle.watch_point]
        self._ends.cancel(cookie)
