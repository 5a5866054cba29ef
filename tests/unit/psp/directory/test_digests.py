"""What several sources list by digest, and who is asked for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.directory.digests import (
    MIN_WHOLE,
    Gathering,
    element_digest,
    split_digests,
)
from psp.errors import DecodeError

ELEMENTS = [b"element %d" % number for number in range(200)]
DIGESTS = [element_digest(element) for element in ELEMENTS]
ALL = A, B, C = tuple(bytes([number]) * 32 for number in (1, 2, 3))


def gathering(held=(), **lists):
    started = Gathering()
    started.hold(held)
    for source, digests in lists.items():
        started.add_source({"a": A, "b": B, "c": C}[source], digests)
    return started


def test_digests_are_eight_bytes_that_tell_elements_apart():
    assert {len(digest) for digest in DIGESTS} == {8}
    assert len(set(DIGESTS)) == 200


def test_a_list_of_digests_is_split():
    assert split_digests(b"".join(DIGESTS), 200) == tuple(DIGESTS)
    assert split_digests(b"", 0) == ()


@pytest.mark.parametrize(
    "data", [bytes(7), b"".join(DIGESTS[:5]), DIGESTS[0] * 2], ids=["cut", "5", "twice"]
)
def test_a_bad_list_is_refused(data):
    with pytest.raises(DecodeError):
        split_digests(data, 4)


@given(st.binary(max_size=100))
def test_any_bytes_give_a_list_or_decode_error(data):
    try:
        digests = split_digests(data, 10)
    except DecodeError:
        return
    assert b"".join(digests) == data


def test_what_is_held_is_not_asked_for():
    plan = gathering(ELEMENTS[:3], a=DIGESTS[:5]).plan(ALL)

    assert plan.whole is None
    assert plan.elements == {A: DIGESTS[3:5]}


def test_what_was_delivered_is_told_from_what_was_held():
    started = gathering(ELEMENTS[:3], a=DIGESTS[:5])

    started.take(A, ELEMENTS[3:5])

    assert started.fetched() == dict(zip(DIGESTS[3:5], ELEMENTS[3:5], strict=True))
    assert set(started.listed(A)) == set(DIGESTS[:5])
    assert set(started.listed(B)) == set()


def test_nothing_missing_is_nothing_to_do():
    assert not gathering(ELEMENTS, a=DIGESTS, b=DIGESTS[:7]).plan(ALL)
    assert not gathering(a=(), b=()).plan(ALL)
    assert not Gathering().plan(ALL)


def test_sources_share_what_they_have_in_common():
    plan = gathering(a=DIGESTS[:30], b=DIGESTS[:30], c=DIGESTS[:30]).plan(ALL)

    assert [len(plan.elements[source]) for source in (A, B, C)] == [10, 10, 10]
    asked = [digest for share in plan.elements.values() for digest in share]
    assert sorted(asked) == sorted(DIGESTS[:30])


def test_what_one_did_not_deliver_is_asked_of_the_next_and_then_given_up():
    started = gathering(a=DIGESTS[:1], b=DIGESTS[:1])
    asked = []
    while plan := started.plan(ALL):
        (source,) = plan.elements
        asked.append(source)
        started.lose(source, plan.elements[source])

    assert asked == [A, B]
    assert started.known(A) == []


def test_what_somebody_delivered_counts_for_all_who_list_it():
    started = gathering(a=DIGESTS[:4], b=DIGESTS[2:6])

    started.take(B, ELEMENTS[2:6])

    assert started.known(A) == ELEMENTS[2:4]
    assert started.known(B) == ELEMENTS[2:6]


def test_when_nearly_all_is_missing_one_source_is_asked_for_all_of_it():
    started = gathering(
        a=DIGESTS[:80], b=DIGESTS[:100], c=[*DIGESTS[:3], *DIGESTS[150:]]
    )

    plan = started.plan(ALL)

    assert plan.whole == B
    assert plan.elements == {C: DIGESTS[150:]}


def test_a_small_or_known_list_is_not_fetched_whole():
    assert gathering(a=DIGESTS[: MIN_WHOLE - 1]).plan(ALL).whole is None
    assert gathering(a=DIGESTS[:MIN_WHOLE]).plan(ALL).whole == A
    assert gathering(ELEMENTS[:25], a=DIGESTS).plan(ALL).whole is None
    assert gathering(ELEMENTS[:24], a=DIGESTS).plan(ALL).whole == A


def test_a_listing_that_cannot_be_fetched_is_asked_for_in_elements():
    started = gathering(a=DIGESTS)

    started.lose_whole(A)

    assert started.plan(ALL).whole is None
    assert started.plan(ALL).elements == {A: DIGESTS}


def test_a_whole_listing_replaces_the_list_it_is_newer_than():
    started = gathering(a=DIGESTS[:100], b=DIGESTS[:5])

    started.take_whole(A, ELEMENTS[1:101])

    assert started.known(A) == ELEMENTS[1:101]
    assert started.known(B) == ELEMENTS[1:5]
    assert started.plan(ALL).elements == {B: DIGESTS[:1]}


def test_whoever_lists_much_that_it_does_not_deliver_is_hollow():
    started = gathering(a=DIGESTS[:80], b=DIGESTS[:80])

    started.lose(A, DIGESTS[:2])
    started.take(B, ELEMENTS[:71])
    started.lose(B, DIGESTS[71:80])

    assert started.is_hollow(A)
    assert not started.is_hollow(B)
    started.lose(B, DIGESTS[60:71])
    assert started.is_hollow(B)


def test_one_that_has_just_expired_makes_nobody_hollow():
    started = gathering(a=DIGESTS[:8])

    started.lose(A, DIGESTS[:1])

    assert not started.is_hollow(A)


def test_losing_the_same_twice_counts_once():
    started = gathering(a=DIGESTS[:8])

    for _ in range(3):
        started.lose(A, DIGESTS[:1])

    assert not started.is_hollow(A)


def test_a_source_that_is_forgotten_or_was_never_heard_lists_nothing():
    started = gathering(ELEMENTS, a=DIGESTS[:8])

    started.forget(A)

    assert started.known(A) == started.known(B) == []
    assert not started.is_hollow(A)
    assert not started.is_hollow(B)


def test_only_those_who_can_be_asked_are_asked():
    started = gathering(a=DIGESTS, b=DIGESTS[:5])

    assert started.plan((B,)).elements == {B: DIGESTS[:5]}
    assert started.plan((B,)).whole is None
    assert not started.plan((C,))


def test_a_plan_names_everybody_once():
    plan = gathering(a=DIGESTS, b=DIGESTS[:5], c=[b"other xx"]).plan(ALL)

    assert plan.sources == (A, C)
