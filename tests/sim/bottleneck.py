"""Sessions over one narrow place: a queue of bounded length in front of a rate.

Seeded and in virtual time. Blocks are real, sealed and opened by `Session`; circuits and
links are not there, but what they do to blocks is: delay, repair, loss, marks.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from psp.crypto.kdf import LayerKeys
from psp.crypto.session import SessionKeys
from psp.endpoint.rate_control import BLOCK_BITS
from psp.endpoint.session import DatagramsReceived, Session, SessionConfig
from psp.units import Monotonic
from psp.wire.onion import Kind

START = 100.0
FRAME = 0.02
VOICE_SIZE = 90
BULK_SIZE = 1080


@dataclass
class Path:
    """What lies between callers and callees; the way back is never narrow.

    Attributes:
        rate: Blocks a second through the narrow place; 0 for any number.
        buffer: Seconds of blocks that it holds.
        delay: One way, seconds, without any queue.
        repaired: Share of blocks that a link had to send again, 80 ms late, each way.
        loss: Share of blocks that are lost for good, each way.
        mark_above: Seconds of queue from which blocks are marked; None for never.
        turns: Mean seconds that the narrow place works and then rests, as a process does
            on a busy machine; None for never.
        is_down: Nothing passes.
    """

    rate: float = 0.0
    buffer: float = 0.2
    delay: float = 0.001
    repaired: float = 0.0
    loss: float = 0.0
    mark_above: float | None = None
    turns: tuple[float, float] | None = None
    is_down: bool = False
    rests_at: float = 0.0
    free_at: float = 0.0
    passed: list[float] = field(default_factory=list)

    def arrival(self, now: float, dice: random.Random, *, back: bool) -> float | None:
        """Return when a block that is sent now comes, or None if it never does."""
        if self.is_down or dice.random() < self.loss:
            return None
        late = 0.08 if dice.random() < self.repaired else 0.0
        if back or not self.rate:
            return now + self.delay + late
        queue = max(0.0, self.free_at - now)
        if queue > self.buffer:
            return None
        self.free_at = now + queue + 1 / self.rate
        self._rest(dice)
        self.passed.append(now)
        return self.free_at + self.delay + late

    def _rest(self, dice: random.Random) -> None:
        if self.turns is None:
            return
        works, rests = self.turns
        while self.rests_at < self.free_at:
            back_at = self.rests_at + dice.expovariate(1 / rests)
            self.free_at = max(self.free_at, back_at)
            self.rests_at = back_at + dice.expovariate(1 / works)

    def is_marking(self, now: float) -> bool:
        return self.mark_above is not None and self.free_at - now > self.mark_above


@dataclass(eq=False)
class Call:
    """One session; the caller sends.

    Attributes:
        bulk: Whether the caller sends as much as there is room for.
        voice: Whether it sends 50 small packets a second.
        video: Share of its session's bitrate, voice's taken off, that it sends as 30
            frames a second.
    """

    bulk: bool = False
    voice: bool = False
    video: float = 0.0
    video_limit: float = 5e6
    begins: float = 0.0
    ends: float = 1e9
    arrived: list[float] = field(default_factory=list)
    voice_delays: list[tuple[float, float]] = field(default_factory=list)
    voice_sent: list[float] = field(default_factory=list)
    bitrates: list[tuple[float, int]] = field(default_factory=list)
    config: SessionConfig = field(default_factory=SessionConfig)

    def open(self, now: Monotonic) -> None:
        there = LayerKeys(b"f" * 32, 7, b"there")
        back = LayerKeys(b"b" * 32, 9, b"back")
        self.sessions = [
            Session(SessionKeys(there, back, bytes(32)), now, self.config),
            Session(SessionKeys(back, there, bytes(32)), now, self.config),
        ]
        for end in self.sessions:
            end.add_leg(0, now)

    def received(self, since: float, until: float) -> float:
        """Return bulk and video datagrams a second, delivered in that time."""
        return sum(since <= at < until for at in self.arrived) / (until - since)

    def voice_loss(self, since: float, until: float) -> float:
        """Return the share of voice of that time that never came."""
        heard = {sent for sent, _ in self.voice_delays}
        sent = [at for at in self.voice_sent if since <= at < until]
        return sum(round(at, 6) not in heard for at in sent) / len(sent)

    def voice_delay(self, share: float, since: float = 0.0) -> float:
        delays = sorted(delay for at, delay in self.voice_delays if at >= since)
        return delays[min(len(delays) - 1, int(len(delays) * share))]


class Place:
    """Runs calls over a path."""

    def __init__(self, path: Path, calls: list[Call], seed: int = 1) -> None:
        self.path = path
        self.calls = calls
        self.now = START
        self._dice = random.Random(seed)
        self._serial = count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._due: dict[tuple[int, int], float] = {}
        for number, call in enumerate(calls):
            self.at(self.now + call.begins, partial(self._begin, number))

    def at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (time, next(self._serial), action))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._heap and self._heap[0][0] <= until:
            time, _, action = heapq.heappop(self._heap)
            self.now = max(self.now, time)
            action()
        self.now = until

    def interrupt(self, seconds: float) -> None:
        """Let nothing pass for a while; legs lost by then are offered again."""
        self.path.is_down = True
        self.at(self.now + seconds, self._resume)

    def _resume(self) -> None:
        self.path.is_down = False
        for number, call in enumerate(self.calls):
            for end, session in enumerate(call.sessions):
                if not len(session.legs):
                    session.add_leg(0, Monotonic(self.now))
                self._flush(number, end)

    def _begin(self, number: int) -> None:
        call = self.calls[number]
        call.open(Monotonic(self.now))
        call.ends += self.now
        if call.voice:
            self._speak(call, number)
        if call.video:
            self._film(call, number)
        self._flush(number, 0)
        self._flush(number, 1)

    def _speak(self, call: Call, number: int) -> None:
        call.voice_sent.append(self.now)
        stamp = b"v%.6f" % self.now
        call.sessions[0].send_datagram(stamp.ljust(VOICE_SIZE), Kind.AUDIO)
        self._flush(number, 0)
        self.at(self.now + FRAME, partial(self._speak, call, number))

    def _film(self, call: Call, number: int) -> None:
        session = call.sessions[0]
        free = session.bitrate - 50 * BLOCK_BITS * call.voice
        bits = min(call.video * free, call.video_limit) / 30
        for _ in range(max(1, round(bits / BLOCK_BITS))):
            session.send_datagram(b"b" * BULK_SIZE)
        self._flush(number, 0)
        self.at(self.now + 1 / 30, partial(self._film, call, number))

    def _flush(self, number: int, end: int) -> None:
        call = self.calls[number]
        session = call.sessions[end]
        now = Monotonic(self.now)
        if call.bulk and end == 0 and self.now < call.ends:
            for _ in range(session.room):
                session.send_datagram(b"b" * BULK_SIZE)
            session.want_room()
        for leg, blocks, _ in session.blocks_to_send(now):
            self._carry(number, end, leg, blocks)
        self._listen(call, end, session)
        if end == 0:
            call.bitrates.append((self.now, session.bitrate))
        due = session.next_timeout()
        if due is not None and due < self._due.get((number, end), 1e18):
            self._due[number, end] = due
            self.at(due, partial(self._expired, number, end, due))

    def _expired(self, number: int, end: int, due: float) -> None:
        if self._due.get((number, end)) == due:
            del self._due[number, end]
            self.calls[number].sessions[end].handle_timeout(Monotonic(self.now))
            self._flush(number, end)

    def _carry(self, number: int, end: int, leg: int, blocks: list[bytes]) -> None:
        path = self.path
        for block in blocks:
            marked = int(end == 0 and path.is_marking(self.now))
            arrival = path.arrival(self.now, self._dice, back=end == 1)
            if arrival is not None:
                arrive = partial(self._arrive, number, 1 - end, leg, block, marked)
                self.at(arrival, arrive)

    def _arrive(
        self, number: int, end: int, leg: int, block: bytes, marked: int
    ) -> None:
        session = self.calls[number].sessions[end]
        session.note_marks(1, marked)
        session.receive_blocks(leg, [block], Monotonic(self.now))
        self._flush(number, end)

    def _listen(self, call: Call, end: int, session: Session) -> None:
        while (event := session.next_event()) is not None:
            if isinstance(event, DatagramsReceived) and end == 1:
                for datagram in event.datagrams:
                    self._count(call, datagram)

    def _count(self, call: Call, datagram: bytes) -> None:
        if datagram[:1] == b"v":
            sent = round(float(datagram[1:20].strip()), 6)
            call.voice_delays.append((sent, self.now - sent))
        else:
            call.arrived.append(self.now)
