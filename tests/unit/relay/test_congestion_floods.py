"""Calls beside floods at a relay on a modelled processor (relay/congestion.py).

Opening a link packet costs 1.4 µs, forwarding its cell 3.1 µs more, a wake 15 µs, and
cells wait in a buffer of bounded room, as at a real relay.
"""

import random
from collections import Counter, deque
from itertools import chain

import pytest

from psp.units import Monotonic
from relay.bandwidth_budget import BandwidthBudget
from relay.congestion import Congestion
from tests.unit.relay.congestion_bench import Bench, head

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
