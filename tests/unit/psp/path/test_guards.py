"""Guards: drawn once, kept in order, left only when they cannot be used (R-PATH-4)."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from psp.errors import DecodeError
from psp.path.guard_state import MAX_SAMPLE
from psp.path.guards import DAY, PRIMARY, USABLE, GuardSet
from psp.path.weights import node_weights
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic, UnixTime

NOW = Monotonic(0.0)

RIG = SignedNetwork.build(SeededEntropy(8), nodes=90, operators=90)
NODES = dict(RIG.registry().nodes())
WEIGHTS = node_weights(NODES.values())
HOUR = 3600.0


def fresh(seed=1, nodes=NODES):
    guards = GuardSet()
    guards.refresh(nodes, WEIGHTS, START, SeededEntropy(seed))
    return guards


def confirm(guards, node_id, now=NOW, unix_now=START):
    guards.record_success(node_id, now, unix_now, SeededEntropy("confirm"))


def test_a_new_client_samples_twenty_and_uses_two_of_three():
    guards = fresh()

    assert len(guards) == USABLE
    assert len(guards.primary()) == PRIMARY
    assert guards.in_use(NOW) == guards.primary()[:2]


def test_the_choice_outlives_a_restart():
    guards = fresh()
    confirm(guards, guards.primary()[1])

    again = GuardSet.decode(guards.encode())
    again.refresh(NODES, WEIGHTS, UnixTime(START + DAY), SeededEntropy(99))

    assert again.primary() == guards.primary()


def test_state_says_when_it_must_be_written():
    guards = fresh()
    changes = [guards.is_changed]
    guards.encode()
    changes.append(guards.is_changed)
    confirm(guards, guards.primary()[0])
    changes.append(guards.is_changed)

    assert changes == [True, False, True]


def test_junk_is_not_a_state():
    with pytest.raises(DecodeError):
        GuardSet.decode(b"junk")


def test_confirmed_guards_come_first_in_the_order_of_success():
    guards = fresh()
    third, second = guards.primary()[2], guards.primary()[1]

    confirm(guards, third)
    confirm(guards, second)
    confirm(guards, third)

    assert guards.primary()[:2] == (third, second)


def test_a_failed_guard_waits_and_the_next_takes_over():
    guards = fresh()
    first, second, third = guards.primary()

    guards.record_failure(first, NOW, is_network_up=True)

    assert guards.in_use(1.0) == (second, third)
    assert guards.primary() == (first, second, third)
    assert guards.next_retry() == 600.0
    assert guards.in_use(600.0) == (first, second)


def test_a_failure_the_network_explains_changes_nothing():
    guards = fresh()
    before = guards.candidates(NOW)

    for node_id in before:
        guards.record_failure(node_id, NOW, is_network_up=False)

    assert guards.candidates(1.0) == before
    assert guards.next_retry() is None


@pytest.mark.parametrize(
    ("failing", "wait"),
    [(0, 600), (7, 5400), (5 * 24, 4 * 3600), (8 * 24, 9 * 3600)],
)
def test_a_primary_guard_is_retried_on_tors_schedule(failing, wait):
    guards = fresh()
    first = guards.primary()[0]

    guards.record_failure(first, NOW, is_network_up=True)
    guards.record_failure(first, failing * HOUR, is_network_up=True)

    assert guards.next_retry() == failing * HOUR + wait


@pytest.mark.parametrize(
    ("failing", "wait"),
    [(0, 3600), (7, 4 * 3600), (5 * 24, 18 * 3600), (8 * 24, 36 * 3600)],
)
def test_another_guard_is_retried_less_often(failing, wait):
    guards = fresh()
    fourth = guards.candidates(NOW)[3]

    guards.record_failure(fourth, NOW, is_network_up=True)
    guards.record_failure(fourth, failing * HOUR, is_network_up=True)

    assert guards.next_retry() == failing * HOUR + wait


def test_the_first_success_after_a_silence_clears_all_failures():
    guards = fresh()
    first, second, _ = guards.primary()
    confirm(guards, first, NOW)
    guards.record_failure(first, 700.0, is_network_up=True)

    confirm(guards, second, 710.0)

    assert guards.is_reachable(first, 710.0)
    assert guards.primary()[0] == first


def test_a_success_soon_after_another_clears_its_own_guard_only():
    guards = fresh()
    first, second, _ = guards.primary()
    confirm(guards, second, NOW)
    guards.record_failure(first, 10.0, is_network_up=True)

    confirm(guards, second, 20.0)

    assert not guards.is_reachable(first, 20.0)


def test_a_client_whose_guards_all_wait_still_tries_the_one_due_first():
    guards = fresh()
    order = guards.candidates(NOW)
    for i, node_id in enumerate(reversed(order)):
        guards.record_failure(node_id, float(i), is_network_up=True)

    tried = guards.candidates(30.0)

    assert set(tried) == set(order)
    assert tried[0] in guards.primary()


def test_failures_never_enlarge_the_sample():
    guards = fresh()
    before = set(guards.candidates(NOW))

    for day in range(10):
        for node_id in guards.candidates(day * 24 * HOUR):
            guards.record_failure(node_id, day * 24 * HOUR, is_network_up=True)
        guards.refresh(NODES, WEIGHTS, START + day * DAY, SeededEntropy(day))

    assert set(guards.candidates(NOW)) == before


def test_an_unlisted_guard_is_left_at_once_and_forgotten_after_20_days():
    guards = fresh()
    first = guards.primary()[0]
    rest = {key: node for key, node in NODES.items() if key != first}

    guards.refresh(rest, WEIGHTS, START, SeededEntropy(2))
    left = first not in guards.candidates(NOW)
    guards.refresh(NODES, WEIGHTS, START + 19 * DAY, SeededEntropy(2))
    back = guards.primary()[0] == first
    guards.refresh(rest, WEIGHTS, START + 19 * DAY, SeededEntropy(2))
    guards.refresh(rest, WEIGHTS, START + 39 * DAY, SeededEntropy(2))

    assert left
    assert back
    assert guards.guard(first) is None


def test_an_unconfirmed_guard_lives_120_days():
    guards = fresh()
    sampled = set(guards.candidates(NOW))

    guards.refresh(NODES, WEIGHTS, START + 107 * DAY, SeededEntropy(3))
    kept = set(guards.candidates(NOW))
    guards.refresh(NODES, WEIGHTS, START + 120 * DAY, SeededEntropy(3))

    assert kept == sampled
    assert len(sampled & set(guards.candidates(NOW))) < len(sampled) / 2


def test_a_guard_confirmed_late_lives_60_days_from_then():
    guards = fresh()
    first = guards.primary()[0]
    confirm(guards, first, unix_now=START + 100 * DAY)

    guards.refresh(NODES, WEIGHTS, START + 150 * DAY, SeededEntropy(3))
    kept = guards.guard(first)
    rest = {key: node for key, node in NODES.items() if key != first}
    guards.refresh(rest, WEIGHTS, START + 160 * DAY, SeededEntropy(3))

    assert kept is not None
    assert kept.confirmed is not None
    assert guards.guard(first) is None


def test_times_on_disk_are_blurred():
    guards = fresh()
    times = {guards.guard(node_id).sampled for node_id in guards.candidates(NOW)}

    assert len(times) > USABLE / 2
    assert all(START - 12 * DAY <= when <= START for when in times)


def test_own_relays_never_become_guards():
    own = list(NODES)[:45]
    guards = GuardSet()

    guards.refresh(NODES, WEIGHTS, START, SeededEntropy(4), avoid=own)

    assert not set(own) & set(guards.candidates(NOW))


def test_a_small_network_is_sampled_whole():
    few = dict(list(NODES.items())[:5])

    assert set(fresh(nodes=few).candidates(NOW)) == set(few)


def test_a_guard_beyond_which_circuits_fail_is_suspect_and_comes_after_its_equals():
    guards = fresh()
    first, second, third = guards.primary()
    for i in range(20):
        guards.record_attempt(first)
        if i < 13:
            guards.record_built(first)

    assert guards.is_suspect(first)
    assert guards.candidates(NOW)[:3] == [second, third, first]


def test_few_circuits_or_good_ones_make_nobody_suspect():
    guards = fresh()
    first, second, _ = guards.primary()
    for _ in range(19):
        guards.record_attempt(first)
    for _ in range(500):
        guards.record_attempt(second)
        guards.record_built(second)

    assert not guards.is_suspect(first)
    assert not guards.is_suspect(second)
    assert guards.guard(second).attempts <= 200


def test_strangers_are_not_counted():
    guards = fresh()
    before = guards.encode()

    guards.record_attempt(bytes(32))
    guards.record_failure(bytes(32), NOW, is_network_up=True)
    confirm(guards, bytes(32))

    assert guards.encode() == before
    assert guards.next_retry() is None
    assert not guards.is_suspect(bytes(32))


class GuardLife(RuleBasedStateMachine):
    """Any sequence of events keeps the promises of the module."""

    @initialize(seed=st.integers(0, 99))
    def start(self, seed):
        self.entropy = SeededEntropy(seed)
        self.now, self.unix_now = NOW, START
        self.nodes = dict(NODES)
        self.guards = GuardSet()
        self.guards.refresh(self.nodes, WEIGHTS, START, self.entropy)

    @rule(hours=st.integers(0, 24 * 40))
    def time_passes(self, hours):
        self.now += hours * HOUR
        self.unix_now += hours * 3600
        self.guards.refresh(self.nodes, WEIGHTS, self.unix_now, self.entropy)

    @rule(rank=st.integers(0, 25))
    def a_node_leaves(self, rank):
        order = self.guards.candidates(self.now)
        if rank < len(order):
            self.nodes.pop(order[rank])
            self.guards.refresh(self.nodes, WEIGHTS, self.unix_now, self.entropy)

    @rule()
    def all_nodes_come_back(self):
        self.nodes = dict(NODES)
        self.guards.refresh(self.nodes, WEIGHTS, self.unix_now, self.entropy)

    @rule(rank=st.integers(0, 25), is_network_up=st.booleans())
    def a_guard_fails(self, rank, is_network_up):
        order = self.guards.candidates(self.now)
        if rank < len(order):
            self.guards.record_failure(
                order[rank], self.now, is_network_up=is_network_up
            )

    @rule(rank=st.integers(0, 25))
    def a_guard_works(self, rank):
        order = self.guards.candidates(self.now)
        if rank < len(order):
            confirm(self.guards, order[rank], self.now, self.unix_now)
            assert self.guards.is_reachable(order[rank], self.now)

    @rule(rank=st.integers(0, 3), built=st.booleans())
    def a_circuit_goes_on(self, rank, built):
        order = self.guards.candidates(self.now)
        if rank < len(order):
            self.guards.record_attempt(order[rank])
            if built:
                self.guards.record_built(order[rank])

    @rule()
    def the_client_restarts(self):
        before = self.guards.primary()
        self.guards = GuardSet.decode(self.guards.encode())
        assert self.guards.primary() == before

    @rule(days=st.integers(1, 400))
    def the_clock_is_set_back(self, days):
        self.unix_now = max(0, self.unix_now - days * DAY)

    @invariant()
    def the_sample_is_bounded_and_all_candidates_are_listed(self):
        order = self.guards.candidates(self.now)
        assert len(self.guards) <= MAX_SAMPLE
        assert len(set(order)) == len(order)
        assert set(self.guards.primary()) <= set(order) or not order
        assert len(order) <= len(self.nodes)

    @invariant()
    def whoever_may_be_tried_comes_before_whoever_waits(self):
        order = self.guards.candidates(self.now)
        ready = [self.guards.is_reachable(key, self.now) for key in order]
        assert ready == sorted(ready, reverse=True)


GuardLife.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestGuardLife = GuardLife.TestCase
