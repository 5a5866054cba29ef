"""Clocks that a test sets (psp/testing/clock.py)."""

import pytest

from psp.testing.clock import EPOCH, ManualClock, WallClock
from psp.units import Seconds


def test_manual_clock_moves_when_told_and_never_back():
    clock = ManualClock()

    assert clock.advance(Seconds(2.5)) == clock() == clock.now == 2.5
    with pytest.raises(ValueError, match="cannot move"):
        clock.advance(Seconds(-1.0))


def test_wall_clock_follows_jumps_and_stands_still():
    monotonic = ManualClock()
    wall = WallClock(monotonic)
    monotonic.advance(Seconds(10.0))
    assert wall() == EPOCH + 10

    wall.jump(Seconds(-3_600.0))
    assert wall() == EPOCH - 3_590

    wall.freeze()
    monotonic.advance(Seconds(60.0))
    wall.jump(Seconds(5.0))
    assert wall() == EPOCH - 3_585

    wall.thaw()
    wall.thaw()
    monotonic.advance(Seconds(1.0))
    assert wall() == EPOCH - 3_584
