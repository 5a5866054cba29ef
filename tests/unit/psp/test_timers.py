"""Deadlines by name (psp/timers.py)."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from psp.timers import Deadlines
from psp.units import Monotonic

times = st.integers(0, 50).map(lambda number: Monotonic(float(number)))
keys = st.sampled_from("abcdefgh")


def test_empty_has_no_next():
    deadlines: Deadlines[str] = Deadlines()

    assert deadlines.next() is None
    assert deadlines.pop_expired(Monotonic(1e9)) == []
    assert len(deadlines) == 0


def test_due_exactly_now_is_expired():
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", Monotonic(5.0))

    assert deadlines.pop_expired(Monotonic(4.999)) == []
    assert deadlines.pop_expired(Monotonic(5.0)) == ["a"]
    assert "a" not in deadlines


def test_setting_again_moves_either_way():
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", Monotonic(5.0))
    deadlines.set("a", Monotonic(9.0))
    assert deadlines.next() == 9.0

    deadlines.set("a", Monotonic(2.0))
    assert deadlines.next() == 2.0
    assert deadlines.pop_expired(Monotonic(100.0)) == ["a"]


def test_key_set_back_to_the_same_time_is_due_once():
    deadlines: Deadlines[str] = Deadlines()
    for _ in range(100):
        deadlines.set("a", Monotonic(5.0))

    assert deadlines.pop_expired(Monotonic(5.0)) == ["a"]
    assert deadlines.pop_expired(Monotonic(5.0)) == []


def test_equal_deadlines_expire_in_the_order_they_were_set():
    deadlines: Deadlines[object] = Deadlines()
    names = [object() for _ in range(20)]  # cannot be compared: ties must not try
    for name in names:
        deadlines.set(name, Monotonic(1.0))

    assert deadlines.pop_expired(Monotonic(1.0)) == names


@given(st.lists(st.tuples(keys, times), max_size=300))
def test_expired_come_earliest_first(entries):
    deadlines: Deadlines[str] = Deadlines()
    last = {}
    for key, due in entries:
        deadlines.set(key, due)
        last[key] = due

    expired = deadlines.pop_expired(Monotonic(100.0))

    assert sorted(expired) == sorted(last)
    assert [last[key] for key in expired] == sorted(last.values())


class DeadlinesAgainstADict(RuleBasedStateMachine):
    """The heap must always agree with a dict that is searched."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines: Deadlines[str] = Deadlines()
        self.judge: dict[str, float] = {}

    @rule(key=keys, due=times)
    def put(self, key, due):
        self.deadlines.set(key, due)
        self.judge[key] = due

    @rule(key=keys)
    def cancel(self, key):
        self.deadlines.cancel(key)
        self.judge.pop(key, None)

    @rule(now=times)
    def expire(self, now):
        expired = {key for key, due in self.judge.items() if due <= now}

        assert set(self.deadlines.pop_expired(now)) == expired
        for key in expired:
            del self.judge[key]

    @invariant()
    def agrees(self):
        assert len(self.deadlines) == len(self.judge)
        assert self.deadlines.next() == min(self.judge.values(), default=None)
        assert all(key in self.deadlines for key in self.judge)


TestDeadlinesAgainstADict = DeadlinesAgainstADict.TestCase
