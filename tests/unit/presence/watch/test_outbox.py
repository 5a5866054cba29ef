"""Who gets the next turn, and what becomes of what waits for the silent."""

import random
from collections import Counter

from presence.watch.outbox import Outbox
from presence.watch.watchers import Handle
from psp.ids import NodeId

A, B, C = (NodeId(bytes([number]) * 32) for number in range(3))


def fill(outbox, watch_point, count):
    for number in range(count):
        handle = Handle(watch_point, number.to_bytes(20), bytes(32))
        outbox.put(handle, number.to_bytes(2))


def taken(outbox):
    letter = outbox.take()
    return None if letter is None else letter[0].watch_point


def test_watch_points_take_turns():
    outbox = Outbox(at_once=16, in_all=100)
    fill(outbox, A, 100)
    fill(outbox, B, 2)

    assert [taken(outbox) for _ in range(5)] == [A, B, A, B, A]
    assert len(outbox) == 97


def test_a_watch_point_with_enough_under_way_waits_for_an_answer():
    outbox = Outbox(at_once=2, in_all=100)
    fill(outbox, A, 4)

    assert [taken(outbox) for _ in range(3)] == [A, A, None]
    assert outbox.done(A, is_answered=True) == 0
    assert [taken(outbox) for _ in range(2)] == [A, None]


def test_what_waits_for_a_silent_watch_point_is_given_up():
    outbox = Outbox(at_once=1, in_all=100)
    fill(outbox, A, 5)
    fill(outbox, B, 1)
    assert taken(outbox) == A

    assert outbox.done(A, is_answered=False) == 4
    assert [taken(outbox), taken(outbox), len(outbox)] == [B, None, 0]


def test_a_silent_watch_point_is_sent_one_message_until_it_answers():
    outbox = Outbox(at_once=3, in_all=100)
    fill(outbox, A, 1)
    assert taken(outbox) == A
    outbox.done(A, is_answered=False)

    fill(outbox, A, 9)
    assert [taken(outbox), taken(outbox)] == [A, None]
    outbox.done(A, is_answered=True)
    assert [taken(outbox) for _ in range(4)] == [A, A, A, None]


def test_there_is_a_limit_to_what_is_under_way_in_all():
    outbox = Outbox(at_once=3, in_all=2)
    for each in (A, B, C):
        fill(outbox, each, 1)

    assert [taken(outbox) for _ in range(3)] == [A, B, None]
    outbox.done(A, is_answered=False)
    assert taken(outbox) == C


def test_nothing_is_lost_doubled_or_kept_whatever_happens():
    dice, outbox = random.Random(4), Outbox(at_once=3, in_all=7)
    put, sent, lost = 0, 0, 0
    under_way: Counter[NodeId] = Counter()
    for _ in range(20_000):
        match dice.randrange(3):
            case 0:
                fill(outbox, dice.choice((A, B, C)), 1)
                put += 1
            case 1:
                if (letter := outbox.take()) is not None:
                    under_way[letter[0].watch_point] += 1
                    sent += 1
            case _:
                if busy := sorted(+under_way):
                    who = dice.choice(busy)
                    under_way[who] -= 1
                    lost += outbox.done(who, is_answered=dice.random() < 0.95)
        assert max(under_way.values(), default=0) <= 3
        assert under_way.total() <= 7
        assert len(outbox) == put - sent - lost
    for who, count in under_way.items():
        for _ in range(count):
            outbox.done(who, is_answered=True)
    while (letter := outbox.take()) is not None:
        outbox.done(letter[0].watch_point, is_answered=True)
    assert (len(outbox), outbox._waiting, outbox._turns, +outbox._under_way) == (
        0,
        {},
        {},
        Counter(),
    )
