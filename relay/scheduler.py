"""The egress limit: fresh beats complete (R-RES-2).

A token bucket, and behind it one queue per circuit in three classes. Cells leave circuit
by circuit in turn, audio before key frames before the rest. A queue holds at most 128
cells, none older than 250 ms; when it is full the oldest cell of its least class goes.
All queues share a room: the less of it is left, the fewer cells one queue may hold.
Without a limit nothing comes here at all.
"""

from collections import OrderedDict, deque
from typing import NamedTuple, Protocol

from psp.ids import LinkId
from psp.units import Monotonic, Seconds
from psp.wire.onion import Kind
from psp.wire.packet import PACKET_SIZE
from relay.stats import RelayStats

MAX_QUEUE = 128
"""Cells per circuit (R-RES-2)."""

MAX_AGE = Seconds(0.25)
"""Older media is of no use to anybody (R-RES-2)."""

LATE = Seconds(0.02)
"""Who has a cell that waited this long sends more than its turns take, and is told."""

ROOM = 32_768
"""Cells of all circuits: 45 MB, 250 ms at 1.3 Gbit/s. A queue may hold an eighth of what
is left of it, and always one cell, so that memory is bounded by this and the number of
circuits (after Choudhury and Hahne's dynamic thresholds)."""

_SHARE_OF_ROOM = 8

BURST = Seconds(0.02)
"""Tokens kept for at most this long: enough for full trains, below one video frame."""

TICK = Seconds(0.002)
"""Cells wait at least this long once they wait, so that they leave in trains."""

_AUDIO, _KEY_FRAME, _REST = 0, 1, 2
_CLASS = tuple(
    _AUDIO if kind & Kind.AUDIO else _KEY_FRAME if kind & Kind.KEY_FRAME else _REST
    for kind in range(16)
)


class Flow(Protocol):
    """Where a cell goes, and whose it is: a `relay.circuit_table.Lane`."""

    @property
    def key(self) -> int:
        """Cells of one key share a queue."""
        ...

    @property
    def link(self) -> LinkId | None:
        """Where they go; None is nowhere."""
        ...

    def count_drop(self) -> None:
        """Called for each cell that is thrown away."""


class _Waiting(NamedTuple):
    since: Monotonic
    flow: Flow
    link: LinkId
    cell: bytes


class _Queue:
    __slots__ = ("classes", "size")

    def __init__(self) -> None:
        # A deque when first needed: three empty ones take 2 kB.
        self.classes: list[deque[_Waiting] | None] = [None, None, None]
        self.size = 0

    def append(self, rank: int, waiting: _Waiting) -> None:
        self.size += 1
        queue = self.classes[rank]
        if queue is None:
            self.classes[rank] = deque((waiting,))
        else:
            queue.append(waiting)

    def oldest(self) -> Monotonic:
        return min(queue[0].since for queue in self.classes if queue)


class Scheduler:
    """Delays, orders and drops what goes out, so that it fits a bandwidth.

    Attributes:
        late: Circuits that had cells dropped or late; whoever tells them clears it.
    """

    def __init__(self, bytes_per_s: int, stats: RelayStats) -> None:
        self._rate = bytes_per_s / PACKET_SIZE
        self._burst = max(50.0, self._rate * BURST)
        self._tokens = self._burst
        self._filled = Monotonic(0.0)
        self._stats = stats
        self._queues: OrderedDict[int, _Queue] = OrderedDict()
        self._size = 0
        self.late: dict[int, None] = {}

    @property
    def is_limited(self) -> bool:
        """Whether cells must come through here."""
        return self._rate > 0.0

    @property
    def size(self) -> int:
        """Cells that wait."""
        return self._size

    def push(self, flow: Flow, kind: int, cell: bytes, now: Monotonic) -> None:
        """Queue one cell; a flow that leads nowhere takes none."""
        link = flow.link
        if link is None:
            return
        queue = self._queues.get(flow.key)
        if queue is None:
            queue = self._queues[flow.key] = _Queue()
        if queue.size >= self._max_queue():
            self._drop_least(queue)
        queue.append(_CLASS[kind & 15], _Waiting(now, flow, link, cell))
        self._size += 1

    def pop(self, now: Monotonic) -> list[tuple[LinkId, bytes]]:
        """Return what may leave now, in the order in which it should."""
        self._fill(now)
        ready: list[tuple[LinkId, bytes]] = []
        queues = self._queues
        while queues and self._tokens >= 1.0:
            key, queue = next(iter(queues.items()))
            self._drop_old(queue, now)
            waiting = self._take(queue)
            if waiting is not None:
                if now - waiting.since > LATE:
                    self.late[key] = None
                self._tokens -= 1.0
                ready.append((waiting.link, waiting.cell))
            if queue.size:
                queues.move_to_end(key)
            else:
                del queues[key]
        return ready

    def spend(self, cells: int) -> None:
        """Account for cells that did not wait: control must not starve."""
        self._tokens = max(self._tokens - cells, -self._burst)

    def forget(self, key: int) -> None:
        """Throw away what waits of a circuit that ended; not counted as drops."""
        queue = self._queues.pop(key, None)
        if queue is not None:
            self._size -= queue.size
        self.late.pop(key, None)

    def oldest(self, key: int) -> Monotonic | None:
        """Return since when the oldest cell of a circuit waits, or None."""
        queue = self._queues.get(key)
        return None if queue is None or not queue.size else queue.oldest()

    def waiting_circuits(self) -> list[int]:
        """Return the circuits with cells that wait, those waiting longest first."""
        live = ((q.oldest(), key) for key, q in self._queues.items() if q.size)
        return [key for _, key in sorted(live)]

    def next_timeout(self) -> Monotonic | None:
        """Return when ``pop`` has something to do."""
        if not self._size:
            return None
        missing = max(0.0, 1.0 - self._tokens) / self._rate
        return Monotonic(self._filled + max(TICK, missing))

    def audit(self) -> bool:
        """Recompute the sizes; return whether they agree."""
        sizes = [
            sum(len(waiting) for waiting in queue.classes if waiting)
            for queue in self._queues.values()
        ]
        own = [queue.size for queue in self._queues.values()]
        return sizes == own and sum(sizes) == self._size

    def _fill(self, now: Monotonic) -> None:
        gained = (now - self._filled) * self._rate
        self._tokens = min(self._burst, self._tokens + gained)
        self._filled = now

    def _max_queue(self) -> int:
        return max(1, min(MAX_QUEUE, (ROOM - self._size) // _SHARE_OF_ROOM))

    def _take(self, queue: _Queue) -> _Waiting | None:
        for waiting in queue.classes:
            if waiting:
                queue.size -= 1
                self._size -= 1
                return waiting.popleft()
        return None

    def _drop_old(self, queue: _Queue, now: Monotonic) -> None:
        for rank, waiting in enumerate(queue.classes):
            while waiting and now - waiting[0].since > MAX_AGE:
                self._drop(queue, rank)

    def _drop_least(self, queue: _Queue) -> None:
        rank = max(rank for rank, waiting in enumerate(queue.classes) if waiting)
        self._drop(queue, rank)

    def _drop(self, queue: _Queue, rank: int) -> None:
        waiting = queue.classes[rank]
        if not waiting:
            return
        flow = waiting.popleft().flow
        flow.count_drop()
        self.late[flow.key] = None
        queue.size -= 1
        self._size -= 1
        if rank == _AUDIO:
            self._stats.dropped_audio += 1
        elif rank == _KEY_FRAME:
            self._stats.dropped_key_frame += 1
        else:
            self._stats.dropped_rest += 1
