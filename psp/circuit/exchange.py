"""Requests and answers over a circuit that loses, doubles and reorders messages.

Both ends of a circuit run one `Exchange` per hop. An asker repeats its request on the
schedule of `psp.circuit.retry`; the answerer keeps its last 16 answers for 30 s and
gives them again, so that asking twice does nothing twice (SPEC.md section 3).

Streams begun by the origin have odd ids, those begun by a hop even ones.

Messages of two halves are cut and joined here. A repeated half of a request brings back
only the half of the answer with the same number, twice, and an asker repeats only the
halves whose answers it lacks. **An answerer therefore never sends more than two messages
for each it got**, which an asker checks: superfluous answers would be a hidden channel.

Limits: 32 requests asked at a time (`request` raises); 16 taken at a time (the oldest
answered one is forgotten; when none is, the new one is refused); 4 partial requests;
ended requests are remembered for 30 s and at most 256 of them, the oldest going first.
"""

from collections.abc import Collection

from psp.circuit.commands import (
    ANSWERING,
    ANSWERS,
    MAX_ECHO,
    WHOLE_SIZES,
    split_part,
    to_messages,
)
from psp.circuit.events import (
    ExchangeEvent,
    RequestAnswered,
    RequestFailed,
    RequestReceived,
)
from psp.circuit.halves import HalfTable
from psp.circuit.retry import ANSWER_COPIES, Retry
from psp.errors import DecodeError, LocalProtocolError, RemoteProtocolError
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand, RelayMessage

MAX_ASKED = 32
MAX_ANSWERS = 16
ANSWER_LIFETIME = Seconds(30.0)
MAX_ENDED = 256

FIRST_ORIGIN_STREAM = 1
FIRST_HOP_STREAM = 2
_STREAM_IDS = 0x10000


class _Asked:
    """A request of ours without a whole answer yet."""

    __slots__ = ("allowance", "command", "messages", "parts", "retry")

    def __init__(
        self, command: RelayCommand, messages: tuple[RelayMessage, ...], now: Monotonic
    ) -> None:
        self.command = command
        self.messages = messages
        self.retry = Retry(now)
        self.parts: dict[int, bytes] = {}
        self.allowance = 0


class _Taken:
    """A request of theirs, and our answer once we have one."""

    __slots__ = ("answer", "command", "expires")

    def __init__(self, command: RelayCommand, expires: Monotonic) -> None:
        self.command = command
        self.answer: tuple[RelayMessage, ...] = ()
        self.expires = expires


class Exchange:
    """One end of the requests and answers between an origin and one hop."""

    __slots__ = (
        "_accepts",
        "_asked",
        "_capacity",
        "_ended",
        "_events",
        "_halves",
        "_hop",
        "_next_stream_id",
        "_outgoing",
        "_taken",
    )

    def __init__(
        self,
        hop: int,
        *,
        first_stream_id: int,
        accepts: Collection[RelayCommand],
        capacity: int,
    ) -> None:
        """Start with nothing asked.

        Args:
            hop: Index written into events.
            first_stream_id: `FIRST_ORIGIN_STREAM` or `FIRST_HOP_STREAM`, or where an
                earlier exchange with the same peer stopped.
            accepts: Requests that the other end may make.
            capacity: Data bytes of one message.
        """
        self._hop = hop
        self._next_stream_id = first_stream_id
        self._accepts = accepts
        self._capacity = capacity
        self._asked: dict[int, _Asked] = {}
        self._taken: dict[int, _Taken] = {}
        self._ended: dict[int, tuple[int, Monotonic]] = {}
        self._halves: HalfTable[int] = HalfTable()
        self._outgoing: list[RelayMessage] = []
        self._events: list[ExchangeEvent] = []

    @property
    def can_ask(self) -> bool:
        """Whether `request` may be called."""
        return len(self._asked) < MAX_ASKED

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost by forgetting this exchange."""
        return not (
            self._asked
            or self._taken
            or self._ended
            or self._halves
            or self._outgoing
            or self._events
        )

    @property
    def next_stream_id(self) -> int:
        """The stream id of the next request."""
        return self._next_stream_id

    def request(self, command: RelayCommand, data: bytes, now: Monotonic) -> int:
        """Ask; return the stream id that the answer will have.

        Raises:
            LocalProtocolError: If the command does not ask, the data does not fit, or
                32 requests are waiting.
        """
        if command not in ANSWERS or not self.can_ask:
            raise LocalProtocolError(f"{command.name} cannot be asked now")
        if command is RelayCommand.PING and len(data) > MAX_ECHO:
            raise LocalProtocolError(f"PING of {len(data)} bytes")
        stream_id = self._next_stream_id
        messages = to_messages(command, stream_id, data, self._capacity)
        self._next_stream_id = (stream_id + 2) % _STREAM_IDS or 2
        asked = self._asked[stream_id] = _Asked(command, messages, now)
        self._send_if_due(asked, now)
        return stream_id

    def answer(self, stream_id: int, data: bytes, now: Monotonic) -> None:
        """Answer a request with ``data``, by the command that belongs to it.

        A request that was answered, or has expired, is left alone.
        """
        taken = self._taken.get(stream_id)
        if taken is not None and not taken.answer:
            messages = to_messages(
                ANSWERS[taken.command], stream_id, data, self._capacity
            )
            self._settle(taken, messages, now)

    def refuse(self, stream_id: int, reason: Reason, now: Monotonic) -> None:
        """Answer a request with REFUSED."""
        taken = self._taken.get(stream_id)
        if taken is not None and not taken.answer:
            self._settle(taken, _refused(stream_id, reason), now)

    def receive(self, message: RelayMessage, now: Monotonic) -> None:
        """Take in a message that asks or answers.

        Raises:
            RemoteProtocolError: If it is neither expected nor a repetition.
        """
        command = message.command
        if command in self._accepts:
            self._receive_request(message, now)
        elif command in ANSWERING:
            self._receive_answer(message, now)
        else:
            raise RemoteProtocolError(f"{command.name} is not expected here")

    def messages_to_send(self) -> list[RelayMessage]:
        """Return what must go out now, oldest first."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def next_event(self) -> ExchangeEvent | None:
        """Return the oldest unread event, or None."""
        return self._events.pop(0) if self._events else None

    def next_timeout(self) -> Monotonic | None:
        """Return when to call `handle_timeout`, or None for never."""
        due = [asked.retry.next_due for asked in self._asked.values()]
        due += [taken.expires for taken in self._taken.values()]
        for _, expires in self._ended.values():
            due.append(expires)
            break
        halves = self._halves.next_timeout()
        if halves is not None:
            due.append(halves)
        return min(due, default=None)

    def handle_timeout(self, now: Monotonic) -> None:
        """Repeat, give up and forget whatever is due."""
        for stream_id, asked in list(self._asked.items()):
            self._send_if_due(asked, now)
            if asked.retry.is_over(now):
                self._fail(stream_id, asked, Reason.TIMEOUT, now, is_refused=False)
        for stream_id, taken in list(self._taken.items()):
            if taken.expires <= now:
                del self._taken[stream_id]
        for stream_id, (_, expires) in list(self._ended.items()):
            if expires <= now:
                del self._ended[stream_id]
        self._halves.expire(now)

    def abandon(self, reason: Reason, now: Monotonic) -> None:
        """Fail everything we asked: the other end is gone."""
        for stream_id, asked in list(self._asked.items()):
            self._fail(stream_id, asked, reason, now, is_refused=False)

    def _send_if_due(self, asked: _Asked, now: Monotonic) -> None:
        if not asked.retry.take(now):
            return
        for part, message in enumerate(asked.messages, 1):
            if part not in asked.parts:
                asked.allowance += ANSWER_COPIES
                self._outgoing.append(message)

    def _receive_request(self, message: RelayMessage, now: Monotonic) -> None:
        stream_id = message.stream_id
        if not stream_id or (stream_id ^ self._next_stream_id) & 1 == 0:
            raise RemoteProtocolError("request on a stream of ours, or on none")
        part, data = split_part(message)
        if message.command is RelayCommand.PING:
            self._echo(stream_id, data)
            return
        taken = self._taken.get(stream_id)
        if taken is None:
            whole: bytes | None = data
            if part:
                whole = self._halves.add(stream_id, part, data, now)
            if whole is not None:
                self._take(message.command, stream_id, whole, now)
        elif taken.command is not message.command:
            raise RemoteProtocolError("two requests on one stream")
        else:
            self._repeat(taken, part)

    def _echo(self, stream_id: int, data: bytes) -> None:
        if len(data) > MAX_ECHO:
            raise DecodeError(f"PING of {len(data)} bytes")
        self._outgoing.append(RelayMessage(RelayCommand.PONG, stream_id, data))

    def _take(
        self, command: RelayCommand, stream_id: int, data: bytes, now: Monotonic
    ) -> None:
        if len(self._taken) >= MAX_ANSWERS and not self._forget_oldest_answer():
            self._outgoing += _refused(stream_id, Reason.RESOURCE_LIMIT)
            return
        self._taken[stream_id] = _Taken(command, Monotonic(now + ANSWER_LIFETIME))
        self._events.append(RequestReceived(self._hop, stream_id, command, data))

    def _forget_oldest_answer(self) -> bool:
        for stream_id, taken in self._taken.items():
            if taken.answer:
                del self._taken[stream_id]
                return True
        return False

    def _repeat(self, taken: _Taken, part: int) -> None:
        if len(taken.answer) == 2 and part:
            self._outgoing += (taken.answer[part - 1],) * ANSWER_COPIES
        else:
            self._outgoing += taken.answer * ANSWER_COPIES

    def _settle(
        self, taken: _Taken, messages: tuple[RelayMessage, ...], now: Monotonic
    ) -> None:
        taken.answer = messages
        taken.expires = Monotonic(now + ANSWER_LIFETIME)
        self._outgoing += messages

    def _receive_answer(self, message: RelayMessage, now: Monotonic) -> None:
        stream_id = message.stream_id
        part, data = split_part(message)
        asked = self._asked.get(stream_id)
        if asked is None:
            self._receive_late(stream_id)
            return
        asked.allowance -= 1
        if asked.allowance < 0:
            raise RemoteProtocolError("more answers than requests")
        if message.command is RelayCommand.REFUSED:
            self._fail(stream_id, asked, read_reason(data), now, is_refused=True)
        elif message.command is not ANSWERS[asked.command]:
            raise RemoteProtocolError(f"{message.command.name} answers another request")
        else:
            asked.parts[part] = data
            if message.command not in WHOLE_SIZES or len(asked.parts) == 2:
                self._finish(stream_id, asked, now)

    def _receive_late(self, stream_id: int) -> None:
        allowance, expires = self._ended.get(stream_id, (0, None))
        if expires is None or allowance == 0:
            raise RemoteProtocolError("answer to nothing")
        self._ended[stream_id] = (allowance - 1, expires)

    def _finish(self, stream_id: int, asked: _Asked, now: Monotonic) -> None:
        self._end(stream_id, asked, now)
        retry = asked.retry
        round_trip = Seconds(now - retry.started) if retry.sent == 1 else None
        data = b"".join(asked.parts[part] for part in sorted(asked.parts))
        self._events.append(
            RequestAnswered(
                self._hop, stream_id, ANSWERS[asked.command], data, round_trip
            )
        )

    def _fail(
        self,
        stream_id: int,
        asked: _Asked,
        reason: Reason,
        now: Monotonic,
        *,
        is_refused: bool,
    ) -> None:
        self._end(stream_id, asked, now)
        self._events.append(
            RequestFailed(self._hop, stream_id, asked.command, reason, is_refused)
        )

    def _end(self, stream_id: int, asked: _Asked, now: Monotonic) -> None:
        del self._asked[stream_id]
        if len(self._ended) >= MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[stream_id] = (asked.allowance, Monotonic(now + ANSWER_LIFETIME))


def _refused(stream_id: int, reason: Reason) -> tuple[RelayMessage, ...]:
    return (RelayMessage(RelayCommand.REFUSED, stream_id, bytes([reason])),)


def read_reason(data: bytes) -> Reason:
    """Return the reason in the data of REFUSED or TRUNCATED.

    Raises:
        DecodeError: If it is not one byte.
    """
    if len(data) != 1:
        raise DecodeError(f"reason of {len(data)} bytes")
    return Reason.from_wire(data[0])
