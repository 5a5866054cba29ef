"""Making this relay's own descriptor, and knowing who has it."""

import pytest

from discovery.config import PublisherConfig
from discovery.publisher import Facts, Publisher
from psp.netdoc.descriptor import Descriptor, Role
from psp.testing.directory import LOOPBACK, START, SignedNetwork
from psp.testing.entropy import SeededEntropy

NODE = SignedNetwork.build(SeededEntropy(40), nodes=3).nodes[0]
A, B = bytes([1]) * 32, bytes([2]) * 32


def publisher():
    return Publisher(PublisherConfig(), LOOPBACK, NODE.identity, SeededEntropy(41))


def test_the_descriptor_says_what_the_relay_says():
    facts = Facts(Role.PRESENCE | Role.LANDING, 130, (bytes(16),))

    descriptor = publisher().descriptor(facts, START)

    assert Descriptor.decode(descriptor.encode(), LOOPBACK) == descriptor
    assert descriptor.node_id == NODE.node_id
    assert (descriptor.sequence, descriptor.issued, descriptor.life) == (
        START,
        START,
        10_800,
    )
    assert (descriptor.roles, descriptor.load) == (facts.roles, 128)
    assert descriptor.families == facts.families


def test_it_is_renewed_after_an_hour_more_or_less():
    made = publisher()
    first = made.descriptor(Facts(), START)

    assert made.descriptor(Facts(), START + 3_239) is first
    assert made.descriptor(Facts(), START + 3_961).sequence == START + 3_961


@pytest.mark.parametrize(
    ("facts", "is_new"),
    [
        (Facts(load=63), False),
        (Facts(load=64), True),
        (Facts(Role.DRAINING), True),
        (Facts(families=(bytes(16),)), True),
    ],
)
def test_new_facts_make_a_new_one_but_small_changes_of_load_do_not(facts, is_new):
    made = publisher()
    first = made.descriptor(Facts(), START)

    assert (made.descriptor(facts, START + 1) is not first) is is_new


def test_the_sequence_rises_within_one_second_and_when_the_clock_is_set_back():
    made = publisher()
    first = made.descriptor(Facts(), START)

    second = made.descriptor(Facts(load=128), START)
    third = made.descriptor(Facts(), START - 1_000)

    assert first.sequence < second.sequence < third.sequence


def test_every_target_is_due_until_it_has_it():
    made = publisher()
    descriptor = made.descriptor(Facts(), START)

    before = made.due(descriptor, [A, B], 0.0)
    made.delivered(A, descriptor)

    assert before == [A, B]
    assert made.due(descriptor, [A, B], 0.0) == [B]


def test_a_failed_target_is_tried_again_after_longer_and_longer():
    made = publisher()
    descriptor = made.descriptor(Facts(), START)
    waits, now = [], 0.0
    for _ in range(12):
        made.due(descriptor, [A], now)
        made.failed(A, now)
        wait = next(
            w / 10 for w in range(1, 7_000) if made.due(descriptor, [A], now + w / 10)
        )
        waits.append(wait)
        now += wait

    assert 1.8 <= waits[0] <= 2.2
    assert 3.6 <= waits[1] <= 4.4
    assert 540 <= waits[-1] <= 660


def test_a_new_descriptor_is_due_everywhere():
    made = publisher()
    first = made.descriptor(Facts(), START)
    made.due(first, [A], 0.0)
    made.delivered(A, first)

    second = made.descriptor(Facts(load=200), START + 9)

    assert made.due(second, [A], 0.0) == [A]


def test_targets_that_are_no_longer_elected_are_forgotten():
    made = publisher()
    descriptor = made.descriptor(Facts(), START)
    made.due(descriptor, [A], 0.0)
    made.delivered(A, descriptor)

    made.due(descriptor, [B], 0.0)
    made.failed(A, 0.0)
    made.delivered(A, descriptor)

    assert made.due(descriptor, [A, B], 0.0) == [A, B]
