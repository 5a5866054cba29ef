"""When a relay is behind, who is cut to what, who is told (relay/congestion.py).

The second half runs the real thing on a modelled processor: opening a link packet costs
1.4 µs, forwarding its cell 3.1 µs more, a wake 15 µs, and cells wait in a buffer of
bounded room, as at a real relay.
"""

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.units import Monotonic, Seconds
from relay import congestion
from relay.bandwidth_budget import BandwidthBudget
from relay.congestion import (
    BEHIND,
    MARKED_FOR,
    MIN_BURST,
    MIN_SHARE,
    RECOVERY,
    STEP,
    Congestion,
)
from relay.stats import RelayStats

START = Monotonic(10.0)


@dataclass(eq=False)
class FakeCircuit:
    key: int
    granted: int = 0
    partner: "FakeCircuit | None" = None


@dataclass(eq=False)
class FakeLane:
    circuit: FakeCircuit
    drops: int = 0

    @property
    def key(self):
        return self.circuit.key

    def count_drop(self):
        self.drops += 1


def head(key):
    return b"%05d" % key


@dataclass
class Bench:
    """A congestion and the lanes it knows, one for each circuit."""

    stats: RelayStats = field(default_factory=RelayStats)
    lanes: dict[bytes, FakeLane] = field(default_factory=dict)
    now: float = START

    def __post_init__(self):
        self.congestion = Congestion(self.stats)

    def circuit(self, key, **attributes):
        circuit = FakeCircuit(key, **attributes)
        self.lanes[head(key)] = FakeLane(circuit)
        return circuit

    def drops(self, key):
        return self.lanes[head(key)].drops

    def admit(self, *keys):
        """Bring one cell for each key; return the keys of plain and of marked ones."""
        cells = [head(key) for key in keys]
        plain, marked = self.congestion.admit(cells, self.lanes.get, self.now)
        return list(map(int, plain)), list(map(int, marked))

    def wait(self, backlog, seconds=STEP * 1.01):
        """Let time pass with so much in the buffer."""
        self.now += seconds
        self.congestion.note_backlog(backlog, self.now)

    def fall_behind(self, *wanted):
        """Fall behind while circuits 0, 1, … bring so many cells."""
        for key in range(len(wanted)):
            self.circuit(key)
        self.wait(0.5)
        self.admit(*[key for key, count in enumerate(wanted) for _ in range(count)])
        self.wait(0.5)


def test_a_relay_that_keeps_up_is_not_asked():
    bench = Bench()
    for backlog in (0.0, 0.01, BEHIND - 0.01, 0.0):
        bench.wait(backlog)

    assert not bench.congestion.is_active
    assert bench.congestion.share is None
    assert bench.stats == RelayStats()


def test_a_burst_that_is_worked_off_within_a_step_is_no_backlog():
    bench = Bench()
    bench.circuit(1)

    bench.wait(0.9)
    assert bench.congestion.is_active
    assert bench.admit(*[1] * 3000) == ([1] * 3000, [])
    bench.wait(0.0, STEP / 2)
    bench.wait(0.0)

    assert not bench.congestion.is_active
    assert bench.stats.cells_policed == 0


def test_what_waits_all_through_a_step_is_a_backlog():
    bench = Bench()

    bench.fall_behind(1000)

    assert bench.congestion.is_active
    assert bench.congestion.share == pytest.approx(0.8 * 1000 / STEP, rel=0.05)


def test_the_first_share_cuts_those_who_want_most():
    bench = Bench()

    bench.fall_behind(900, 900, 150, 50)

    # 1,600 of 2,000 may pass: 50 and 150 as they are, 700 each of the others.
    assert bench.congestion.share == pytest.approx(700 / STEP, rel=0.05)


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=50),
    st.floats(0.01, 0.99),
)
def test_a_level_gives_as_much_as_there_is(wanted, part):
    total = part * sum(wanted)

    level = congestion._level(sorted(wanted), total)

    assert sum(min(amount, level) for amount in wanted) == pytest.approx(total)


def test_a_lane_passes_then_is_told_then_loses_its_own_cells():
    bench = Bench()
    bench.fall_behind(10, 10)
    burst = MIN_BURST

    plain, marked = bench.admit(*[0] * 30, *[1] * 8)

    assert Counter(plain) == {0: burst / 2, 1: 8}
    assert Counter(marked) == {0: burst / 2}
    assert (bench.drops(0), bench.drops(1)) == (30 - burst, 0)
    assert bench.stats.cells_policed == 30 - burst
    assert list(bench.congestion.warned) == [0]


def test_a_lane_may_go_on_when_its_time_has_come():
    bench = Bench()
    bench.fall_behind(10)
    bench.admit(*[0] * 40)
    share = bench.congestion.share
    assert share == 0.8 * 10 / STEP or share >= MIN_SHARE

    bench.now += 3.01 / share
    plain, marked = bench.admit(*[0] * 10)

    assert len(plain) + len(marked) == 3


def test_cells_of_no_lane_always_pass():
    bench = Bench()
    bench.fall_behind(10)

    assert bench.admit(*[77] * 500) == ([77] * 500, [])


def test_marks_end_some_time_after_their_cause():
    bench = Bench()
    bench.fall_behind(10, 10)
    bench.admit(*[0] * 20)

    bench.now += MARKED_FOR - 0.02
    assert bench.admit(0) == ([], [0])
    bench.now += 0.03
    assert bench.admit(0) == ([0], [])


def test_both_circuits_of_a_pair_are_marked():
    bench = Bench()
    bench.fall_behind(10, 10, 10)
    first, second = (bench.lanes[head(key)].circuit for key in (0, 1))
    first.partner, second.partner = second, first

    bench.admit(*[0] * 20)

    assert bench.admit(1, 2) == ([2], [1])


def test_circuits_that_wait_for_the_egress_limit_are_marked_and_lose_nothing_here():
    bench = Bench()
    slow, _ = bench.circuit(1), bench.circuit(2)

    bench.congestion.note_over(slow, bench.now)

    assert bench.congestion.is_active
    assert bench.admit(*[1] * 500, *[2] * 500) == ([2] * 500, [1] * 500)
    bench.now += MARKED_FOR + STEP
    assert bench.admit(1) == ([1], [])
    assert not bench.congestion.is_active


def test_who_was_promised_more_than_the_share_gets_it():
    bench = Bench()
    bench.circuit(0, granted=8640)  # 1,000 full datagrams a second
    bench.circuit(1)
    bench.wait(0.5)
    bench.admit(*[0, 1] * 5)
    for _ in range(30):
        bench.wait(0.9)
    assert bench.congestion.share == MIN_SHARE

    passed = Counter()
    for _ in range(100):
        bench.wait(0.05, 0.01)
        for cells in bench.admit(*[0] * 10, *[1] * 10):
            passed.update(cells)

    assert passed[0] == 1000
    assert bench.drops(0) == 0
    assert passed[1] < 500


def test_a_relay_that_is_not_behind_any_more_polices_nobody():
    bench = Bench()
    bench.fall_behind(1000)
    waited = 0
    while bench.congestion.is_active:
        bench.wait(0.0)
        waited += 1

    assert waited == pytest.approx(RECOVERY / STEP, abs=2)
    assert bench.congestion.share is None
    assert bench.admit(*[0] * 5000) == ([0] * 5000, [])


def test_time_behind_is_counted_but_not_silence():
    bench = Bench()
    bench.fall_behind(1000)
    for _ in range(100):
        bench.wait(0.5)
    counted = bench.stats.congested_seconds
    assert counted == pytest.approx(101 * STEP, rel=0.05)

    bench.wait(0.0, Seconds(1000.0))

    assert bench.stats.congested_seconds <= counted + 2 * STEP


def test_an_ended_circuit_is_forgotten():
    bench = Bench()
    bench.fall_behind(10)
    bench.admit(*[0] * 100)
    circuit = bench.lanes[head(0)].circuit
    circuit.forward, circuit.backward = bench.lanes[head(0)], None

    bench.congestion.forget(circuit)
    bench.congestion.forget(circuit)

    assert bench.congestion.warned == {}
    assert bench.admit(0) == ([0], [])


def test_lanes_that_owe_nothing_are_not_remembered():
    bench = Bench()
    bench.fall_behind(10)
    for key in range(20_000):
        bench.circuit(key)
    for key in range(0, 20_000, 10):
        bench.wait(0.05, 0.001)
        bench.admit(*range(key, key + 10))

    assert len(bench.congestion._paid) <= congestion._MAX_PAID + 10


# ---- on a modelled processor

OPEN, FORWARD, WAKE = 1.4e-6, 3.1e-6, 15e-6
CELLS_PER_WAKE = 213
VOICE, VIDEO = 1, 2


class BusyRelay(Bench):
    """A relay with one processor and a receive buffer."""

    def __init__(self, room):
        super().__init__(now=0.0)
        self.room = room
        self.buffer = deque()
        self.sources = []
        self.passed, self.lost, self.marked = Counter(), Counter(), Counter()
        self.delays = {}
        self.is_behind = False

    def add(self, key, rate, burst=1, start=0.0):
        """Let a circuit bring ``burst`` cells at a time, ``rate`` a second."""
        self.circuit(key)
        self.delays[key] = []
        self.sources.append([start, key, rate, burst])

    def run(self, seconds):
        end = self.now + seconds
        while self.now < end:
            self._arrive()
            if not self.buffer:
                self.now = min(source[0] for source in self.sources)
            else:
                self._wake()

    def forget(self):
        """Count anew."""
        self.passed.clear()
        self.lost.clear()
        for delays in self.delays.values():
            delays.clear()

    def late(self, key):
        """Return the 99th percentile of the time that cells of a circuit took."""
        return sorted(self.delays[key])[int(len(self.delays[key]) * 0.99)]

    def _arrive(self):
        arrived = []
        for source in self.sources:
            while source[0] <= self.now:
                when, key, rate, burst = source
                arrived += [(when, key)] * burst
                source[0] += burst / rate
        for cell in sorted(arrived):
            if len(self.buffer) < self.room:
                self.buffer.append(cell)
            else:
                self.lost[cell[1]] += 1

    def _wake(self):
        began = Monotonic(self.now)
        count = min(len(self.buffer), CELLS_PER_WAKE)
        cells = [self.buffer.popleft() for _ in range(count)]
        keys = [key for _, key in cells]
        if self.congestion.is_active:
            plain, marked = self.admit(*keys)
            self.marked.update(marked)
            left = Counter(chain(plain, marked))
        else:
            left = Counter(keys)
        self.now += WAKE + OPEN * count + FORWARD * left.total()
        for when, key in cells:
            if left[key]:
                left[key] -= 1
                self.passed[key] += 1
                self.delays[key].append(self.now - when)
        self._arrive()
        if count == CELLS_PER_WAKE:
            self.congestion.note_backlog(len(self.buffer) / self.room, began)
        elif self.is_behind:
            self.congestion.note_backlog(0.0, began)
        self.is_behind = count == CELLS_PER_WAKE and bool(self.buffer)


LARGE, SMALL = 5400, 270
"""Cells that receive buffers of 4 MiB and of the kernel's default size hold."""

FLOODS = {
    "one": [(300_000, 50)],
    "one that is hardly too much": [(230_000, 50)],
    "one that opening alone nearly fills": [(600_000, 50)],
    "ten": [(60_000, 50)] * 10,
    "a hundred": [(5_000, 5)] * 100,
    "one and many calls": [(200_000, 50)] + [(1_000, 4)] * 50,
}


def flooded(room, floods):
    """Return a relay 0.1 s after floods began."""
    relay = BusyRelay(room)
    relay.add(VOICE, 50)
    relay.add(VIDEO, 244, burst=4)
    dice = random.Random(f"{room}")
    for number, (rate, burst) in enumerate(floods):
        relay.add(10 + number, rate, burst, start=0.1 + dice.random() * 0.001)
    relay.run(0.2)
    return relay


@pytest.mark.parametrize("room", [LARGE, SMALL])
@pytest.mark.parametrize("floods", FLOODS.values(), ids=FLOODS)
def test_a_call_beside_a_flood_loses_nothing_and_is_not_late(floods, room):
    relay = flooded(room, floods)
    assert relay.lost[VOICE] + relay.lost[VIDEO] <= 8  # until it is noticed
    relay.forget()

    relay.run(0.6)

    assert (relay.drops(VOICE), relay.drops(VIDEO)) == (0, 0)
    # The small buffer holds what a flood brings in half a millisecond.
    assert relay.lost[VOICE] + relay.lost[VIDEO] <= (0 if room is LARGE else 4)
    assert relay.late(VOICE) <= 0.005
    assert relay.late(VIDEO) <= 0.005
    assert relay.stats.cells_policed > 0


@pytest.mark.parametrize("room", [LARGE, SMALL])
def test_without_policing_the_same_call_is_late_or_loses_a_lot(room, monkeypatch):
    monkeypatch.setattr(Congestion, "note_backlog", lambda *_: None)

    relay = flooded(room, FLOODS["one"])
    relay.run(1.0)

    assert relay.lost[VIDEO] > 10
    assert relay.late(VIDEO) > 0.020 or room is SMALL


def test_promises_without_a_limit_do_not_let_many_circuits_flood_a_call():
    relay = BusyRelay(LARGE)
    BandwidthBudget(0, relay.congestion)
    relay.add(VOICE, 50)
    relay.add(VIDEO, 244, burst=4)
    for key in range(10, 150):
        relay.add(key, 2300, 20, start=0.1 + key * 1e-5)
        relay.lanes[head(key)].circuit.granted = 20_000
    relay.run(0.3)
    relay.forget()

    relay.run(0.6)

    assert relay.lost.total() + relay.drops(VOICE) + relay.drops(VIDEO) == 0
    assert relay.late(VOICE) <= 0.010


def test_a_flooder_gets_all_that_others_leave():
    relay = flooded(LARGE, FLOODS["one"])
    relay.forget()

    relay.run(1.0)

    # What is left after opening everything, at best.
    possible = (1 - 300_000 * OPEN) / FORWARD
    assert relay.passed[10] > 0.8 * possible


def test_flooders_get_equal_shares_whatever_they_send():
    floods = [(rate * 1000, 20) for rate in (60, 80, 120, 240)]
    relay = flooded(LARGE, floods)
    relay.forget()

    relay.run(1.0)

    passed = [relay.passed[10 + number] for number in range(4)]
    assert min(passed) > 0.8 * max(passed)


def test_senders_that_obey_marks_share_the_relay_and_lose_next_to_nothing():
    relay = BusyRelay(LARGE)
    relay.add(VOICE, 50)
    relay.add(VIDEO, 244, burst=4)
    senders = [10, 11, 12]
    for number, key in enumerate(senders):
        relay.add(key, 20_000.0 * (1 + number), burst=20)

    for round_trip in range(60):
        if round_trip == 30:
            relay.forget()
        before = Counter(relay.marked)
        relay.run(0.05)
        told = relay.marked - before
        for source in relay.sources:
            if source[1] in senders:
                source[2] *= 0.85 if told[source[1]] else 1.05

    passed = [relay.passed[key] / 1.5 for key in senders]
    assert min(passed) > 0.8 * max(passed)
    assert sum(passed) > 0.6 / (OPEN + FORWARD)
    assert sum(map(relay.drops, senders)) < 0.05 * sum(passed) * 3
    assert relay.lost.total() + relay.drops(VOICE) + relay.drops(VIDEO) == 0
    assert relay.marked[VOICE] + relay.marked[VIDEO] == 0
    assert relay.late(VIDEO) <= 0.010


def test_a_flood_that_comes_and_goes_does_no_more_harm():
    relay = BusyRelay(LARGE)
    relay.add(VOICE, 50)
    relay.add(VIDEO, 244, burst=4)
    relay.circuit(10)
    relay.delays[10] = []
    for _ in range(8):
        relay.sources.append([relay.now, 10, 400_000, 50])
        relay.run(0.1)
        relay.sources.pop()
        relay.run(0.15)

    assert (relay.drops(VOICE), relay.drops(VIDEO)) == (0, 0)
    assert relay.lost[VOICE] + relay.lost[VIDEO] == 0
    assert relay.late(VIDEO) <= 0.010
