"""The chain's clock: the wall clock, moved; blocks have rising stamps."""

import pytest

from discovery.devchain.clock import MAX_TIME, ChainClock
from discovery.devchain.errors import RpcError

NOW = 1_000


@pytest.fixture
def wall():
    return {"now": float(NOW)}


@pytest.fixture
def clock(wall):
    return ChainClock(lambda: wall["now"])


def test_block_has_the_time_of_the_wall_clock(clock):
    assert clock.stamp(parent=900) == NOW


def test_burst_runs_ahead_and_the_clock_catches_up(clock, wall):
    assert clock.stamp(parent=NOW) == NOW + 1
    assert clock.stamp(parent=NOW + 1) == NOW + 2
    wall["now"] += 60

    assert clock.stamp(parent=NOW + 2) == NOW + 60


def test_jump_counts_from_the_later_of_clock_and_head(clock):
    assert clock.advance(50, head=900) == 50
    assert clock.stamp(parent=900) == NOW + 50

    assert clock.advance(50, head=2_000) == 1_050
    assert clock.stamp(parent=2_000) == 2_050


def test_stamp_set_by_hand_is_used_once_and_moves_the_clock(clock, wall):
    clock.set_next(500, head=400)

    assert clock.stamp(parent=400) == 500
    clock.block_made(500)
    wall["now"] += 7
    assert clock.stamp(parent=500) == 507


def test_block_without_a_stamp_set_by_hand_leaves_the_clock(clock):
    clock.block_made(5_000)

    assert clock.offset == 0


@pytest.mark.parametrize("timestamp", [0, 400, MAX_TIME + 1])
def test_stamp_that_does_not_rise_is_refused(clock, timestamp):
    with pytest.raises(RpcError):
        clock.set_next(timestamp, head=400)

    assert clock.next_timestamp is None


@pytest.mark.parametrize("seconds", [-1, MAX_TIME])
def test_clock_does_not_go_back_or_out_of_range(clock, seconds):
    with pytest.raises(RpcError):
        clock.advance(seconds, head=900)

    assert clock.offset == 0
