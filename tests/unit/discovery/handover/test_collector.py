"""Which signatures under which hand-overs a node collects."""

from dataclasses import replace

from discovery.handover.collector import MAX_INCOMPLETE, HandOverCollector
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.handover import Seat
from psp.testing.handovers import Succession
from psp.wire.directory_service import HandOverSignature, SignatureStatus

LISTS = {epoch: [1, 2, 3] if epoch % 2 else [4, 5, 6, 7] for epoch in range(4, 40)}
CHAIN = Succession(LISTS)
PARTNER = SigningKey(b"partner!" * 4)
QUARTER = 21_600
"""Handed over by [4, 5, 6, 7] of epoch 4 to [1, 2, 3]."""
BODY = CHAIN.hand_over(5, [])


def signature(key, body=BODY):
    return HandOverSignature(
        body.start, body.digest, NodeId(key.public), body.sign(key)
    )


def collecting(*bodies, partners=()):
    collector = HandOverCollector(partners)
    for body in bodies or (BODY,):
        assert collector.open(body)
    return collector


def test_signatures_of_the_list_before_and_of_trusted_nodes_are_stored():
    collector = collecting()

    statuses = [collector.take(signature(CHAIN.key(n))) for n in (4, 11, 4)]

    assert [status.name for status in statuses] == ["STORED", "STORED", "HELD"]
    assert set(collector.newest.signatures) == set(CHAIN.ids([4, 11]))


def test_two_thirds_of_the_seats_and_a_partner_complete_it():
    collector = collecting()
    states = []
    for number in (4, 5, 6, 11):
        collector.take(signature(CHAIN.key(number)))
        states.append(collector.is_complete(BODY.start))

    assert states == [False, False, False, True]
    (complete,) = collector.complete()
    assert complete.body == BODY.body
    assert len(complete.signatures) == 4


def test_a_partners_own_key_completes_it_where_the_node_knows_it():
    for partners, status in (((), "REFUSED"), ((PARTNER.public,), "STORED")):
        collector = collecting(CHAIN.hand_over(5, [4, 5, 6]), partners=partners)

        assert collector.take(signature(PARTNER)).name == status
        assert collector.is_complete(BODY.start) == (status == "STORED")


def test_the_new_list_and_strangers_have_no_say():
    collector = collecting()

    for key in (CHAIN.key(1), CHAIN.key(9), SigningKey(bytes(32))):
        assert collector.take(signature(key)) is SignatureStatus.REFUSED
    assert collector.newest.signatures == {}


def test_a_signature_that_does_not_hold_is_refused():
    bad = replace(signature(CHAIN.key(4)), signature=bytes(64))

    assert collecting().take(bad) is SignatureStatus.REFUSED


def test_another_body_is_kept_out():
    lie = replace(BODY, elected=(Seat(9, CHAIN.contracts.node_id(9)),))
    collector = collecting()

    assert collector.take(signature(CHAIN.key(4), lie)) is SignatureStatus.DIFFERENT
    assert not collector.open(lie)
    assert collector.merge([CHAIN.signed(lie, [4, 5, 6, 11])]) == 0
    assert collector.newest == BODY


def test_a_period_that_this_node_has_not_seen_begin_is_not_yet_or_over():
    collector = collecting()
    later, earlier = CHAIN.hand_over(6, []), CHAIN.hand_over(4, [])

    assert collector.take(signature(CHAIN.key(4), later)).name == "NOT_YET"
    assert collector.take(signature(CHAIN.key(4), earlier)).name == "OVER"
    assert HandOverCollector().take(signature(CHAIN.key(4))).name == "NOT_YET"


def test_a_node_signs_what_it_has_made_itself_if_it_has_a_say():
    collector = collecting()

    own = collector.sign(BODY.start, CHAIN.key(4))

    assert own == signature(CHAIN.key(4))
    assert collector.sign(BODY.start, CHAIN.key(4)) == own
    assert collector.sign(BODY.start, CHAIN.key(12)) is not None
    assert collector.sign(BODY.start, CHAIN.key(1)) is None
    assert collector.sign(CHAIN.start(6), CHAIN.key(4)) is None


def test_who_was_trusted_before_may_still_sign():
    chain = Succession(LISTS)
    first = chain.hand_over(4, [])
    chain.contracts.trust([10])
    second = chain.hand_over(5, [4, 5, 6])
    knowing, unknowing = collecting(first, second), collecting(second)

    for collector, status in ((knowing, "STORED"), (unknowing, "REFUSED")):
        assert collector.take(signature(chain.key(11), second)).name == status


def test_what_another_node_has_collected_is_merged():
    collector = collecting(CHAIN.hand_over(5, [4]))
    others = [CHAIN.hand_over(4, [1]), CHAIN.hand_over(5, [4, 5, 6, 11, 1])]

    assert collector.merge(others) == 3
    assert collector.merge(others) == 0
    assert collector.is_complete(BODY.start)


def test_readers_get_every_opening_and_the_newest():
    bodies = [CHAIN.hand_over(epoch, [*(LISTS[epoch - 1]), 11]) for epoch in (5, 6, 7)]
    inner = [CHAIN.hand_over(7, [*LISTS[7], 11], k * QUARTER) for k in (1, 2, 3)]
    collector = collecting(*bodies, *inner)

    assert collector.complete() == [*bodies, inner[-1]]


def test_sixteen_openings_are_kept_and_some_that_are_not_complete():
    bodies = [
        CHAIN.hand_over(epoch, [*(LISTS[epoch - 1]), 11]) for epoch in range(5, 25)
    ]
    incomplete = [CHAIN.hand_over(epoch, []) for epoch in range(25, 31)]
    collector = collecting(*bodies, *incomplete)

    assert collector.complete() == bodies[4:]
    assert collector.held() == [*bodies[4:], *incomplete[-MAX_INCOMPLETE:]]
    assert collector.newest == incomplete[-1]


def test_one_that_is_late_is_completed_all_the_same():
    late, newer = CHAIN.hand_over(5, []), CHAIN.hand_over(6, [1, 2, 3, 11])
    collector = collecting(late, newer)

    collector.merge([CHAIN.hand_over(5, [4, 5, 6, 12])])

    assert [hand_over.epoch for hand_over in collector.complete()] == [5, 6]


def test_the_first_list_of_all_is_never_complete():
    first = CHAIN.hand_over(4, [1, 2, 3, 4, 5, 6, 7, 11])

    assert not collecting(first).is_complete(first.start)
