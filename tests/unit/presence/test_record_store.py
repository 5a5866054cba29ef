"""The store: only checked records, only newer ones, only as many, only while they live."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence.config import StoreConfig
from presence.record_store import RecordStore, StoreRefusal
from psp.crypto.blinding import Credential, blind_public
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.presence_record import (
    OuterRecord,
    RecordRefusedError,
    Refusal,
    location,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import NOON, PresenceUser, checked, random_value

RELAY = SigningKey.generate(SeededEntropy("relay"))
PUBLISHER = NodeId(RELAY.public)


def new_store(**limits):
    return RecordStore(StoreConfig(**limits), checked)


def user(seed=1, **options):
    return PresenceUser(SeededEntropy(seed), **options)


def put(store, raw, *, publisher=PUBLISHER, now=NOON, bringer=None):
    where = checked(raw, now=now).location
    return store.put(where, raw, publisher, now, bringer=bringer)


def test_record_is_kept_and_given_back_by_slot():
    store, alice = new_store(), user()
    first = alice.agreed_record(RELAY, NOON, slot=0)
    second = alice.agreed_record(RELAY, NOON, slot=1)
    where = checked(first).location

    assert put(store, first) is None
    assert put(store, second) is None

    assert len(store) == 2
    assert store.newest(where, 0, NOON).raw == first
    assert store.newest(where, 1, NOON).raw == second
    assert store.newest(where, None, NOON).raw == second
    assert store.newest(where, 2, NOON) is None
    assert store.newest(bytes(20), None, NOON) is None
    assert [outer.raw for outer in store.held(where, NOON)] == [second, first]


def test_only_a_higher_sequence_replaces():
    store, alice = new_store(), user()
    old, new = (alice.agreed_record(RELAY, NOON) for _ in range(2))
    where = checked(old).location

    assert put(store, new) is None
    assert put(store, old) is StoreRefusal.OLD
    assert put(store, new) is None

    assert store.newest(where, 0, NOON).raw == new
    assert len(store) == 1


def test_replay_after_the_end_brings_nothing_back():
    store, alice = new_store(), user()
    raw = alice.agreed_record(RELAY, NOON)
    where = checked(raw).location
    put(store, raw)

    late = NOON + 1_800

    assert store.put(where, raw, PUBLISHER, late) is Refusal.EXPIRED
    assert store.newest(where, None, late) is None
    assert store.held(where, late) == []
    store.sweep(late)
    assert len(store) == 0
    assert store.raw_records() == []


def test_nobody_overwrites_another_users_location():
    store, alice, mallory = new_store(), user(1), user(2)
    mine = alice.agreed_record(RELAY, NOON)
    where = checked(mine).location
    put(store, mine)
    mallory.sequence = alice.sequence + 1_000

    theirs = mallory.agreed_record(RELAY, NOON)

    assert store.put(where, theirs, PUBLISHER, NOON) is Refusal.LOCATION
    assert store.newest(where, None, NOON).raw == mine


def test_forged_renewal_is_refused_although_its_certificate_is_known():
    store, alice = new_store(), user()
    mine = alice.agreed_record(RELAY, NOON)
    where = checked(mine).location
    put(store, mine)
    newer = mine[:134] + (NOON * 1_000 + 1).to_bytes(8) + mine[142:]

    assert store.put(where, newer, PUBLISHER, NOON) is Refusal.SIGNATURE
    assert store.newest(where, None, NOON).raw == mine


@pytest.mark.parametrize("size", [0, 1, 449, 451, 60_000])
def test_other_sizes_are_refused_unread(size):
    assert new_store().put(bytes(20), bytes(size), PUBLISHER, NOON) is Refusal.SIZE


@settings(max_examples=50)
@given(st.binary(max_size=40), st.binary(min_size=450, max_size=450))
def test_any_bytes_at_any_place_leave_nothing(where, raw):
    store = new_store()

    assert store.put(where, raw, PUBLISHER, NOON) is not None
    assert len(store) == 0


def test_publisher_that_holds_its_share_is_refused_but_may_renew():
    store = new_store(max_per_publisher=2)
    people = [user(seed) for seed in range(3)]
    for person in people[:2]:
        put(store, person.agreed_record(RELAY, NOON))

    refused = put(store, people[2].agreed_record(RELAY, NOON))

    assert refused is StoreRefusal.QUOTA
    assert put(store, people[0].agreed_record(RELAY, NOON)) is None
    other = b"o" * 32
    assert put(store, people[2].agreed_record(RELAY, NOON), publisher=other) is None
    assert len(store) == 3


def test_record_that_moves_to_another_publisher_counts_there():
    store, alice = new_store(max_per_publisher=1), user()
    put(store, alice.agreed_record(RELAY, NOON))

    assert put(store, alice.agreed_record(RELAY, NOON), publisher=b"o" * 32) is None
    assert put(store, user(2).agreed_record(RELAY, NOON)) is None
    assert len(store) == 2


def test_full_store_refuses_newcomers_and_renews_residents():
    store = new_store(max_records=2)
    people = [user(seed) for seed in range(3)]
    for person in people[:2]:
        put(store, person.agreed_record(RELAY, NOON))

    assert put(store, people[2].agreed_record(RELAY, NOON)) is StoreRefusal.FULL
    assert put(store, people[1].agreed_record(RELAY, NOON)) is None
    newest = people[1].agreed_record(RELAY, NOON, slot=2)
    assert put(store, newest) is StoreRefusal.FULL


def test_full_store_makes_room_by_what_has_ended():
    store = new_store(max_records=1, sweep_interval=10_000)
    put(store, user(1).agreed_record(RELAY, NOON, lifetime=60))

    later = NOON + 61
    raw = user(2).agreed_record(RELAY, later)

    assert put(store, raw, now=later) is None
    assert store.raw_records() == [raw]


def test_twenty_thousand_junk_records_leave_the_store_at_its_bound():
    # Stock kademlia keeps them all. Parsing is stubbed: even *valid* records stop.
    template = checked(user().agreed_record(RELAY, NOON))

    def accept(raw, where, now, certified):
        return type(template)(template.head, where, raw)

    store = RecordStore(StoreConfig(max_records=100, max_per_publisher=60), accept)
    for i in range(20_000):
        raw = template.raw[:-2] + (i % 65_536).to_bytes(2)
        store.put(i.to_bytes(20), raw, NodeId(bytes([i % 3]) * 32), NOON)

    assert len(store) == 100


def test_refused_parse_leaves_what_was_held():
    alice = user()
    mine = alice.agreed_record(RELAY, NOON)
    template = checked(mine)
    verdicts = [template]

    def parse_once(raw, where, now, certified):
        if not verdicts:
            raise RecordRefusedError(Refusal.CERTIFICATE)
        return verdicts.pop()

    store = RecordStore(StoreConfig(), parse_once)
    store.put(template.location, mine, PUBLISHER, NOON)
    newer = alice.agreed_record(RELAY, NOON)

    refusal = store.put(template.location, newer, PUBLISHER, NOON)

    assert refusal is Refusal.CERTIFICATE
    assert store.raw_records() == [mine]


def test_scan_of_a_whole_store_finds_no_contacts_only_user():
    # R-PRE-4: with every registry key at hand, and every record.
    people = [user(seed) for seed in range(12)]
    public = [user(seed, is_public=True) for seed in range(100, 103)]
    store = new_store()
    for person in people + public:
        for slot in range(3):
            assert put(store, person.agreed_record(RELAY, NOON, slot=slot)) is None
    held = store.raw_records()

    registry = [person.user_id for person in people + public]
    blinded = {checked(raw).head.blinded for raw in held}
    found = {
        each
        for each in registry
        if blind_public(Credential.derive(each), 20_000) in blinded
    }

    assert found == {person.user_id for person in public}
    assert not any(person.user_id in raw for person in people for raw in held)
    assert not any(RELAY.public in raw for raw in held)
    guessed = blind_public(people[0].credential, 20_000)
    assert location(guessed, 20_000, random_value(20_000)) in {
        checked(raw).location for raw in held
    }


class TestHandedOver:
    """Records that a retiring node brought in the name of their publisher."""

    BRINGER, OTHER = NodeId(b"x" * 32), NodeId(b"y" * 32)

    def test_it_counts_for_its_publisher(self):
        store = new_store(max_per_publisher=2)
        records = [user(seed).agreed_record(RELAY, NOON) for seed in range(3)]

        taken = [put(store, raw, bringer=self.BRINGER) for raw in records]

        assert taken == [None, None, StoreRefusal.QUOTA]
        (held,) = store.held(checked(records[0]).location, NOON)
        assert (held.publisher, held.bringer) == (PUBLISHER, self.BRINGER)

    def test_bringer_has_no_limit_of_its_own(self):
        store = new_store(max_per_publisher=1)
        records = [user(seed).agreed_record(RELAY, NOON) for seed in range(3)]

        for number, raw in enumerate(records):
            publisher = NodeId(bytes([number]) * 32)
            assert put(store, raw, publisher=publisher, bringer=self.BRINGER) is None

        assert len(store) == 3

    def test_publisher_at_its_limit_displaces_what_came_in_its_name(self):
        store = new_store(max_per_publisher=2)
        records = [user(seed).agreed_record(RELAY, NOON) for seed in range(4)]
        for raw in records[:2]:
            put(store, raw, bringer=self.BRINGER)

        assert [put(store, raw) for raw in records[2:]] == [None, None]
        assert sorted(store.raw_records()) == sorted(records[2:])
        assert put(store, records[0]) is StoreRefusal.QUOTA
        assert put(store, records[0], bringer=self.BRINGER) is StoreRefusal.QUOTA

    def test_publishers_of_a_full_store_displace_what_was_handed_over(self):
        store = new_store(max_records=2)
        records = [user(seed).agreed_record(RELAY, NOON) for seed in range(5)]
        other = NodeId(b"o" * 32)
        for raw in records[:2]:
            put(store, raw, publisher=other, bringer=self.BRINGER)

        assert [put(store, raw) for raw in records[2:4]] == [None, None]
        assert put(store, records[4]) is StoreRefusal.FULL
        assert sorted(store.raw_records()) == sorted(records[2:4])

    def test_full_store_is_shared_evenly_by_those_who_hand_over(self):
        store = new_store(max_records=4)
        records = [user(seed).agreed_record(RELAY, NOON) for seed in range(9)]
        for raw in records[:4]:
            put(store, raw, bringer=self.BRINGER)

        taken = [put(store, raw, bringer=self.OTHER) for raw in records[4:]]

        assert taken == [None, None, *[StoreRefusal.FULL] * 3]
        assert set(store.raw_records()) == {*records[2:4], *records[4:6]}

    def test_places_with_several_slots_are_cleared_before_one_is_taken(self):
        store = new_store(max_records=1)
        alice = user(1)
        for slot in range(3):
            raw = alice.agreed_record(RELAY, NOON, slot=slot)
            put(store, raw, bringer=self.BRINGER)
        new = user(2).agreed_record(RELAY, NOON)

        assert put(store, new) is None
        assert store.raw_records() == [new]

    def test_nothing_bad_displaces_anything(self):
        store = new_store(max_records=1)
        held = user(1).agreed_record(RELAY, NOON)
        put(store, held, bringer=self.BRINGER)
        good = user(2).agreed_record(RELAY, NOON)
        forged = good[:-1] + bytes([good[-1] ^ 1])

        refusal = store.put(checked(good).location, forged, PUBLISHER, NOON)

        assert refusal is Refusal.SIGNATURE
        assert store.raw_records() == [held]

    def test_its_publisher_renews_it_as_its_own(self):
        store, alice = new_store(max_per_publisher=1), user()
        old, new = (alice.agreed_record(RELAY, NOON) for _ in range(2))
        put(store, old, bringer=self.BRINGER)

        assert put(store, new) is None
        (held,) = store.held(checked(new).location, NOON)
        assert held.bringer is None
        assert put(store, old, bringer=self.OTHER) is StoreRefusal.OLD

    def test_what_publishers_brought_is_listed_first(self):
        store = new_store()
        records = [user(seed).agreed_record(RELAY, NOON) for seed in range(4)]
        for number, raw in enumerate(records):
            put(store, raw, bringer=None if number % 2 else self.BRINGER)
        places = [checked(raw).location for raw in records]

        assert store.locations() == [places[1], places[3], places[0], places[2]]

    def test_expired_records_are_not_handed_on(self):
        store = new_store(sweep_interval=10_000)
        raw = user().agreed_record(RELAY, NOON, lifetime=60)
        put(store, raw)
        where = checked(raw).location

        assert [held.raw for held in store.held(where, NOON + 59)] == [raw]
        assert store.held(where, NOON + 60) == []

    def test_cleared_store_is_as_new(self):
        store = new_store(max_records=1, max_per_publisher=1)
        put(store, user(1).agreed_record(RELAY, NOON))

        store.clear()

        assert len(store) == 0
        assert store.locations() == []
        assert put(store, user(2).agreed_record(RELAY, NOON)) is None


class TestJudgedByASlowStore:
    @settings(max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.integers(0, 2),
                st.integers(1, 6),
                st.integers(0, 900),
            ),
            max_size=25,
        )
    )
    def test_never_older_never_ended(self, moves):
        store = new_store()
        people = [user(seed) for seed in range(3)]
        newest_by: dict[tuple[bytes, int], OuterRecord] = {}
        now = NOON
        for who, slot, sequence, pause in moves:
            now += pause
            person = people[who]
            person.sequence = int(now - 3) * 1_000 + sequence - 1
            day = person.day_key(20_000)
            head = person.head(day, 0.0, slot=slot)
            head = type(head).under(day, slot, person.sequence, int(now), 1_800)
            raw = person.record(head, person.place(PUBLISHER), bytes(64), day)
            outer = checked(raw, now=now)
            store.put(outer.location, raw, PUBLISHER, now)
            held = newest_by.get((outer.location, slot))
            if (
                held is None
                or held.head.expires <= now
                or outer.head.sequence > held.head.sequence
            ):
                newest_by[outer.location, slot] = outer
            for (where, number), best in newest_by.items():
                expected = best.raw if best.head.expires > now else None
                got = store.newest(where, number, now)
                assert (got.raw if got else None) == expected


def test_of_many_records_of_one_publisher_its_id_is_kept_once():
    store = new_store()
    for seed in range(3):
        publisher = NodeId(bytes(bytearray(b"p" * 32)))  # a new object each time
        put(store, user(seed).agreed_record(RELAY, NOON), publisher=publisher)

    held = [each for _, here in store.snapshot() for each in here]
    assert len({id(each.publisher) for each in held}) == 1
    store.sweep(NOON + 10_000)
    assert store.snapshot() == []
    assert store._names == {}
