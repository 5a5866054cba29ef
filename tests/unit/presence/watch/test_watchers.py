"""Handles at a presence point: used once, bounded, never mixed up."""

import random

from presence.config import WatchConfig
from presence.watch.watchers import Watchers
from psp.ids import NodeId
from psp.units import Monotonic, Seconds
from psp.wire.watch import Change, Watched, WatchRequest, WatchStatus

POINT = NodeId(b"w" * 32)
TAG = b"t" * 16
T0 = Monotonic(100.0)


def request(number: int, tag=TAG, *, lifetime=3_600, point=POINT) -> WatchRequest:
    cookie, key = number.to_bytes(20), number.to_bytes(32)
    return WatchRequest(tag, Seconds(lifetime), point, cookie, key)


def leave(watchers, number, *, now=T0, status=WatchStatus.HERE, **fields):
    return watchers.leave(number, request(number, **fields), status, Monotonic(now))


def test_a_change_uses_up_every_handle_of_its_tag_and_no_other():
    watchers = Watchers(WatchConfig())
    for number in (1, 2):
        assert leave(watchers, number) == Watched(WatchStatus.HERE)
    leave(watchers, 3, tag=b"other tag sixteen")

    told = watchers.changed(TAG, Change.ABSENT, 9, T0)

    assert [int.from_bytes(handle.cookie) for handle in told] == [1, 2]
    assert {handle.watch_point for handle in told} == {POINT}
    assert watchers.changed(TAG, Change.GONE, 9, T0) == []
    assert len(watchers) == 1


def test_nothing_is_left_for_a_tag_that_is_not_served():
    watchers = Watchers(WatchConfig())

    answer = leave(watchers, 1, status=WatchStatus.NO_SUCH_TAG)

    assert answer == Watched(WatchStatus.NO_SUCH_TAG)
    assert watchers.changed(TAG, Change.GONE, 1, T0) == []


def test_whoever_comes_late_is_told_the_sequence_of_what_it_missed():
    watchers = Watchers(WatchConfig())
    watchers.changed(TAG, Change.STATUS, 77, T0)
    watchers.changed(TAG, Change.STATUS, 70, T0)

    assert leave(watchers, 1) == Watched(WatchStatus.HERE, 77)

    watchers.changed(TAG, Change.GONE, 78, T0)
    assert leave(watchers, 2) == Watched(WatchStatus.HERE, 0)


def test_a_handle_ends_with_its_lifetime():
    watchers = Watchers(WatchConfig())
    leave(watchers, 1, lifetime=60)

    assert watchers.changed(TAG, Change.GONE, 1, Monotonic(T0 + 60)) == []
    assert len(watchers) == 0


def test_a_circuit_leaves_one_handle_and_ends_without_taking_it_along():
    watchers = Watchers(WatchConfig())
    assert watchers.leave(7, request(1), WatchStatus.HERE, T0) is not None
    assert watchers.leave(7, request(2), WatchStatus.HERE, T0) is None

    watchers.circuit_closed(7)

    assert watchers.leave(7, request(2), WatchStatus.HERE, T0) is not None
    assert len(watchers.changed(TAG, Change.GONE, 1, T0)) == 2


def test_a_cookie_that_lies_here_already_is_not_taken_twice():
    watchers = Watchers(WatchConfig())
    watchers.leave(1, request(1), WatchStatus.HERE, T0)

    again = watchers.leave(2, request(1, tag=b"u" * 16), WatchStatus.HERE, T0)

    assert again == Watched(WatchStatus.BUSY)
    assert len(watchers.changed(TAG, Change.GONE, 1, T0)) == 1


def test_ten_thousand_handles_of_a_flood_leave_room_for_other_tags():
    config = WatchConfig()
    watchers = Watchers(config)
    points = [NodeId(bytes([number]) * 32) for number in range(200)]
    for number in range(10_000):
        leave(watchers, number, point=points[number % 200])

    assert len(watchers) == config.handles_per_tag
    honest = leave(watchers, 10_001, tag=b"u" * 16)
    assert honest == Watched(WatchStatus.HERE)


def test_no_watch_point_gets_more_than_its_share():
    watchers = Watchers(WatchConfig(handles_per_watch_point=3))
    states = [
        answer.status
        for number in range(4)
        if (answer := leave(watchers, number, tag=bytes([number]) * 16))
    ]

    assert states == [WatchStatus.HERE] * 3 + [WatchStatus.BUSY]
    elsewhere = leave(watchers, 9, point=NodeId(b"v" * 32))
    assert elsewhere == Watched(WatchStatus.HERE)


def test_the_table_and_what_is_remembered_are_bounded():
    config = WatchConfig(max_handles=50, remembered_changes=10)
    watchers = Watchers(config)
    for number in range(100):
        tag = number.to_bytes(16)
        watchers.changed(tag, Change.STATUS, 1 + number, T0)
        leave(watchers, number, tag=tag)

    assert len(watchers) == 50
    watchers.sweep(Monotonic(T0 + 3_600))
    oldest = leave(watchers, 200, tag=(0).to_bytes(16), now=T0 + 3_600)
    newest = leave(watchers, 201, tag=(99).to_bytes(16), now=T0 + 3_600)
    assert (oldest.sequence, newest.sequence) == (0, 100)


def test_it_agrees_with_a_list_of_handles_whatever_happens():
    """The obvious version: one list, searched from end to end."""
    dice = random.Random(5)
    config = WatchConfig(max_handles=12, handles_per_tag=6, handles_per_watch_point=9)
    watchers = Watchers(config)
    held: list[tuple[bytes, int, NodeId, float]] = []
    now = float(T0)
    for number in range(3_000):
        now += dice.random() * 5
        held = [handle for handle in held if handle[3] > now]
        tag, point = bytes([dice.randrange(4)]) * 16, NodeId(bytes([number % 3]) * 32)
        if dice.random() < 0.7:
            lifetime = dice.randrange(1, 60)
            answer = leave(
                watchers, number, now=now, tag=tag, lifetime=lifetime, point=point
            )
            has_room = (
                len(held) < 12
                and sum(handle[0] == tag for handle in held) < 6
                and sum(handle[2] == point for handle in held) < 9
            )
            assert answer is not None
            assert (answer.status is WatchStatus.HERE) == has_room
            if has_room:
                held.append((tag, number, point, now + lifetime))
        else:
            told = watchers.changed(tag, Change.MOVED, number, Monotonic(now))
            wanted = [handle[1] for handle in held if handle[0] == tag]
            assert [int.from_bytes(handle.cookie) for handle in told] == wanted
            held = [handle for handle in held if handle[0] != tag]
        assert len(watchers) == len(held)
