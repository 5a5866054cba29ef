"""Messages that wait to be sent to watch points, which take turns. Pure.

A handle may name any relay, and may name it to harm: one that is dead or says nothing
holds up what is for itself, never what is for others. Once it has left a message
unanswered, what waits for it is given up, and until it answers it is sent one message at
a time; watchers there notice by their circuits.
"""

from collections import Counter, OrderedDict, deque

from presence.watch.watchers import Handle
from psp.ids import NodeId

Letter = tuple[Handle, bytes]
"""A message, and the handle that it is for."""


class Outbox:
    """What waits, by watch point; the owner bounds how much it puts in.

    Watch points are relays of the registry, so no more of them are remembered.
    """

    def __init__(self, at_once: int, in_all: int) -> None:
        """Begin empty.

        Args:
            at_once: Messages on their way to one watch point.
            in_all: Messages on their way.
        """
        self._at_once = at_once
        self._in_all = in_all
        self._waiting: dict[NodeId, deque[Letter]] = {}
        self._turns: OrderedDict[NodeId, None] = OrderedDict()
        self._under_way: Counter[NodeId] = Counter()
        self._silent: set[NodeId] = set()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, handle: Handle, message: bytes) -> None:
        """Add a message."""
        self._waiting.setdefault(handle.watch_point, deque()).append((handle, message))
        self._size += 1
        self._queue(handle.watch_point)

    def take(self) -> Letter | None:
        """Return what is to be sent next, if anything; `done` is called for it once."""
        if not self._turns or self._under_way.total() >= self._in_all:
            return None
        watch_point, _ = self._turns.popitem(last=False)
        letters = self._waiting[watch_point]
        letter = letters.popleft()
        self._size -= 1
        self._under_way[watch_point] += 1
        if not letters:
            del self._waiting[watch_point]
        self._queue(watch_point)
        return letter

    def done(self, watch_point: NodeId, *, is_answered: bool) -> int:
        """Take in what became of a message; return how many were given up with it."""
        self._under_way[watch_point] -= 1
        if not self._under_way[watch_point]:
            del self._under_way[watch_point]
        given_up = 0
        if is_answered:
            self._silent.discard(watch_point)
        else:
            self._silent.add(watch_point)
            given_up = len(self._waiting.pop(watch_point, ()))
            self._size -= given_up
            self._turns.pop(watch_point, None)
        self._queue(watch_point)
        return given_up

    def clear(self) -> None:
        """Give up all that waits."""
        self._waiting.clear()
        self._turns.clear()
        self._size = 0

    def _queue(self, watch_point: NodeId) -> None:
        """Give a watch point a turn, behind the others, if something can be sent."""
        most = 1 if watch_point in self._silent else self._at_once
        is_free = self._under_way[watch_point] < most
        if watch_point in self._waiting and is_free:
            self._turns.setdefault(watch_point)
