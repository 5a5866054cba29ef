"""Tokens and lanes of a session's datagrams (psp/endpoint/pacing.py)."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from psp.endpoint.pacing import (
    MAX_AGE,
    MAX_CREDIT,
    MAX_WAITING,
    MIN_CREDIT,
    QUANTUM,
    Lane,
    Pacer,
    SendQueue,
)
from psp.units import Monotonic


def at(seconds):
    return Monotonic(100.0 + seconds)


def drain(pacer, waiting, seconds):
    """Send ``waiting`` blocks as soon as allowed; return (time, how many) of each."""
    bursts = []
    now = at(0)
    while waiting and now <= at(seconds):
        allowed = pacer.allowance(waiting, now)
        if allowed:
            bursts.append((now, allowed))
            pacer.spend(allowed)
            waiting -= allowed
        now = max(now, pacer.due(waiting)) if waiting else now
    return bursts


@given(st.floats(8, 100_000), st.integers(1, 5000))
def test_a_second_carries_no_more_than_the_rate_and_what_was_saved(rate, waiting):
    sent = sum(count for _, count in drain(Pacer(rate, at(0)), waiting, 1.0))

    assert sent <= rate + max(MIN_CREDIT, rate * MAX_CREDIT) + 1
    assert sent >= min(waiting, int(rate * 0.95))


@given(st.floats(8, 100_000))
def test_bursts_are_a_quantum_apart(rate):
    bursts = drain(Pacer(rate, at(0)), 5000, 1.0)

    for (before, _), (after, _) in pairwise(bursts[:-1]):
        assert after - before >= min(QUANTUM, 1 / rate) * 0.99


def test_at_fifty_megabytes_a_second_trains_stay_together():
    bursts = drain(Pacer(50_000.0, at(0)), 1000, 1.0)

    assert {count for _, count in bursts[1:-1]} == {50}


def test_a_late_timer_makes_up_for_three_milliseconds_at_most():
    pacer = Pacer(10_000.0, at(0))
    pacer.spend(pacer.allowance(10, at(0)))

    assert pacer.allowance(1000, at(0.5)) == 30


def test_debt_of_audio_is_bounded():
    pacer = Pacer(100.0, at(0))
    pacer.spend(1000)

    assert pacer.allowance(1, at(0.04)) == 0
    assert pacer.due(1) <= at(0.0901)
    assert pacer.allowance(1, at(0.0901)) == 1


def test_a_rate_that_changes_counts_from_the_next_look_on():
    pacer = Pacer(10.0, at(0))
    pacer.spend(4)
    assert pacer.allowance(5, at(0)) == 0

    pacer.rate = 1000.0

    assert pacer.due(5) == at(0.001)
    assert pacer.allowance(5, at(0.005)) == 4 or pacer.allowance(5, at(0.005)) == 5


def test_lanes_go_in_order_and_each_in_the_order_of_its_coming():
    queue = SendQueue()
    for number in range(3):
        for lane in reversed(Lane):
            queue.add(lane, b"%s %d" % (lane.name.encode(), number))

    assert queue.take_audio() == [b"AUDIO 0", b"AUDIO 1", b"AUDIO 2"]
    assert queue.take(5) == [
        (Lane.CONTROL, [b"CONTROL 0", b"CONTROL 1", b"CONTROL 2"]),
        (Lane.KEY_FRAME, [b"KEY_FRAME 0", b"KEY_FRAME 1"]),
    ]
    assert queue.take(100) == [
        (Lane.KEY_FRAME, [b"KEY_FRAME 2"]),
        (Lane.REST, [b"REST 0", b"REST 1", b"REST 2"]),
    ]
    assert len(queue) == 0
    assert queue.take(1) == []


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from(Lane)),
            st.tuples(st.just("take"), st.integers(0, 5)),
            st.tuples(st.just("wait"), st.floats(0.0, 0.3)),
        ),
        max_size=60,
    )
)
def test_it_behaves_like_a_list_that_is_sorted_and_swept(steps):
    queue = SendQueue()
    judge: list[tuple[Lane, int, float]] = []
    now = at(0)
    serial = dropped = 0
    for step, value in steps:
        match step:
            case "add":
                queue.add(value, b"%d" % serial)
                judge.append((value, serial, now))
                serial += 1
            case "wait":
                queue.stamp(now)
                now = Monotonic(now + value)
                queue.expire(now)
                kept = [entry for entry in judge if now - entry[2] <= MAX_AGE]
                dropped += len(judge) - len(kept)
                judge = kept
            case _:
                taken = [p for _, plains in queue.take(value) for p in plains]
                judge.sort()
                assert taken == [b"%d" % number for _, number, _ in judge[:value]]
                del judge[:value]
        assert len(queue) == len(judge)
        assert queue.dropped == dropped


def test_with_too_many_the_oldest_of_the_least_class_goes():
    queue = SendQueue()
    queue.add(Lane.REST, b"old")
    queue.add(Lane.REST, b"young")
    for _ in range(MAX_WAITING - 2):
        queue.add(Lane.KEY_FRAME, b"key")

    queue.add(Lane.AUDIO, b"audio")
    assert queue.take(MAX_WAITING)[-1] == (Lane.REST, [b"young"])


def test_a_full_queue_of_better_ones_takes_no_more_of_the_least():
    queue = SendQueue()
    for _ in range(MAX_WAITING):
        queue.add(Lane.KEY_FRAME, b"key")

    queue.add(Lane.REST, b"rest")

    assert queue.take(MAX_WAITING) == [(Lane.KEY_FRAME, [b"key"] * MAX_WAITING)]
    assert queue.dropped == 1
