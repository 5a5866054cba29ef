"""The egress limit: order, fairness, freshness, counted drops."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.ids import LinkId
from psp.units import Monotonic
from psp.wire.onion import Kind
from psp.wire.packet import PACKET_SIZE
from relay.scheduler import LATE, MAX_AGE, MAX_QUEUE, ROOM, Scheduler
from relay.stats import RelayStats

LINK = LinkId(1)
START = Monotonic(10.0)
RATE = 1000 * PACKET_SIZE


@dataclass
class FakeFlow:
    key: int
    link: LinkId | None = LINK
    drops: int = 0

    def count_drop(self) -> None:
        self.drops += 1


def make_scheduler(bytes_per_s: int = RATE) -> tuple[Scheduler, RelayStats]:
    stats = RelayStats()
    scheduler = Scheduler(bytes_per_s, stats)
    scheduler.pop(START)
    return scheduler, stats


def drain(scheduler: Scheduler, now: Monotonic) -> list[bytes]:
    return [cell for _, cell in scheduler.pop(now)]


def empty_bucket(scheduler: Scheduler) -> None:
    scheduler.spend(50)


def test_no_limit_means_not_limited():
    assert not Scheduler(0, RelayStats()).is_limited


def test_cells_within_the_rate_leave_at_once_in_order():
    scheduler, _ = make_scheduler()

    for number in range(5):
        scheduler.push(FakeFlow(1), Kind.PASS, b"%d" % number, START)

    assert drain(scheduler, START) == [b"0", b"1", b"2", b"3", b"4"]
    assert scheduler.next_timeout() is None


def test_cells_above_the_rate_leave_when_their_time_comes():
    scheduler, _ = make_scheduler()
    empty_bucket(scheduler)
    for number in range(20):
        scheduler.push(FakeFlow(1), Kind.PASS, b"%d" % number, START)

    assert drain(scheduler, START) == []
    due = scheduler.next_timeout()
    assert due == pytest.approx(START + 0.002)
    sent = drain(scheduler, Monotonic(START + 0.0105))
    assert sent == [b"%d" % number for number in range(10)]


def test_audio_leaves_before_key_frames_before_the_rest():
    scheduler, _ = make_scheduler()
    scheduler.push(FakeFlow(1), Kind.PASS, b"rest", START)
    scheduler.push(FakeFlow(1), Kind.KEY_FRAME, b"key", START)
    scheduler.push(FakeFlow(1), Kind.AUDIO | Kind.KEY_FRAME, b"audio", START)

    assert drain(scheduler, START) == [b"audio", b"key", b"rest"]


def test_circuits_take_turns_however_much_one_of_them_queues():
    scheduler, _ = make_scheduler()
    for number in range(60):
        scheduler.push(FakeFlow(1), Kind.PASS, b"hog", START)
        if number < 20:
            scheduler.push(FakeFlow(2), Kind.PASS, b"two", START)
            scheduler.push(FakeFlow(3), Kind.PASS, b"three", START)

    sent = Counter(drain(scheduler, START)[:45])

    assert sent == {b"hog": 15, b"two": 15, b"three": 15}


def test_full_queue_drops_the_oldest_cell_of_its_least_class():
    scheduler, stats = make_scheduler()
    scheduler.push(FakeFlow(1), Kind.AUDIO, b"a0", START)
    scheduler.push(FakeFlow(1), Kind.KEY_FRAME, b"k0", START)
    for number in range(MAX_QUEUE):
        scheduler.push(FakeFlow(1), Kind.PASS, b"r%d" % number, START)

    assert scheduler.size == MAX_QUEUE
    assert (stats.dropped_audio, stats.dropped_key_frame, stats.dropped_rest) == (
        0,
        0,
        2,
    )
    assert drain(scheduler, START)[:3] == [b"a0", b"k0", b"r2"]
    assert scheduler.audit()


def test_full_queue_of_audio_drops_its_oldest():
    scheduler, stats = make_scheduler()

    for number in range(MAX_QUEUE + 3):
        scheduler.push(FakeFlow(1), Kind.AUDIO, b"%d" % number, START)

    assert stats.dropped_audio == 3
    assert drain(scheduler, START)[0] == b"3"


def test_cells_older_than_a_quarter_second_are_dropped_not_sent():
    scheduler, stats = make_scheduler()
    scheduler.push(FakeFlow(1), Kind.KEY_FRAME, b"old", START)
    later = Monotonic(START + MAX_AGE + 0.01)
    scheduler.push(FakeFlow(1), Kind.PASS, b"new", later)

    assert drain(scheduler, later) == [b"new"]
    assert stats.dropped_key_frame == 1
    assert scheduler.size == 0


def test_long_run_never_exceeds_rate_and_burst():
    scheduler, _ = make_scheduler()
    sent = 0
    for step in range(1000):
        now = Monotonic(START + step * 0.001)
        for _ in range(5):
            scheduler.push(FakeFlow(step % 7), Kind.PASS, b"x", now)
        sent += len(scheduler.pop(now))

    assert 990 <= sent <= 1050
    assert scheduler.audit()


def test_forgotten_circuit_sends_nothing_more():
    scheduler, _ = make_scheduler()
    scheduler.push(FakeFlow(1), Kind.PASS, b"x", START)
    scheduler.push(FakeFlow(2), Kind.PASS, b"y", START)

    scheduler.forget(1)
    scheduler.forget(9)

    assert scheduler.waiting_circuits() == [2]
    assert drain(scheduler, START) == [b"y"]
    assert scheduler.audit()


def test_waiting_circuits_are_listed_oldest_first():
    scheduler, _ = make_scheduler()
    for key, age in ((5, 0.1), (6, 0.2), (7, 0.0)):
        scheduler.push(FakeFlow(key), Kind.PASS, b"x", Monotonic(START - age))

    assert scheduler.waiting_circuits() == [6, 5, 7]
    assert scheduler.oldest(6) == START - 0.2
    assert scheduler.oldest(8) is None


def test_flow_is_told_of_every_drop():
    scheduler, _ = make_scheduler()
    flow = FakeFlow(1)
    for _ in range(MAX_QUEUE + 2):
        scheduler.push(flow, Kind.PASS, b"x", START)

    drain(scheduler, Monotonic(START + 1.0))

    assert flow.drops == MAX_QUEUE + 2


def test_flow_that_leads_nowhere_takes_nothing():
    scheduler, _ = make_scheduler()

    scheduler.push(FakeFlow(1, link=None), Kind.PASS, b"x", START)

    assert scheduler.size == 0


def test_circuits_whose_cells_waited_long_are_named():
    scheduler, _ = make_scheduler()
    scheduler.push(FakeFlow(1), Kind.PASS, b"x", START)
    scheduler.push(FakeFlow(2), Kind.PASS, b"y", Monotonic(START + LATE))

    drain(scheduler, Monotonic(START + LATE + 0.001))

    assert list(scheduler.late) == [1]


def test_circuits_that_lose_cells_are_named():
    scheduler, _ = make_scheduler()
    for _ in range(MAX_QUEUE + 1):
        scheduler.push(FakeFlow(1), Kind.PASS, b"x", START)
    scheduler.push(FakeFlow(2), Kind.PASS, b"y", START)

    assert list(scheduler.late) == [1]
    scheduler.forget(1)
    assert list(scheduler.late) == []


def test_all_circuits_together_fill_the_room_and_no_more():
    scheduler, stats = make_scheduler()
    circuits = 10_000
    flows = [FakeFlow(key) for key in range(circuits)]
    for _ in range(20):
        for flow in flows:
            scheduler.push(flow, Kind.PASS, b"x", START)

    assert circuits <= scheduler.size <= ROOM + circuits
    assert scheduler.size + stats.dropped_rest == 20 * circuits
    assert max(flow.drops for flow in flows) - min(flow.drops for flow in flows) <= 3
    assert scheduler.audit()


def test_one_circuit_alone_may_hold_a_whole_queue():
    scheduler, stats = make_scheduler()
    for _ in range(MAX_QUEUE):
        scheduler.push(FakeFlow(1), Kind.PASS, b"x", START)

    assert (scheduler.size, stats.dropped_rest) == (MAX_QUEUE, 0)


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("push"),
            st.integers(1, 4),
            st.sampled_from([Kind.PASS, Kind.KEY_FRAME, Kind.AUDIO]),
            st.integers(1, 150),
        ),
        st.tuples(st.just("wait"), st.floats(0.0, 0.3)),
        st.tuples(st.just("forget"), st.integers(1, 4)),
    ),
    max_size=30,
)


@given(steps)
def test_whatever_comes_leaves_fresh_in_order_in_turn_and_audio_first(steps):
    scheduler, _ = make_scheduler()
    now = START
    flows = {key: FakeFlow(key) for key in range(1, 5)}
    pushed = 0
    for step in steps:
        if step[0] == "push":
            _, key, kind, count = step
            for _ in range(count):
                cell = b"%d %d %d %.9f" % (key, kind, pushed, now)
                scheduler.push(flows[key], kind, cell, now)
                pushed += 1
        elif step[0] == "wait":
            now = Monotonic(now + step[1])
            check(drain(scheduler, now), now)
        else:
            scheduler.forget(step[1])
        assert scheduler.audit()
        assert scheduler.size <= 4 * MAX_QUEUE


RANK = {int(Kind.AUDIO): 0, int(Kind.KEY_FRAME): 1, int(Kind.PASS): 2}


def check(cells, now):
    """Check what left in one go."""
    left = [cell.split() for cell in cells]
    by_circuit = {}
    for key, kind, number, since in left:
        assert now - float(since) <= MAX_AGE + 1e-6
        by_circuit.setdefault(key, []).append((RANK[int(kind)], int(number)))
    for ranks in by_circuit.values():
        assert ranks == sorted(ranks)
    # Turns: nobody is served twice before all who still have cells were served once.
    rest = Counter(key for key, *_ in left)
    while rest:
        turn = [key for key, *_ in left[: len(rest)]]
        assert len(set(turn)) == len(turn)
        rest -= Counter(turn)
        left = left[len(turn) :]


@pytest.mark.parametrize("same_circuit", [False, True])
def test_voice_is_neither_late_nor_lost_beside_three_times_what_may_leave(same_circuit):
    scheduler, stats = make_scheduler()
    hogs = [FakeFlow(key) for key in range(2, 6)]
    voice = hogs[0] if same_circuit else FakeFlow(1)
    waits, sent = [], 0
    for step in range(5000):  # of 1 ms
        now = Monotonic(START + step * 0.001)
        for hog in hogs[: 1 + step % 4]:
            scheduler.push(hog, Kind.PASS, b"hog", now)
        scheduler.push(hogs[step % 4], Kind.KEY_FRAME, b"key", now)
        if step % 20 == 0:
            scheduler.push(voice, Kind.AUDIO, b"%.9f" % now, now)
            sent += 1
        left = drain(scheduler, now)
        waits += [now - float(cell) for cell in left if cell not in {b"hog", b"key"}]

    assert len(waits) == sent
    assert max(waits) <= 0.006
    assert stats.dropped_audio == 0
    assert stats.dropped_rest > 5000
