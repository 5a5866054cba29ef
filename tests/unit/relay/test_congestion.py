"""When a relay is behind, who is cut to what, who is told (relay/congestion.py)."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.units import Seconds
from relay import congestion
from relay.congestion import BEHIND, MARKED_FOR, MIN_BURST, MIN_SHARE, RECOVERY, STEP
from relay.stats import RelayStats
from tests.unit.relay.congestion_bench import Bench, head


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
