"""Old handshakes stay old."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError
from psp.link.freshness import NO_TIME, HandshakeClock, Seen, Timestamps

STATIC = bytes(range(32))


def time(number: int) -> bytes:
    return number.to_bytes(12)


@given(st.lists(st.floats(-1e9, 1e10, allow_nan=False), min_size=2, max_size=20))
def test_our_times_rise_whatever_the_wall_clock_does(readings: list[float]) -> None:
    clock = HandshakeClock(iter(readings).__next__)

    times = [clock.next() for _ in readings]

    assert times == sorted(set(times))
    assert all(len(stamp) == 12 for stamp in times)


def test_a_time_is_taken_once_and_only_a_later_one_after_it() -> None:
    times = Timestamps(10)

    assert times.accept(STATIC, time(5))
    assert not times.accept(STATIC, time(5))
    assert not times.accept(STATIC, time(4))
    assert times.accept(STATIC, time(6))
    assert times.accept(bytes(32), time(1))
    assert not times.accept(bytes(32), NO_TIME)


def test_times_survive_a_restart() -> None:
    before, after = Timestamps(10), Timestamps(10)
    before.accept(STATIC, time(5))
    before.accept(bytes(32), time(7))
    after.accept(bytes(32), time(9))

    after.load(before.encode())

    assert not after.accept(STATIC, time(5))
    assert not after.accept(bytes(32), time(9))
    assert after.accept(STATIC, time(6))


@given(st.binary(max_size=200))
def test_a_file_of_times_is_read_or_refused(data: bytes) -> None:
    times = Timestamps(10)
    if len(data) % 44:
        with pytest.raises(DecodeError):
            times.load(data)
    else:
        times.load(data)


def test_tables_are_bounded() -> None:
    times, seen = Timestamps(3), Seen(4)

    for number in range(10):
        times.accept(number.to_bytes(32), time(1))
        seen.add(number.to_bytes(32))

    assert len(times) == 3
    assert 2 <= len(seen) <= 4
    assert (9).to_bytes(32) in seen
    assert (8).to_bytes(32) in seen
    assert (1).to_bytes(32) not in seen
