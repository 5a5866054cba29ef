"""Presence records as storing nodes see them: each check, its order, and any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.blinding import blind_public
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import sha256
from psp.netdoc.presence_record import (
    HEAD_SIZE,
    MAX_LIFETIME,
    PERIOD_SECONDS,
    RECORD_SIZE,
    SIGNED_SIZE,
    RecordHead,
    RecordRefusedError,
    Refusal,
    location,
    locations_at,
    newest,
    parse,
    period_at,
    periods_of,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, PresenceUser, random_value
from psp.units import UnixTime
from psp.wire.network import Network

MIDNIGHT = 20_000 * PERIOD_SECONDS
NOON = UnixTime(MIDNIGHT + 43_200)
RELAY = SigningKey.generate(SeededEntropy("relay"))


def new_user(seed=1, **settings):
    return PresenceUser(SeededEntropy(seed), **settings)


def parse_at(raw, now=NOON, **settings):
    options = {"network": TEST_NETWORK, "random_value": random_value, **settings}
    return parse(raw, unix_now=now, **options)


def refusal_of(raw, now=NOON, **settings):
    with pytest.raises(RecordRefusedError) as caught:
        parse_at(raw, now, **settings)
    return caught.value.reason


def changed(raw, offset, value):
    return raw[:offset] + value + raw[offset + len(value) :]


def test_good_record_tells_its_head_and_location():
    user = new_user()

    raw = user.agreed_record(RELAY, NOON, slot=2)
    outer = parse_at(raw)

    assert len(raw) == RECORD_SIZE == 450
    assert (HEAD_SIZE, SIGNED_SIZE) == (154, 386)
    assert outer.raw == raw
    assert outer.head.slot == 2
    assert outer.head.issued == NOON
    assert outer.head.expires == NOON + 1_800
    assert outer.head.encode() == raw[:HEAD_SIZE]
    assert outer.location == location(outer.head.blinded, 20_000, random_value(20_000))
    assert outer.location in locations_at(user.credential, NOON, random_value).values()


def test_flipping_any_one_bit_makes_it_refused():
    raw = new_user().agreed_record(RELAY, NOON)

    for bit in range(8 * RECORD_SIZE):
        broken = bytearray(raw)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RecordRefusedError):
            parse_at(bytes(broken))


@given(st.binary(max_size=600) | st.binary(min_size=450, max_size=450))
def test_any_bytes_are_refused_with_a_reason(raw):
    with pytest.raises(RecordRefusedError) as caught:
        parse_at(raw)

    assert isinstance(caught.value.reason, Refusal)


@given(st.binary(min_size=450, max_size=450), st.integers(0, 450))
def test_any_end_on_a_good_beginning_is_refused(tail, kept):
    raw = new_user().agreed_record(RELAY, NOON)
    mixed = raw[:kept] + tail[kept:]

    if mixed != raw:
        with pytest.raises(RecordRefusedError):
            parse_at(mixed)


@pytest.mark.parametrize("size", [0, 1, 153, 449, 451, 900])
def test_other_sizes_are_refused(size):
    raw = new_user().agreed_record(RELAY, NOON)

    assert refusal_of((raw * 2)[:size]) is Refusal.SIZE


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (0, b"\x00", Refusal.FORM),
        (0, b"\x02", Refusal.FORM),
        (1, b"\x04", Refusal.FORM),
        (1, b"\xff", Refusal.FORM),
        (150, bytes(4), Refusal.LIFETIME),
        (150, (MAX_LIFETIME + 1).to_bytes(4), Refusal.LIFETIME),
        (150, b"\xff" * 4, Refusal.LIFETIME),
        (142, (NOON + 121).to_bytes(8), Refusal.FUTURE),
        (142, b"\xff" * 8, Refusal.FUTURE),
        (134, bytes(8) + (NOON - 1_800).to_bytes(8), Refusal.EXPIRED),
        (134, bytes(16), Refusal.EXPIRED),
        (134, ((NOON + 121) * 1_000).to_bytes(8), Refusal.FUTURE),
        (134, b"\xff" * 8, Refusal.FUTURE),
        (134, ((NOON + 121) * 1_000 - 1).to_bytes(8), Refusal.SIGNATURE),
        (2, (19_999).to_bytes(4), Refusal.PERIOD),
        (2, (20_001).to_bytes(4), Refusal.PERIOD),
        (2, b"\xff" * 4, Refusal.PERIOD),
        (6, b"A" * 32, Refusal.CERTIFICATE),
        (38, b"D" * 32, Refusal.CERTIFICATE),
        (70, bytes(64), Refusal.CERTIFICATE),
        (154, bytes(24), Refusal.SIGNATURE),
        (178, bytes(208), Refusal.SIGNATURE),
        (386, bytes(64), Refusal.SIGNATURE),
    ],
)
def test_each_field_is_refused_for_its_own_reason(offset, value, reason):
    raw = new_user().agreed_record(RELAY, NOON)

    assert refusal_of(changed(raw, offset, value)) is reason


def test_record_at_another_location_is_refused_before_any_signature():
    raw = new_user().agreed_record(RELAY, NOON)
    unsigned = changed(raw, 386, bytes(64))

    assert refusal_of(unsigned, expected_location=bytes(20)) is Refusal.LOCATION


def test_period_without_a_random_value_is_refused():
    raw = new_user().agreed_record(RELAY, NOON)

    assert refusal_of(raw, random_value=lambda _: None) is Refusal.UNKNOWN_DAY


@pytest.mark.parametrize(
    "network",
    [
        Network(TEST_NETWORK.chain_id + 1, TEST_NETWORK.registry),
        Network(TEST_NETWORK.chain_id, bytes(20)),
    ],
)
def test_record_of_another_network_is_refused(network):
    raw = new_user(network=network).agreed_record(RELAY, NOON)

    assert refusal_of(raw) is Refusal.CERTIFICATE
    assert parse_at(raw, network=network).raw == raw


def test_day_key_of_another_user_or_day_does_not_certify():
    alice, mallory = new_user(1), new_user(2)
    raw = alice.agreed_record(RELAY, NOON)
    theirs = mallory.day_key(20_000)
    yesterday = alice.day_key(19_999)

    for day in (theirs, yesterday):
        stolen = changed(raw, 38, day.key.public + day.certificate)
        assert refusal_of(stolen) is Refusal.CERTIFICATE


def test_certificate_checked_before_is_not_checked_again_but_the_signature_is():
    user = new_user()
    day = user.day_key(20_000)
    head = user.head(day, NOON)
    place = user.place(RELAY.public)
    consent = RELAY.sign(place.consent_text(TEST_NETWORK, head.encode()))
    first = parse_at(user.record(head, place, consent, day))
    second = user.record(user.head(day, NOON), place, consent, day)

    assert parse_at(second, certified=first.certified).head.sequence > 1
    broken = changed(second, 386, bytes(64))
    assert refusal_of(broken, certified=first.certified) is Refusal.SIGNATURE


@pytest.mark.parametrize("key", [bytes(32), (1).to_bytes(32, "little")])
def test_small_order_keys_sign_nothing(key):
    # With such a key every message has a signature that simple verifiers accept.
    raw = new_user().agreed_record(RELAY, NOON)
    forged = (1).to_bytes(32, "little") + bytes(32)

    as_identity = changed(changed(raw, 6, key), 70, forged)
    assert refusal_of(as_identity) is Refusal.CERTIFICATE
    as_day_key = changed(changed(raw, 38, key), 386, forged)
    certified = as_day_key[2:134]
    assert refusal_of(as_day_key, certified=certified) is Refusal.SIGNATURE


@pytest.mark.parametrize(
    ("offset_seconds", "expected"),
    [
        (-2_000, [19_999]),
        (-1_921, [19_999]),
        (-1_919, [19_999, 20_000]),
        (-60, [19_999, 20_000]),
        (30, [19_999, 20_000]),
        (120, [20_000]),
        (43_200, [20_000]),
    ],
)
def test_near_midnight_a_record_belongs_to_both_periods(offset_seconds, expected):
    now = MIDNIGHT + offset_seconds
    user = new_user()

    assert list(periods_of(now, 1_800)) == expected
    for period in range(19_998, 20_002):
        raw = user.agreed_record(RELAY, now, period=period)
        if period in expected:
            assert parse_at(raw, now).head.period == period
        else:
            assert refusal_of(raw, now) is Refusal.PERIOD


@pytest.mark.parametrize("skew", [-100, 0, 100])
@pytest.mark.parametrize("moment", [-1_000, -60, -1, 0, 1, 30, 110])
def test_reader_with_a_wrong_clock_still_looks_where_the_record_is(moment, skew):
    now = MIDNIGHT + moment
    user = new_user()

    published = {
        parse_at(user.agreed_record(RELAY, now, period=period), now).location
        for period in periods_of(now, 1_800)
    }

    read = locations_at(user.credential, now + skew, random_value).values()
    assert published & set(read)


def test_locations_without_random_value_are_left_out():
    user = new_user()

    known = {20_000: bytes(32)}
    found = locations_at(user.credential, MIDNIGHT, known.get)

    assert list(found) == [20_000]


def test_location_depends_on_key_period_and_random_value():
    places = {
        location(key, period, value)
        for key in (b"a" * 32, b"b" * 32)
        for period in (1, 2)
        for value in (b"c" * 32, b"d" * 32)
    }

    assert len(places) == 8
    assert {len(place) for place in places} == {20}


def test_newest_of_each_slot_comes_newest_first():
    user = new_user()
    records = {}
    for slot, sequence in ((0, 5), (1, 9), (0, 7), (2, 1), (1, 8)):
        user.sequence = sequence - 1
        day = user.day_key(20_000)
        head = user.head(day, 0.0, slot=slot)
        head = RecordHead.under(day, slot, sequence, NOON, 1_800)
        place = user.place(RELAY.public)
        records[slot, sequence] = parse_at(user.record(head, place, bytes(64), day))

    chosen = newest(records.values())

    assert [(o.head.slot, o.head.sequence) for o in chosen] == [(1, 9), (0, 7), (2, 1)]


def test_of_two_with_one_sequence_all_readers_take_the_same():
    user = new_user()
    day = user.day_key(20_000)
    head = user.head(day, NOON)
    pair = [
        parse_at(user.record(head, user.place(RELAY.public), bytes(64), day))
        for _ in range(2)
    ]

    assert newest(pair) == newest(reversed(pair))


def test_blinded_key_in_a_record_is_the_one_readers_compute():
    user = new_user()

    outer = parse_at(user.agreed_record(RELAY, NOON))

    assert outer.head.blinded == blind_public(user.credential, period_at(NOON))


def test_known_record_pins_the_format():
    # All randomness is removed: a changed digest means that old records do not parse.
    user = PresenceUser(SeededEntropy("pinned"))

    raw = user.agreed_record(RELAY, NOON, slot=1)

    assert parse_at(raw).location.hex() == "8eb169b308645dc6a76c6d505e92ffa9d0a6ba24"
    assert sha256(raw).hex() == (
        "8a1f9ff2899ed7bad63b7b5e61200e99838533b5cbaf1694b66d35cea6e84230"
    )
