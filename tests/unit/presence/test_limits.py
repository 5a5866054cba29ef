"""Rates and memories: at the limit, past it, and after time has passed."""

from hypothesis import given
from hypothesis import strategies as st

from presence.limits import Pace, ReplayMemory, SlidingWindow, TokenBuckets
from psp.units import Monotonic, Seconds


def at(seconds):
    return Monotonic(seconds)


@given(st.integers(1, 5), st.lists(st.floats(0, 3), max_size=60))
def test_no_span_ever_holds_more_than_the_limit(limit, gaps):
    window = SlidingWindow(limit, Seconds(10.0))
    now = at(0.0)
    admitted: list[Monotonic] = []

    for gap in gaps:
        now = at(now + gap)
        expected = sum(then > now - 10.0 for then in admitted) < limit
        assert window.admit(now) is expected
        if expected:
            admitted.append(now)


def test_bucket_gives_its_burst_and_then_its_rate():
    buckets: TokenBuckets[str] = TokenBuckets(2.0, 3.0, 10)

    assert [buckets.admit("a", at(0.0)) for _ in range(4)] == [True, True, True, False]
    assert buckets.admit("a", at(0.5))
    assert not buckets.admit("a", at(0.5))
    assert [buckets.admit("a", at(100.0)) for _ in range(4)] == [True] * 3 + [False]


def test_keys_have_buckets_of_their_own():
    buckets: TokenBuckets[str] = TokenBuckets(1.0, 1.0, 10)

    assert buckets.admit("a", at(0.0))
    assert buckets.admit("b", at(0.0))
    assert not buckets.admit("a", at(0.0))


def test_full_table_forgets_who_was_silent_longest():
    buckets: TokenBuckets[str] = TokenBuckets(0.0, 1.0, 2)
    for key in "aba":
        buckets.admit(key, at(0.0))

    buckets.admit("c", at(0.0))

    assert not buckets.admit("a", at(0.0))
    assert buckets.admit("b", at(0.0))


def test_memory_forgets_after_its_time_only():
    memory = ReplayMemory(Seconds(60.0), 2)
    memory.remember(b"x", at(0.0))
    memory.remember(b"y", at(30.0))

    assert memory.is_full(at(59.0))
    assert b"x" in memory
    assert not memory.is_full(at(60.0))
    assert b"x" not in memory
    assert b"y" in memory
    assert len(memory) == 1


def test_turns_come_at_equal_distances_and_are_not_saved_up():
    pace = Pace(4.0)

    assert [pace.delay(at(0.0)) for _ in range(3)] == [0.0, 0.25, 0.5]
    assert pace.delay(at(0.5)) == 0.25
    assert [pace.delay(at(100.0)) for _ in range(2)] == [0.0, 0.25]
