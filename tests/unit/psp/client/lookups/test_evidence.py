"""What answers prove (psp/client/lookups/evidence.py)."""

from dataclasses import replace
from math import comb, perm

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.client.errors import ClockError
from psp.client.lookups.evidence import Evidence, voices_wanted
from psp.client.lookups.replicas import Replicas
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.presence_record import sequence_of
from psp.netdoc.voice import Question, Voice
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import NOON, TEST_NETWORK, PresenceUser, checked, random_value
from psp.wire.lookup import ANY_SLOT, Found, FoundState

RELAY = SigningKey.generate(SeededEntropy("relay"))
KEYS = [SigningKey.generate(SeededEntropy(f"node {n}")) for n in range(12)]
GATES = [NodeId(bytes([n]) * 32) for n in range(5)]
ALICE = PresenceUser(SeededEntropy("alice"))
OLD, NEW = (ALICE.agreed_record(RELAY, NOON - age) for age in (600, 90))
WHERE = checked(NEW).location


def node(key):
    return NodeId(key.public)


def short(keys):
    return {node(key)[:8]: node(key) for key in keys}


def evidence(elected=KEYS[:8], retiring=()):
    return Evidence({WHERE: Replicas(short(elected), short(retiring))}, random_value)


def voices(keys, question, *says, now=NOON):
    sequences = (*says, 0, 0, 0, 0)[:4]
    return tuple(Voice.of(key, question, now, sequences).encode() for key in keys)


def tell(known, gateway, record, keys, *says, slot=ANY_SLOT, now=NOON):
    """Let a gateway give a record and the voices of some nodes that claim ``says``."""
    nonce = bytes([GATES.index(gateway)]) * 16
    question = Question(TEST_NETWORK, WHERE, nonce)
    state = FoundState.RECORD if record else FoundState.NO_RECORD
    found = Found(state, record or b"", voices(keys, question, *says, now=now))
    known.add(gateway, question, slot, found, NOON)


def test_five_of_eight_voices_through_two_gateways_are_enough_and_four_are_not():
    known = evidence()
    tell(known, GATES[0], NEW, KEYS[:4], sequence_of(NEW))
    tell(known, GATES[1], NEW, KEYS[:3], sequence_of(NEW))
    assert not known.is_sure()

    tell(known, GATES[1], NEW, KEYS[4:5], sequence_of(NEW))
    assert known.is_sure()
    assert not known.is_absent()


def test_four_are_enough_through_four():
    known = evidence()
    for gateway in GATES[:4]:
        assert not known.is_sure()
        tell(known, gateway, NEW, KEYS[:4], sequence_of(NEW))

    assert known.is_sure()


def test_voices_that_hold_something_older_do_and_newer_do_not_count():
    known = evidence()
    tell(known, GATES[0], OLD, KEYS[:3], sequence_of(OLD))
    tell(known, GATES[1], OLD, KEYS[3:6], sequence_of(NEW))
    assert not known.is_sure()

    tell(known, GATES[2], NEW, KEYS[6:], sequence_of(NEW))
    assert known.is_sure()


def test_voices_of_strangers_and_forged_ones_do_not_count():
    known = evidence()
    tell(known, GATES[0], NEW, KEYS[8:], sequence_of(NEW))
    assert not known.is_sure()
    assert known.bad_gateways(NOON) == []

    question = Question(TEST_NETWORK, WHERE, bytes(16))
    forged = tuple(
        voice[:-1] + bytes([voice[-1] ^ 1])
        for voice in voices(KEYS[:6], question, sequence_of(NEW))
    )
    known.add(GATES[0], question, 0, Found(FoundState.RECORD, NEW, forged), NOON)
    assert not known.is_sure()
    assert known.bad_gateways(NOON) == [GATES[0]]


def test_voices_for_another_nonce_do_not_count():
    known, asked = evidence(), Question(TEST_NETWORK, WHERE, b"n" * 16)
    replayed = voices(KEYS[:6], replace(asked, nonce=b"o" * 16))

    known.add(
        GATES[0], asked, ANY_SLOT, Found(FoundState.NO_RECORD, b"", replayed), NOON
    )

    assert not known.is_absent()


def test_one_voice_counts_once_and_by_the_most_it_ever_claimed():
    known = evidence()
    for gateway in GATES[:2]:
        tell(known, gateway, None, KEYS[:6])
    assert known.is_absent()

    tell(known, GATES[2], None, KEYS[:2], sequence_of(NEW))
    tell(known, GATES[3], None, KEYS[:2])
    assert not known.is_absent()


def test_absence_takes_five_voices_however_many_gateways_answer():
    known = evidence()
    for gateway in GATES:
        tell(known, gateway, None, KEYS[:4])
    assert known.is_sure()
    assert not known.is_absent()

    tell(known, GATES[4], None, KEYS[4:5])
    assert known.is_absent()


def test_a_status_alone_is_still_absence():
    known = evidence()
    for gateway in GATES[:2]:
        tell(known, gateway, None, KEYS[:6], 0, 0, 0, 7)

    assert known.is_absent()


def test_without_any_member_nothing_is_sure():
    known = evidence(elected=())
    tell(known, GATES[0], NEW, KEYS[:8][:6], sequence_of(NEW))

    assert not known.is_sure()
    assert not known.is_absent()


def test_while_an_election_is_fresh_three_of_either_kind_must_speak():
    known = evidence(KEYS[:6], KEYS[6:])
    tell(known, GATES[0], None, KEYS[:6])
    assert not known.is_absent()

    tell(known, GATES[1], None, KEYS[6:9])
    assert known.is_absent()


@pytest.mark.parametrize("age", [0, 30])
def test_whoever_lacks_what_is_fresh_is_not_blamed(age):
    known = evidence()
    fresh = ALICE.agreed_record(RELAY, NOON - age)
    tell(known, GATES[0], fresh, KEYS[:6], sequence_of(fresh))
    tell(known, GATES[1], None, KEYS[:6])

    assert known.bad_gateways(NOON) == []


def test_whoever_lacks_what_is_a_minute_old_is_blamed():
    known = evidence()
    tell(known, GATES[0], NEW, KEYS[:6], sequence_of(NEW))
    tell(known, GATES[1], None, KEYS[:6])
    tell(known, GATES[2], OLD, KEYS[:6], sequence_of(OLD))
    tell(known, GATES[3], NEW, KEYS[:2], sequence_of(NEW))

    assert known.bad_gateways(NOON) == GATES[1:4]


def test_what_counts_now_is_told_from_what_is_merely_genuine():
    known = evidence()
    assert not known.is_somewhere(NOON, {})
    tell(known, GATES[0], OLD, KEYS[:6], sequence_of(OLD))

    assert known.is_somewhere(NOON, {})
    assert known.is_somewhere(NOON, {0: sequence_of(OLD)})
    assert not known.is_somewhere(NOON, {0: sequence_of(OLD) + 1})
    assert not known.is_somewhere(NOON + 1_200, {})
    assert not known.is_somewhere(NOON - 600 - 121, {})
    assert known.has_slot(0)
    assert not known.has_slot(1, 3)


def test_junk_is_blamed_and_not_kept():
    known = evidence()
    tell(known, GATES[0], b"?" * 450, ())

    assert known.records == []
    assert known.bad_gateways(NOON) == [GATES[0]]


def test_a_record_long_ended_denies_nothing():
    known = evidence()
    ancient = ALICE.agreed_record(RELAY, NOON - 1_800 - 240)
    tell(known, GATES[0], ancient, KEYS[:6])

    assert known.is_absent()


def test_clocks_are_compared_once_for_each_node():
    known = evidence()
    for gateway in GATES:
        tell(known, gateway, None, KEYS[:3], now=NOON + 500)
    known.check_clock()

    tell(known, GATES[0], None, KEYS[3:4], now=NOON + 500)
    with pytest.raises(ClockError):
        known.check_clock()


@pytest.mark.parametrize(
    ("members", "three", "four"),
    [(1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 3, 2), (5, 4, 3), (6, 5, 3), (8, 5, 4)],
)
def test_how_many_voices_it_takes(members, three, four):
    assert voices_wanted(members, 1) == voices_wanted(members, 3) == three
    assert voices_wanted(members, 4) == voices_wanted(members, 5) == four


def deceived(nodes, malicious):
    """Return how likely we believe an older record, or none.

    All gateways that answered before we were sure must be malicious, and so many of the
    nearest eight that we count enough voices; or all five are, as then nobody says more.
    """

    def near(least):
        return sum(
            comb(malicious, n) * comb(nodes - malicious, 8 - n) / comb(nodes, 8)
            for n in range(least, 9)
        )

    def gateways(count):
        return perm(malicious, count) / perm(nodes, count)

    many, few = voices_wanted(8, 2), voices_wanted(8, 4)
    return (
        gateways(2) * near(many)
        + gateways(4) * (near(few) - near(many))
        + gateways(5) * (1 - near(few))
    )


@pytest.mark.parametrize(
    ("nodes", "malicious"), [(32, 6), (32, 7), (100, 20), (1_000, 200)]
)
def test_a_fifth_of_malicious_nodes_deceive_us_less_than_once_in_a_thousand(
    nodes, malicious
):
    assert 0 < deceived(nodes, malicious) < 0.001


@settings(max_examples=150)
@given(st.data())
def test_any_answer_is_taken_in(data):
    known = evidence()
    question = Question(TEST_NETWORK, WHERE, bytes(16))
    genuine = voices(KEYS[:2], question, sequence_of(NEW))
    voice = st.one_of(
        st.binary(min_size=108, max_size=108),
        st.sampled_from(genuine),
        st.builds(lambda cut: genuine[0][:cut] + bytes(108 - cut), st.integers(0, 107)),
    )
    record = st.sampled_from([NEW, OLD]) | st.binary(min_size=450, max_size=450)
    for gateway in GATES[:2]:
        found = Found(
            FoundState.RECORD,
            data.draw(record),
            tuple(data.draw(st.lists(voice, max_size=6))),
        )
        known.add(gateway, question, ANY_SLOT, found, NOON)

    assert not known.is_sure()
    known.bad_gateways(NOON)
    known.check_clock()
