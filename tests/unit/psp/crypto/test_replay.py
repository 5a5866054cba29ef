"""The replay window against a set that remembers everything (psp/crypto/replay.py)."""

import tracemalloc

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from psp.crypto.replay import ReplayWindow


class WindowAgainstASet(RuleBasedStateMachine):
    """The slow, obvious version: a set of all counters ever accepted."""

    @initialize(
        size=st.sampled_from([1, 2, 7, 64, 64, 2048, 2048]),
        start=st.one_of(st.integers(0, 3), st.integers(0, 2**31 - 1)),
    )
    def begin(self, size, start):
        self.size = size
        self.start = start
        self.seen = set()
        self.highest = start - 1
        self.window = ReplayWindow(size, start)

    def check(self, counter):
        is_fresh = (
            counter >= self.start
            and counter > self.highest - self.size
            and counter not in self.seen
        )
        assert self.window.is_fresh(counter) is is_fresh
        return is_fresh

    def take(self, counter):
        if self.check(counter):
            self.window.accept(counter)
            self.seen.add(counter)
            self.highest = max(self.highest, counter)
            assert not self.window.is_fresh(counter)

    @rule(steps=st.integers(1, 12))
    def next_ones(self, steps):
        for _ in range(steps):
            self.take(self.highest + 1)

    @rule(ahead=st.one_of(st.integers(2, 9), st.integers(2, 70), st.integers(2, 5000)))
    def after_a_gap(self, ahead):
        self.take(self.highest + ahead)

    @rule(ahead=st.integers(2**20, 2**63))
    def far_ahead(self, ahead):
        self.take(self.highest + ahead)

    @rule()
    def every_counter_in_reach_is_as_the_set_says(self):
        reach = min(self.size, 200)
        for counter in range(self.highest - reach - 2, self.highest + 3):
            self.check(counter)
        edge = self.highest - self.size
        for counter in range(edge - 2, edge + 3):
            self.check(counter)

    @rule(nth=st.integers(0, 500), beside=st.integers(-2, 2))
    def beside_one_seen(self, nth, beside):
        if self.seen:
            self.take(sorted(self.seen)[-1 - nth % len(self.seen)] + beside)

    @rule(behind=st.one_of(st.integers(0, 9), st.integers(0, 70), st.integers(0, 5000)))
    def late_or_again(self, behind):
        self.take(self.highest - behind)

    @rule(offset=st.integers(-3000, 3000))
    def only_asked(self, offset):
        self.check(self.highest + offset)

    @invariant()
    def highest_is_the_greatest_accepted(self):
        assert self.window.highest == self.highest


TestWindowAgainstASet = WindowAgainstASet.TestCase
TestWindowAgainstASet.settings = settings(max_examples=150, stateful_step_count=40)


def test_each_counter_of_the_window_is_taken_once_in_any_order():
    window = ReplayWindow(64)
    window.accept(63)

    for counter in range(62, -1, -1):
        assert window.is_fresh(counter)
        window.accept(counter)

    assert not any(window.is_fresh(counter) for counter in range(64))


def test_counter_is_too_old_when_the_window_has_moved_past_it():
    window = ReplayWindow(64)

    window.accept(64)

    assert window.is_fresh(1)
    assert not window.is_fresh(0)


def test_asking_does_not_move_the_window():
    window = ReplayWindow(64)
    window.accept(5)

    assert window.is_fresh(2**60)
    assert window.is_fresh(4)
    assert window.highest == 5


def test_window_does_not_grow():
    window = ReplayWindow(2048)
    tracemalloc.start()

    before, _ = tracemalloc.get_traced_memory()
    for counter in range(0, 1500 * 2000, 1500):
        window.accept(counter)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert used < 2048
