"""What a look-up comes to (presence/dht/findings.py)."""

from presence.dht.findings import LookupResult, Votes, merge
from psp.crypto.keys import SigningKey
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import NOON, PresenceUser, checked

RELAY = SigningKey.generate(SeededEntropy("relay"))


def records(*slots):
    user = PresenceUser(SeededEntropy(1))
    return [checked(user.agreed_record(RELAY, NOON, slot=slot)) for slot in slots]


def result(record, *further, holders=1):
    everything = (record, *further) if record else ()
    return LookupResult(record, holders, 3, 4, ("form",), records=everything)


def test_the_newest_of_each_slot_is_found_by_its_number():
    old, new = records(0, 2)
    found = result(new, old)

    assert found.of_slot(0) is old
    assert found.of_slot(1) is None
    assert found.sequence(2) == new.head.sequence
    assert found.sequence(1) == 0


def test_paths_together_have_the_newest_of_all_and_count_its_holders():
    old, new, other = records(0, 0, 1)
    whole = merge(
        [
            result(old, holders=5),
            result(new, holders=2),
            result(new, other),
            result(None),
        ]
    )

    assert whole.record.head.sequence == max(new.head.sequence, other.head.sequence)
    assert {each.head.slot for each in whole.records} == {0, 1}
    assert whole.of_slot(0) is new
    assert (whole.answered, whole.asked, whole.bad) == (12, 16, ("form",) * 4)
    only = result(old)
    assert merge([only]) is only


def test_votes_count_for_the_newest():
    old, new = records(0, 0)
    votes = Votes()
    assert (votes.newest(), votes.count()) == (None, 0)

    for voter in (b"a", b"b"):
        votes.add(old, voter)
    votes.add(new, b"c")
    votes.add(new, b"c")

    assert (votes.newest(), votes.count()) == (new, 1)
