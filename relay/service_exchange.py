"""Asking other relays, and being asked, in SERVICE cells.

Requests are sent again (250 ms, then 1.5 times later each) until answered or out of
time; the answerer keeps its last answers and repeats them, so that asking twice does
nothing twice. Only the node that was asked can answer.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

from psp.entropy import Entropy
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.timers import Deadlines
from psp.units import Monotonic, Seconds
from relay.config import RelayConfig
from relay.events import ServiceAnswered, ServiceRequested
from relay.service_message import (
    REQUEST_ID_SIZE,
    ServiceKind,
    ServiceMessage,
)
from relay.stats import RelayStats

FIRST_RETRY = Seconds(0.25)
RETRY_FACTOR = 1.5
"""Both as for requests over circuits (SPEC.md section 3)."""

MAX_CACHED_ANSWERS = 512
"""Answers kept for repeated requests; the oldest go first. Our choice: 600 KB."""

PENDING_LIFE = Seconds(30.0)
"""A request that our own service has not answered by then is given up."""


@dataclass(slots=True)
class _Outstanding:
    node_id: NodeId
    cell: bytes
    token: int
    gives_up: Monotonic
    wait: Seconds


_Asked = tuple[NodeId, int, bytes]
"""Who asked which service under which request id."""


class ServiceExchange:
    """Both sides of every SERVICE request of one relay."""

    def __init__(
        self, config: RelayConfig, entropy: Entropy, stats: RelayStats
    ) -> None:
        self._config = config
        self._entropy = entropy
        self._stats = stats
        self._tokens = 0
        self._outstanding: dict[bytes, _Outstanding] = {}
        self._retries: Deadlines[bytes] = Deadlines()
        self._pending: dict[int, _Asked] = {}
        self._pending_of: dict[_Asked, int] = {}
        self._pending_by_node: Counter[NodeId] = Counter()
        self._pending_ends: Deadlines[int] = Deadlines()
        self._answers: OrderedDict[_Asked, bytes] = OrderedDict()
        self._cells: deque[tuple[NodeId, bytes]] = deque()
        self._events: deque[ServiceRequested | ServiceAnswered] = deque()

    @property
    def size(self) -> int:
        """Requests being worked on, both ways."""
        return len(self._outstanding) + len(self._pending)

    def request(
        self,
        node_id: NodeId,
        service: int,
        data: bytes,
        within: Seconds,
        now: Monotonic,
    ) -> int:
        """Ask a node; `ServiceAnswered` with the returned token tells what came of it.

        Raises:
            LocalProtocolError: If the data is longer than 1,183 bytes.
        """
        self._tokens += 1
        request_id = self._entropy.token(REQUEST_ID_SIZE)
        cell = ServiceMessage(service, ServiceKind.REQUEST, request_id, data).encode()
        if len(self._outstanding) >= self._config.service_outstanding:
            self._fail(self._tokens)
            return self._tokens
        self._stats.services_asked += 1
        self._outstanding[request_id] = _Outstanding(
            node_id, cell, self._tokens, Monotonic(now + within), FIRST_RETRY
        )
        self._retries.set(request_id, Monotonic(now + min(FIRST_RETRY, within)))
        self._cells.append((node_id, cell))
        return self._tokens

    def unreachable(self, node_id: NodeId) -> None:
        """Fail everything asked of a node to which there is no way."""
        gone = [r for r, asked in self._outstanding.items() if asked.node_id == node_id]
        for request_id in gone:
            self._retries.cancel(request_id)
            self._fail(self._outstanding.pop(request_id).token)

    def answer(self, token: int, data: bytes | None) -> None:
        """Answer a request of another node; None ends it without an answer."""
        asked = self._forget_pending(token)
        if asked is None or data is None:
            return
        node_id, service, request_id = asked
        cell = ServiceMessage(service, ServiceKind.ANSWER, request_id, data).encode()
        self._answers[asked] = cell
        if len(self._answers) > MAX_CACHED_ANSWERS:
            self._answers.popitem(last=False)
        self._stats.services_served += 1
        self._cells.append((node_id, cell))

    def receive(self, node_id: NodeId, body: bytes, now: Monotonic) -> None:
        """Take in the body of a SERVICE cell from a node."""
        try:
            message = ServiceMessage.decode(body)
        except DecodeError:
            self._stats.cells_malformed += 1
            return
        if message.kind is ServiceKind.REQUEST:
            self._receive_request(node_id, message, now)
        else:
            self._receive_answer(node_id, message)

    def cells_to_send(self) -> list[tuple[NodeId, bytes]]:
        """Return and forget what must go out, and to whom."""
        cells = list(self._cells)
        self._cells.clear()
        return cells

    def next_event(self) -> ServiceRequested | ServiceAnswered | None:
        """Return the oldest unread event, or None."""
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> Monotonic | None:
        """Return when to call ``handle_timeout``."""
        deadlines = (self._retries.next(), self._pending_ends.next())
        return min((due for due in deadlines if due is not None), default=None)

    def handle_timeout(self, now: Monotonic) -> None:
        """Ask again, and give up what is out of time."""
        for token in self._pending_ends.pop_expired(now):
            self._forget_pending(token)
        for request_id in self._retries.pop_expired(now):
            asked = self._outstanding[request_id]
            if now >= asked.gives_up:
                del self._outstanding[request_id]
                self._fail(asked.token)
                continue
            asked.wait = Seconds(asked.wait * RETRY_FACTOR)
            due = min(now + asked.wait, asked.gives_up)
            self._retries.set(request_id, Monotonic(due))
            self._cells.append((asked.node_id, asked.cell))

    def audit(self) -> bool:
        """Recompute what is kept twice; return whether it agrees."""
        return (
            {asked: token for token, asked in self._pending.items()} == self._pending_of
            and Counter(asked[0] for asked in self._pending.values())
            == +self._pending_by_node
            and len(self._retries) == len(self._outstanding)
        )

    def _fail(self, token: int) -> None:
        self._stats.services_failed += 1
        self._events.append(ServiceAnswered(token, None))

    def _forget_pending(self, token: int) -> _Asked | None:
        asked = self._pending.pop(token, None)
        if asked is None:
            return None
        self._pending_ends.cancel(token)
        del self._pending_of[asked]
        self._pending_by_node[asked[0]] -= 1
        if not self._pending_by_node[asked[0]]:
            del self._pending_by_node[asked[0]]
        return asked

    def _receive_request(
        self, node_id: NodeId, message: ServiceMessage, now: Monotonic
    ) -> None:
        asked = (node_id, message.service, message.request_id)
        cached = self._answers.get(asked)
        if cached is not None:
            self._cells.append((node_id, cached))
            return
        if asked in self._pending_of:
            return
        limit = self._config.service_pending
        if len(self._pending) >= limit or self._pending_by_node[node_id] >= max(
            1, limit // 8
        ):
            self._stats.services_dropped += 1
            return
        self._tokens += 1
        token = self._tokens
        self._pending[token] = asked
        self._pending_of[asked] = token
        self._pending_by_node[node_id] += 1
        self._pending_ends.set(token, Monotonic(now + PENDING_LIFE))
        self._events.append(
            ServiceRequested(token, node_id, message.service, message.data)
        )

    def _receive_answer(self, node_id: NodeId, message: ServiceMessage) -> None:
        asked = self._outstanding.get(message.request_id)
        if asked is None or asked.node_id != node_id:
            return
        del self._outstanding[message.request_id]
        self._retries.cancel(message.request_id)
        self._events.append(ServiceAnswered(asked.token, message.data))
