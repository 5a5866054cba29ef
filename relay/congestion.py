"""What a relay does when more comes in than it can take: mark, and drop fairly.

Behind means that cells wait in the socket's receive buffer, or in a queue of the egress
limit, and go on waiting. Then every lane may send at one rate, its *share*, and a
virtual clock counts what that allows::

    paid <= clock + burst / 2     passes
    paid <= clock + burst         passes; origins of the circuit are told by marks
    above                         is thrown away before its layer is opened

``clock`` rises by one for each cell that a lane may send, ``paid`` by one for each that
it did, and never lags behind the clock: who was quiet saved nothing. So whoever wants
less than the share gets all of it and the others get the same (max-min fair). The share
follows the backlog: up while the buffer is nearly empty, down while it is not.

What is here runs while the relay is behind; otherwise nobody asks.
"""

import math
from collections.abc import Callable, Sequence

from psp.units import Monotonic, Seconds
from psp.wire.cell import HEADER
from psp.wire.onion import Kind
from psp.wire.session_block import PIPE_MTU
from relay.circuit_table import Lane, RelayCircuit
from relay.stats import RelayStats

UNMARKED = bytes((Kind.PASS,))
MARKED = bytes((Kind.CONGESTED,))
"""Kind bytes of cells passed on towards an origin."""

STEP = Seconds(0.005)
"""How often the share is set. Only what waits all of this time is a backlog, not a burst
that came and went; half of the 10 ms that others may be held up by a flood."""

BEHIND = 0.10
"""Share of the receive buffer that must be in use all through a step to call it behind:
2 ms of work where the buffer is 4 MiB, less than one where it is smaller."""

TARGET = 0.05
"""Share of the buffer that is aimed at: not 0, since an idle processor helps nobody."""

FULL = 0.9
"""Share of the buffer above which it is about to overflow: a small one does within a
step, however short it was full. Then the share is cut at once."""

RECOVERY = Seconds(0.5)
"""Nobody was above the share for this long, and nothing waits: not behind any more. Each
beginning costs others some delay, so a flood with short gaps has only one."""

FIRST_CUT = 0.8
"""Part of what was done in the step in which we fell behind that lanes may ask for in the
next, those with most cut first. Guessed low, as it rises again in no time."""

MIN_SHARE = 200.0
"""Cells a second that every lane may send, however far behind we are: four voice calls.
Below that a fair share is of no use to anybody; then the kernel drops."""

MAX_SHARE = 1_000_000.0
"""More than one core can do: no limit."""

MIN_BURST = 16.0
"""Cells in a row that always pass: what a call sends at once after its sender slept."""

BURST = Seconds(0.01)
"""A burst may last this long at the share, so that trains of fast lanes pass whole."""

MARKED_FOR = Seconds(0.025)
"""How long cells stay marked after a circuit last asked for more than its share: longer
than `Upkeep` takes to name those that wait for the egress limit, shorter than a sender's
round, so that one cause is not heard twice."""

_CELLS_PER_KBIT = 1000 / 8 / PIPE_MTU
"""Cells a second that carry one kbit/s of datagrams."""

_FOLLOW = 0.4
_DAMP = 2.5
"""Answers of the share's logarithm to backlog and to its change, per step. With these it
settles without swinging if a step's work is a fifth of the buffer, as measured here."""

_CUT, _FULL_CUT, _RAISE = math.log(0.5), math.log(0.85), math.log(1.1)
"""The share never changes faster in one step; or so much at least."""

_HEAD = HEADER.size

_MAX_PAID = 1024
"""Lanes remembered before those that have nothing to remember are forgotten."""


class Congestion:
    """Whether this relay is behind, and what follows from it.

    Attributes:
        is_active: Whether `admit` must see cells before they are forwarded.
        pass_kind: The kind byte of what is forwarded just now, towards origins.
        warned: Circuits above their share since they were last told, by key.
        keeps_promises: Whether what was promised passes while this relay is behind. Not
            where promises have no limit: who has taken enough could not be held back.
    """

    def __init__(self, stats: RelayStats) -> None:
        self.is_active = False
        self.pass_kind = UNMARKED
        self.warned: dict[int, RelayCircuit] = {}
        self.keeps_promises = True
        self._stats = stats
        self._is_watching = False
        self._is_behind = False
        self._share = 0.0
        self._burst = math.inf
        self._clock = 0.0
        self._told = Monotonic(0.0)
        self._paid: dict[Lane, float] = {}
        self._max_paid = _MAX_PAID
        self._over: dict[int, Monotonic] = {}
        self._calm_since = Monotonic(0.0)
        self._backlog = 0.0
        self._least = 0.0
        self._most = 0.0
        self._before = 0.0
        self._stepped = Monotonic(0.0)

    @property
    def share(self) -> float | None:
        """Cells a second that each lane may send at present; None for any number."""
        return self._share if self._is_behind else None

    def note_backlog(self, backlog: float, now: Monotonic) -> None:
        """Take in what waits in the receive buffer: 0 … 1 of its size.

        Call it whenever a wake leaves something behind, and once when none does.
        """
        self._backlog = backlog
        if not self._is_behind and not self._is_watching and backlog >= BEHIND:
            self._is_watching = self.is_active = True
            self._begin_step(now)
        self._least = min(self._least, backlog)
        self._most = max(self._most, backlog)
        self.handle_timeout(now)

    def note_over(self, circuit: RelayCircuit, now: Monotonic) -> None:
        """Warn a circuit; mark its cells, and its partner's, for a while."""
        if not self.is_active:
            self._begin_step(now)
            self.is_active = True
        until = Monotonic(now + MARKED_FOR)
        self._over[circuit.key] = until
        self.warned[circuit.key] = circuit
        if circuit.partner is not None:
            self._over[circuit.partner.key] = until

    def admit(
        self,
        cells: Sequence[bytes],
        lane_of: Callable[[bytes], Lane | None],
        now: Monotonic,
    ) -> tuple[list[bytes], list[bytes]]:
        """Return the cells that may pass, and those that may pass and carry a mark.

        The others are counted. Cells of one lane keep their order if the first list is
        forwarded first. Cells of no lane pass.
        """
        self.handle_timeout(now)
        self._tick(now)
        clock = self._clock
        warned, limit = clock + self._burst / 2, clock + self._burst
        all_paid, over = self._paid, self._over
        noted: set[Lane] = set()
        plain: list[bytes] = []
        marked: list[bytes] = []
        for cell in cells:
            lane = lane_of(cell[:_HEAD])
            if lane is None:
                plain.append(cell)
                continue
            paid = all_paid.get(lane, clock)
            if paid < clock:  # noqa: PLR1730 - a call would cost as much as the rest
                paid = clock
            paid += self._price(lane.circuit) if lane.circuit.granted else 1.0
            if paid > warned:
                if lane not in noted:
                    noted.add(lane)
                    self.note_over(lane.circuit, now)
                    self._calm_since = now
                if paid > limit:
                    lane.count_drop()
                    self._stats.cells_policed += 1
                    continue
            all_paid[lane] = paid
            (marked if lane.key in over else plain).append(cell)
        if len(all_paid) > self._max_paid:
            self._forget_idle()
        return plain, marked

    def handle_timeout(self, now: Monotonic) -> None:
        """Set the share anew, if it is time."""
        elapsed = now - self._stepped
        if elapsed < STEP:
            return
        if self.is_active:
            self._stats.congested_seconds += min(elapsed, 2 * STEP)
        self._tick(now)
        least = self._least
        if self._is_behind:
            self._follow(least)
            if least > TARGET:
                self._calm_since = now
            elif now - self._calm_since >= RECOVERY:
                self._stop()
        elif self._is_watching and least >= BEHIND:
            self._fall_behind(least, elapsed, now)
        else:
            self._stop()
        self._over = {key: until for key, until in self._over.items() if until > now}
        self.is_active = self._is_behind or bool(self._over)
        self._begin_step(now)

    def forget(self, circuit: RelayCircuit) -> None:
        """Forget a circuit that ended."""
        self._over.pop(circuit.key, None)
        self.warned.pop(circuit.key, None)
        self._paid.pop(circuit.forward, None)
        self._paid.pop(circuit.backward, None)

    def _begin_step(self, now: Monotonic) -> None:
        self._least = self._most = self._backlog
        self._stepped = now

    def _tick(self, now: Monotonic) -> None:
        self._clock += self._share * (now - self._told)
        self._told = now

    def _fall_behind(self, least: float, elapsed: float, now: Monotonic) -> None:
        """Begin with a share that would have been right while we watched."""
        wanted = sorted(paid - self._clock for paid in self._paid.values())
        self._stop()
        self._is_behind = True
        self._before = least
        self._calm_since = now
        self._set_share(_level(wanted, FIRST_CUT * sum(wanted)) / elapsed)

    def _follow(self, least: float) -> None:
        wanted = _FOLLOW * (TARGET - least) + _DAMP * (self._before - least)
        self._before = least
        if self._most >= FULL:
            wanted = min(wanted, _FULL_CUT)
        self._set_share(self._share * math.exp(min(_RAISE, max(_CUT, wanted))))

    def _set_share(self, share: float) -> None:
        self._share = min(MAX_SHARE, max(MIN_SHARE, share))
        self._burst = max(MIN_BURST, self._share * BURST)

    def _stop(self) -> None:
        """Police nobody: the clock stands still and bursts have no end."""
        self._is_behind = self._is_watching = False
        self._share = 0.0
        self._burst = math.inf
        self._paid.clear()
        self._max_paid = _MAX_PAID

    def _price(self, circuit: RelayCircuit) -> float:
        """Return what a cell costs whose circuit was promised so much, share or not."""
        if not (self._is_behind and self.keeps_promises):
            return 1.0
        return min(1.0, self._share / (circuit.granted * _CELLS_PER_KBIT))

    def _forget_idle(self) -> None:
        """Forget lanes that owe nothing; look again when there are twice as many."""
        clock = self._clock
        self._paid = {lane: paid for lane, paid in self._paid.items() if paid > clock}
        self._max_paid = max(_MAX_PAID, 2 * len(self._paid))


def _level(wanted: Sequence[float], total: float) -> float:
    """Return the level to which the greatest must be cut for the sum to be ``total``.

    Args:
        wanted: What each asks for, the least first.
        total: What there is; less than they want together.
    """
    left = total
    for number, amount in enumerate(wanted):
        level = left / (len(wanted) - number)
        if amount >= level:
            return level
        left -= amount
    return math.inf
