"""What others get when they ask about hand-overs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.handover.collector import HandOverCollector
from discovery.handover.desk import HandOverDesk
from discovery.handover.listings import Listings
from discovery.handover.stats import HandOverStats
from psp.ids import NodeId
from psp.netdoc.handover_list import split_hand_overs
from psp.testing.handovers import Succession
from psp.wire.directory_page import CURRENT, Content
from psp.wire.directory_service import HandOverSignature, SignatureStatus

LISTS = {4: [1, 2, 3], 5: [4, 5, 6], 6: [1, 2, 3], 7: [4, 5, 6]}
CHAIN = Succession(LISTS)
DONE = [CHAIN.hand_over(epoch, [*LISTS[epoch - 1], 11]) for epoch in (5, 6)]
NEXT = CHAIN.hand_over(7, [1, 11])


def desk(*bodies):
    made = HandOverDesk(HandOverCollector(), Listings(8), HandOverStats())
    for body in bodies:
        made.listings.add(CHAIN.at(body.epoch).listing)
        made.collector.open(body)
    made.follow()
    return made


def listed(made, name=CURRENT):
    return split_hand_overs(made.snapshot(Content.HANDOVERS, name).data)


def signed(number, body=NEXT):
    key = CHAIN.key(number)
    signature = body.sign(key)
    return HandOverSignature(
        body.start, body.digest, NodeId(key.public), signature
    ).encode()


def test_before_anything_is_complete_there_is_nothing():
    made = desk(NEXT)

    for content in Content:
        assert made.snapshot(content, CURRENT) is None


def test_all_complete_hand_overs_are_given_to_whoever_has_none():
    made = desk(*DONE, NEXT)

    assert listed(made) == DONE
    assert listed(made, b"unknown!") == DONE


def test_only_later_ones_are_given_to_whoever_has_some():
    made = desk(*DONE)

    assert listed(made, DONE[0].digest[:8]) == DONE[1:]
    assert listed(made, DONE[1].digest[:8]) == []


def test_a_list_stays_under_its_name_while_others_come():
    made = desk(*DONE, NEXT)
    before = made.snapshot(Content.HANDOVERS, CURRENT)

    for number in (2, 3):
        assert made.take(signed(number)) is SignatureStatus.STORED

    assert made.snapshot(Content.HANDOVERS, before.name) is before
    assert [hand_over.epoch for hand_over in listed(made)] == [5, 6, 7]


def test_lists_are_bounded():
    made = desk(*DONE)
    first = made.snapshot(Content.HANDOVERS, CURRENT)
    for number in range(100):
        made.snapshot(Content.HANDOVERS, number.to_bytes(8))

    assert made.snapshot(Content.HANDOVERS, b"unknown!") is first


def test_the_listing_served_is_that_of_the_newest_complete_hand_over():
    made = desk(*DONE, NEXT)

    served = made.snapshot(Content.LISTING, CURRENT)

    assert served.data == CHAIN.at(6).listing
    assert made.snapshot(Content.DIFFERENCE, b"unknown!") is None
    assert made.snapshot(Content.DIFFERENCE, served.name) is not None


@given(st.binary(max_size=200))
def test_any_bytes_instead_of_a_signature_are_refused(body):
    assert desk(NEXT).take(body) is SignatureStatus.REFUSED


@pytest.mark.parametrize("content", [Content.DESCRIPTORS, Content.REGISTRY])
def test_what_belongs_to_others_is_not_answered(content):
    assert desk(*DONE).snapshot(content, CURRENT) is None


def test_answers_are_counted():
    made = HandOverDesk(HandOverCollector(), Listings(8), stats := HandOverStats())

    made.take(b"junk")
    made.take(signed(1))

    assert stats.signatures == {"refused": 1, "not_yet": 1}
