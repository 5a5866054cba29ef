"""How fast a session may send: what the other side and the relays say of the path.

Four things count: how fast blocks came (the receiver's clock), how much longer than the
fastest of late they took (both clocks, so their offset falls out), how many are missing,
and how many cells a relay marked as `Kind.CONGESTED`. They are judged once per round, a
round trip or 50 ms::

    start ── congested twice, or no faster for long ────▶ cruise
      ▲   rate = 2.5 x delivered                            │  not congested and used: up,
      ├──────────── no feedback for 1 s: halved ────────────┤  a step more each round
      └──────────── 12 quiet rounds above the last limit ───┘  congested: 0.85 x delivered

Congested is a round whose *fastest* block took longer than the target, or which has
marks, or more loss than repair in the links can leave. A minimum over a round is blind
to repair (80 ms for one block of fourteen at 1 % on seven links) and to a scheduler's
turns. Falling to a share of what was *delivered* empties the queue and cannot compound:
a second signal of the same queue finds the rate there already. Steps grow with the root
of the rate, so that of two sessions through one relay the slower one gains on the
faster. A path that nobody fills says nothing about its rate: then the rate stays.

What the other side says is checked against what was sent; it cannot make a relay of
ours silent. Voice is not throttled at all (`psp.endpoint.pacing`).
"""

import math
from collections import deque
from dataclasses import dataclass

from psp.endpoint.windowed_min import WindowedMin
from psp.units import Monotonic, Seconds
from psp.wire.feedback import Feedback
from psp.wire.session_block import PIPE_MTU

BLOCK_BITS = 8 * PIPE_MTU
"""Bits of the longest datagram: what one block may carry."""

START_GAIN = 2.5
"""BBR takes 2.9 to double per round trip; our rounds are longer than its windows."""

BACK_OFF = 0.85
"""Cubic's and BBR's: 15 % below what passed, so that a queue of one round trip is gone
within seven."""

MAX_FALL = 0.6
"""Share of the rate that one round leaves at least: what a relay that had no turn of the
processor seems to deliver is far below what it does."""

DRAIN = 0.6
"""After a start or a change of path that overshot: the queue is long, so faster."""

YIELD = 0.93
"""Who got less than last time leaves that much more to others (RFC 9438 section 4.7)."""

STEP = 1.0
"""Blocks a second, times the root of the rate: 150 kbit/s more at 2.5 Mbit/s after the
first quiet round, twice that after the second, and so on. In simulation a second session
then has its half of 20 Mbit/s at 560 ms in a minute; with a third of it, in three."""

RESTART = 12.0
"""Quiet rounds above the last limit: the path bears far more by now, so start anew."""

MAX_STEP = 0.08
"""Share of the rate that a step is at most."""

MAX_LOSS = 0.1
"""Above what links leave at 10 % loss each: 1 % per link, 7 % over seven."""

LOSS_BLOCKS = 100
"""Blocks whose loss is taken together: two or three of them may just be late."""

MAX_MARKED = 0.05
"""Share of marked cells in a round that counts; fewer is a relay's short burst."""

MIN_ROUND = Seconds(0.05)
SAMPLES = 3
"""Delays of which a round needs a minimum; with fewer it lasts up to four times as
long."""

AVERAGED = 2
"""Rounds over which falls take what was delivered: in one, a relay may not have had its
turn of the processor."""

MIN_TARGET = Seconds(0.001)
MAX_TARGET = Seconds(0.025)
TARGET_SHARE = 0.05
"""Tolerated delay, of the round trip: over seven links of 40 ms 25 ms, as little as such a
path's own weather; on loopback 1 ms. There 4 ms carried no more, and cost voice beside the
stream 30 to 90 ms at p99 as processes queued for the processor, too; 1 ms costs it 3 to 10. On a
busy machine delays jump from one feedback to the next: as much is tolerated as they do on
average."""

TARGET_BLOCKS = 2.0
"""Blocks of ours that may wait: one's own small bursts are no queue."""

PAUSE = Seconds(0.4)
"""Without feedback: an outage, or nothing was sent; a round begins anew."""

SILENCE = Seconds(1.0)
"""Without feedback of what was sent: the rate is halved, and found anew."""

_REMEMBERED = 2048
"""Bursts whose time of sending is known: one per ms for 2 s."""

_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class RateConfig:
    """Where a session's rate begins and ends, in bits of datagrams a second.

    Attributes:
        initial: Before anything is known of the path; a video call's.
        floor: Lowest rate; a path that is worse carries voice at best.
    """

    initial: int = 2_000_000
    floor: int = 64_000


@dataclass(slots=True)
class _Round:
    """What has been heard since ``begun``; counts as of its start."""

    begun: Monotonic
    highest: int = 0
    received: int = 0
    marked: int = 0
    came: float = 0.0
    samples: int = 0
    sent: int = 0
    is_waiting: bool = False
    local_cells: int = 0
    local_marked: int = 0


class RateControl:
    """The sender's end; counts blocks, as each is one cell however short.

    Attributes:
        rate: Blocks a second.
        round_trip: Least of the last 10 to 20 s, in seconds; 0 before the first.
        queueing: Delay above the least, of the last round's fastest block, in seconds.
        marked: Share of cells that relays marked in the last round, 0 … 1.
        loss: Share of blocks that did not come in the last round, 0 … 1.
    """

    def __init__(self, config: RateConfig, now: Monotonic) -> None:
        self.rate = config.initial / BLOCK_BITS
        self.queueing = 0.0
        self.marked = 0.0
        self.loss = 0.0
        self._floor = config.floor / BLOCK_BITS
        self._sent: deque[tuple[int, int, Monotonic]] = deque(maxlen=_REMEMBERED)
        self._last: Feedback | None = None
        self._came = 0.0
        self._loss_from = Feedback(0, 0, 0, 0, 0)
        self._heard_at = now
        self._owed_at: Monotonic | None = None
        self._is_starting = True
        self._was_congested = False
        self._best = self._limit = self._quiet = 0.0
        self._begin_anew(now)

    @property
    def round_trip(self) -> Seconds:
        """Round trip without queues, in seconds; 0 when not measured yet."""
        least = self._round_trips.value
        return Seconds(0.0 if math.isinf(least) else least)

    @property
    def is_starting(self) -> bool:
        """Whether the rate has not met a limit yet."""
        return self._is_starting

    def note_sent(self, first: int, last: int, now: Monotonic) -> None:
        """Blocks of these counters went over the leg in use."""
        self._sent.append((first, last, now))
        self._round.sent += last - first + 1
        if self._owed_at is None:
            self._owed_at = now

    def note_waiting(self) -> None:
        """Blocks had to wait: the rate is the limit."""
        self._round.is_waiting = True

    def note_marks(self, cells: int, marked: int) -> None:
        """Cells came over our circuits, some of them marked by a relay."""
        self._round.local_cells += cells
        self._round.local_marked += marked

    def change_path(self, now: Monotonic) -> None:
        """Forget delays: another leg is in use."""
        self._begin_anew(now)

    def check_silence(self, now: Monotonic) -> None:
        """Halve the rate when nobody says that anything comes."""
        patience = max(float(SILENCE), 3 * self.round_trip)
        if self._owed_at is None:
            return
        if now - max(self._owed_at, self._heard_at) >= patience:
            self.rate = max(self._floor, self.rate / 2)
            self._begin_anew(now)
            self._last = None
            self._heard_at = now

    def receive(self, feedback: Feedback, now: Monotonic) -> None:
        """Take in what the other side says; older or impossible words are ignored."""
        if not self._sent or feedback.highest > self._sent[-1][1] + _REMEMBERED:
            return
        last = self._last
        if last is not None:
            came = (feedback.came - last.came) & _MASK
            if feedback.highest <= last.highest or came > _MASK // 2:
                return
            self._came += came / 1e6
        was_silent = now - self._heard_at > max(float(PAUSE), 2 * self.round_trip)
        self._last = feedback
        self._heard_at = now
        self._owed_at = None
        self._sample(feedback, now)
        if last is None or was_silent:
            self._loss_from = feedback  # an outage says nothing of what follows
            self._begin_round(now)
        elif self._is_over(feedback, now):
            self._judge(feedback, now)

    def _is_over(self, feedback: Feedback, now: Monotonic) -> bool:
        """Whether the round has lasted; one that finds a queue ends at once."""
        round_trip = self.round_trip / 4 if self._is_starting else self.round_trip
        length = max(float(MIN_ROUND), round_trip)
        if self._round.samples < SAMPLES:
            return now - self._round.begun >= 4 * length
        if now - self._round.begun >= length:
            return True
        return not self._has_fallen and (
            self._present_queueing() > self._target()
            or self._present_marked(feedback) > MAX_MARKED
        )

    def _present_queueing(self) -> float:
        return max(0.0, min(self._latest, default=0.0) - self._delays.value)

    def _present_marked(self, feedback: Feedback) -> float:
        """Share of marked cells of this round, at the end that heard of more."""
        here = self._round
        came = (feedback.received - here.received) & _MASK
        marked = (feedback.marked - here.marked) & _MASK
        return min(
            1.0,
            max(marked / max(1, came), here.local_marked / max(1, here.local_cells)),
        )

    def _target(self) -> float:
        least = max(float(MIN_TARGET), TARGET_BLOCKS / self.rate)
        share = TARGET_SHARE * self.round_trip
        return min(MAX_TARGET, max(least, share, self._swing))

    def _sample(self, feedback: Feedback, now: Monotonic) -> None:
        sent = self._sent
        highest = feedback.highest
        while len(sent) > 1 and sent[0][1] < highest:
            sent.popleft()
        first, last, sent_at = sent[0]
        if not first <= highest <= last:
            return
        delay = self._came - sent_at
        self._delays.update(delay, now)
        self._round_trips.update(max(0.0, now - sent_at - feedback.held / 1e6), now)
        if self._latest:
            swing = abs(delay - self._latest[-1])
            self._swing += (swing - self._swing) / 16
        self._latest.append(delay)
        self._round.samples += 1

    def _judge(self, feedback: Feedback, now: Monotonic) -> None:
        """End a round: set the rate by what it showed."""
        ending = self._round
        took = self._came - ending.came
        blocks = feedback.highest - ending.highest
        received = min((feedback.received - ending.received) & _MASK, blocks)
        if took <= 0:
            return
        delivered = received / took
        self._ends.append((received, took))
        has_lost = self._count_lost(feedback)
        self.marked = self._present_marked(feedback)
        self.queueing = self._present_queueing()
        length = now - ending.begun
        is_used = ending.is_waiting or ending.sent >= 0.75 * self.rate * length
        was_congested = self._was_congested
        self._was_congested = has_lost or (
            self.queueing > self._target() or self.marked > MAX_MARKED
        )
        self._has_fallen = self._was_congested
        if self._was_congested and self._is_starting and not was_congested:
            self.rate = max(self._floor, min(self.rate, delivered))
        elif self._was_congested:
            if not self._is_starting:
                delivered = sum(n for n, _ in self._ends) / sum(
                    t for _, t in self._ends
                )
            self._fall(delivered, is_used=is_used)
        elif self._is_starting:
            self._start(delivered, is_used=is_used)
        elif is_used:
            self._climb(delivered, length)
        self._begin_round(now)

    def _count_lost(self, feedback: Feedback) -> bool:
        """Take the loss of enough blocks; tell whether links cannot have left it."""
        before = self._loss_from
        blocks = feedback.highest - before.highest
        if blocks < LOSS_BLOCKS:
            return False
        received = (feedback.received - before.received) & _MASK
        self.loss = 1 - min(received, blocks) / blocks
        self._loss_from = feedback
        return self.loss > MAX_LOSS

    def _fall(self, delivered: float, *, is_used: bool) -> None:
        """Go below what passed; step by step if it was the sender that sent little."""
        share = max(BACK_OFF * delivered, MAX_FALL * self.rate)
        if not is_used:
            share = max(share, BACK_OFF * self.rate)
        if self._is_starting and is_used:
            share *= DRAIN / BACK_OFF
        if share < self.rate:
            is_losing = delivered < self._limit
            self._limit = max(share, delivered * (YIELD if is_losing else 1))
        self._is_starting = False
        self._quiet = 0.0
        self.rate = max(self._floor, min(self.rate, share))

    def _start(self, delivered: float, *, is_used: bool) -> None:
        self.rate = max(self.rate, START_GAIN * delivered)
        if delivered > 1.25 * self._best:
            self._best = delivered
            self._flat = 0
        elif is_used:
            self._flat += 1
            self._is_starting = self._flat < 3 * 4

    def _climb(self, delivered: float, length: float) -> None:
        lacking = self._limit - self.rate
        if lacking > 0.02 * self.rate:
            step = lacking / 2
        else:
            self._quiet += length / max(float(MIN_ROUND), self.round_trip)
            if self._quiet > RESTART:
                self._find_limit()
                return
            step = min(STEP * math.sqrt(self.rate) * self._quiet, MAX_STEP * self.rate)
        self.rate = max(self.rate, min(self.rate + step, 2 * delivered))

    def _begin_anew(self, now: Monotonic) -> None:
        """Know nothing of the path but the rate."""
        self._find_limit()
        self._limit = 0.0
        self._has_fallen = self._was_congested = False
        self._swing = 0.0
        self._ends: deque[tuple[int, float]] = deque(maxlen=AVERAGED)
        self._latest: deque[float] = deque(maxlen=SAMPLES)
        self._delays = WindowedMin()
        self._round_trips = WindowedMin()
        self._begin_round(now)

    def _find_limit(self) -> None:
        self._is_starting = True
        self._best = 0.0
        self._flat = 0
        self._quiet = 0.0

    def _begin_round(self, now: Monotonic) -> None:
        self._round = _Round(now, came=self._came)
        if self._last is not None:
            last = self._last
            self._round.highest = last.highest
            self._round.received = last.received
            self._round.marked = last.marked
