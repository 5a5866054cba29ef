"""Shares: counted rightly, even for bringers, and nothing published ever gives way."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence.shares import Shares
from psp.ids import NodeId

ALICE, BOB = NodeId(b"a" * 32), NodeId(b"b" * 32)
X, Y, Z = (NodeId(bytes([n]) * 32) for n in b"xyz")


def key(number):
    return number.to_bytes(20), number % 3


def filled(*brought):
    """Return shares with the records of (publisher, bringer), numbered."""
    shares = Shares()
    for number, (publisher, bringer) in enumerate(brought):
        shares.add(key(number), publisher, bringer)
    return shares


def test_what_publishers_brought_never_gives_way():
    shares = filled((ALICE, None), (BOB, None), (BOB, None))

    for bringer in (None, X):
        for publisher in (None, ALICE, BOB):
            assert shares.to_displace(bringer, publisher) is None
    assert (len(shares), shares.of(ALICE), shares.of(BOB)) == (3, 1, 2)


def test_publisher_displaces_what_was_brought_in_its_name_the_oldest_first():
    shares = filled((ALICE, None), (BOB, X), (ALICE, X), (ALICE, X))

    assert shares.to_displace(None, ALICE) == key(2)
    assert shares.to_displace(None, BOB) == key(1)
    shares.remove(key(2), ALICE, X)
    assert shares.to_displace(None, ALICE) == key(3)


def test_room_is_taken_from_the_bringer_with_the_most():
    shares = filled((ALICE, X), (ALICE, Y), (BOB, Y), (BOB, Y))

    assert shares.to_displace(None) == key(1)
    assert shares.to_displace(Z) == key(1)
    assert shares.to_displace(X) == key(1)
    assert shares.to_displace(Y) is None


def test_bringer_takes_no_more_than_an_even_share():
    # X holds one of Alice's and Y two: one more for X would only turn them round.
    shares = filled((ALICE, X), (ALICE, Y), (ALICE, Y))

    assert shares.to_displace(X, ALICE) is None
    shares.add(key(9), ALICE, Y)
    assert shares.to_displace(X, ALICE) == key(1)


@pytest.mark.parametrize("honest", [1, 7])
def test_liar_who_came_first_keeps_one_share(honest):
    # 60 places in Alice's name, all filled by X; others bring 100 each, by turns.
    shares = filled(*[(ALICE, X)] * 60)
    held = {key(n): X for n in range(60)}
    number = 1_000
    for _ in range(100):
        for which in range(honest):
            bringer = NodeId(bytes([which]) * 32)
            victim = shares.to_displace(bringer, ALICE)
            if victim is not None:
                shares.remove(victim, ALICE, held.pop(victim))
                shares.add(key(number), ALICE, bringer)
                held[key(number)] = bringer
                number += 1

    share = 60 / (honest + 1)
    assert Counter(held.values())[X] <= share + 1
    assert len(shares) == 60


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ALICE, BOB]), st.sampled_from([None, X, Y]), st.booleans()
        ),
        max_size=40,
    )
)
def test_counts_agree_with_a_slow_judge(moves):
    shares = Shares()
    held = {}
    for number, (publisher, bringer, is_removal) in enumerate(moves):
        if is_removal and held:
            victim = next(iter(held))
            shares.remove(victim, *held.pop(victim))
        else:
            shares.add(key(number), publisher, bringer)
            held[key(number)] = (publisher, bringer)

        assert len(shares) == len(held)
        for each in (ALICE, BOB):
            assert shares.of(each) == sum(p == each for p, _ in held.values())
            brought = [k for k, (p, b) in held.items() if p == each and b is not None]
            victim = shares.to_displace(None, each)
            assert (victim in brought) if brought else victim is None


def test_whoever_published_or_brought_something_is_known_while_it_counts():
    shares = Shares()
    publisher, bringer = NodeId(b"p" * 32), NodeId(b"b" * 32)
    shares.add((b"l" * 20, 0), publisher, bringer)
    assert publisher in shares
    assert bringer in shares

    shares.remove((b"l" * 20, 0), publisher, bringer)
    assert publisher not in shares
    assert bringer not in shares
