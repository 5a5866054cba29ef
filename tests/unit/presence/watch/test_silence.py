"""When a circuit that used to speak is called silent."""

import pytest

from presence.watch.silence import SilenceJudge
from psp.units import Monotonic, Seconds
from psp.wire.watch import Change

TAG = b"t" * 16
LEAST, FACTOR = Seconds(15.0), 3.0


class Bench:
    """Looks every two seconds, as the service does."""

    def __init__(self) -> None:
        self.judge = SilenceJudge(LEAST, FACTOR)
        self.now = 0.0
        self.cells = 0
        self.changes: list[tuple[float, Change]] = []

    def run(self, seconds: float, *, every: float | None) -> None:
        end, next_cell = self.now + seconds, self.now
        while self.now < end:
            if every is not None and self.now >= next_cell:
                self.cells += 1
                next_cell += every
            change = self.judge.listen(TAG, 1, self.cells, Monotonic(self.now))
            if change is not None:
                self.changes.append((self.now, change))
            self.now += 2


@pytest.mark.parametrize("every", [2.0, 5.0, 60.0, 240.0])
def test_who_speaks_as_usual_is_never_called_silent(every):
    bench = Bench()
    bench.run(20 * every, every=every)

    assert bench.changes == []


@pytest.mark.parametrize(("every", "soonest", "latest"), [(5, 15, 26), (60, 180, 250)])
def test_silence_is_noticed_after_a_few_times_what_is_usual(every, soonest, latest):
    bench = Bench()
    bench.run(10 * every, every=every)
    last = bench.now - every
    bench.run(2 * latest, every=None)

    ((time, change),) = bench.changes
    assert change is Change.SILENT
    assert soonest <= time - last <= latest
    assert bench.judge.is_silent(TAG)


def test_a_host_that_is_late_again_and_again_gets_more_patience():
    bench = Bench()
    bench.run(60, every=5)
    bench.run(1_800, every=40)

    kinds = [change for _, change in bench.changes]
    assert kinds == [Change.SILENT, Change.HEARD] * (len(kinds) // 2)
    assert len(kinds) <= 6
    assert bench.changes[-1][0] < 300


def test_who_is_heard_again_is_told():
    bench = Bench()
    for _ in range(3):
        bench.run(50, every=5)
        bench.run(100, every=None)
    kinds = [change for _, change in bench.changes]
    assert kinds == [Change.SILENT, Change.HEARD] * 2 + [Change.SILENT]


def test_nothing_is_said_of_a_circuit_that_has_hardly_been_heard():
    bench = Bench()
    bench.run(6, every=5)
    bench.run(1_000, every=None)

    assert bench.changes == []


def test_another_circuit_of_the_tag_begins_anew_and_others_are_forgotten():
    bench = Bench()
    bench.run(100, every=5)
    bench.run(40, every=None)
    assert bench.judge.is_silent(TAG)

    bench.judge.listen(TAG, 2, 7, Monotonic(bench.now))

    assert not bench.judge.is_silent(TAG)
    assert len(bench.judge) == 1
    bench.judge.forget_others([])
    assert len(bench.judge) == 0
