"""What only contacts can read: the place, its consent, and who cannot read it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.blinding import PUBLIC_SECRET, Credential, seal_record
from psp.crypto.keys import SigningKey
from psp.errors import LocalProtocolError
from psp.netdoc.presence_inner import Place, open_record, read_records
from psp.netdoc.presence_record import (
    OuterRecord,
    RecordRefusedError,
    Refusal,
    record_text,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import NOON, TEST_NETWORK, PresenceUser, checked, random_value
from psp.wire.endpoint import Endpoint

RELAY = SigningKey.generate(SeededEntropy("relay"))
V4, V6 = Endpoint("192.0.2.1", 443), Endpoint("2001:db8::1", 9)


@pytest.fixture
def user():
    return PresenceUser(SeededEntropy(1))


def opened(outer, credential, **settings):
    options = {"is_relay": lambda node: node == RELAY.public, **settings}
    return open_record(outer, credential=credential, network=TEST_NETWORK, **options)


def record(user, endpoints=(V4,), *, signer=RELAY, inner=None, **head_settings):
    """Return a parsed record whose inner part may be anything its user wants."""
    day = user.day_key(20_000)
    head = user.head(day, NOON, **head_settings)
    place = user.place(RELAY.public, endpoints)
    consent = signer.sign(place.consent_text(TEST_NETWORK, head.encode()))
    text = place.encode(consent) if inner is None else inner(place, consent)
    nonce = bytes(24)
    sealed = seal_record(user.credential, head.encode(), nonce, text)
    body = head.encode() + nonce + sealed
    return checked(body + day.key.sign(record_text(TEST_NETWORK, body))), place


def refusal_of(outer, credential, **settings):
    with pytest.raises(RecordRefusedError) as caught:
        opened(outer, credential, **settings)
    return caught.value.reason


@pytest.mark.parametrize("endpoints", [(), (V4,), (V6,), (V4, V6)])
def test_contact_reads_the_place(user, endpoints):
    outer, place = record(user, endpoints)

    presence = opened(outer, user.credential)

    assert presence.place == place
    assert presence.head == outer.head
    assert presence.is_absence is (not endpoints)


def test_size_tells_neither_endpoints_nor_absence(user):
    sizes = {len(record(user, e)[0].raw) for e in ((), (V4,), (V4, V6))}

    assert sizes == {450}


def test_without_the_secret_nobody_reads_a_contacts_record(user):
    outer, _ = record(user)

    for secret in (PUBLIC_SECRET, b"x" * 32):
        stranger = Credential.derive(user.user_id, secret)
        assert refusal_of(outer, stranger) is Refusal.OTHER_USER


def test_public_record_is_read_by_whoever_knows_the_registry():
    user = PresenceUser(SeededEntropy(1), is_public=True)
    outer, place = record(user)

    assert opened(outer, Credential.derive(user.user_id)).place == place


def test_right_blinded_key_with_a_wrong_credential_does_not_decrypt(user):
    # Nobody can have this one without the secret; it shows that AEAD checks too.
    outer, _ = record(user)
    forged = replace(outer, raw=outer.raw[:178] + bytes(208) + outer.raw[386:])

    assert refusal_of(forged, user.credential) is Refusal.DECRYPTION


def test_unusable_identity_reads_nothing(user):
    outer, _ = record(user)

    assert refusal_of(outer, Credential.derive(bytes(32))) is Refusal.OTHER_USER


@pytest.mark.parametrize(
    "inner",
    [
        lambda p, c: p.encode(c)[:144] + b"\x03" + bytes(47),
        lambda p, c: p.encode(c)[:144] + b"\xff" + bytes(47),
        lambda p, c: p.encode(c)[:144] + b"\0" + b"\x01" + bytes(46),
        lambda p, c: p.encode(c)[:144] + b"\x01" + bytes(47),
        lambda p, c: p.encode(c)[:-1] + b"\x01",
        lambda p, c: bytes(191) + b"\x01",
    ],
    ids=["three", "many", "uncounted", "port 0", "tail", "last"],
)
def test_malformed_inner_part_is_refused(user, inner):
    outer, _ = record(user, inner=inner)

    assert refusal_of(outer, user.credential) is Refusal.INNER


@given(st.binary(max_size=200) | st.binary(min_size=192, max_size=192))
def test_any_bytes_for_an_inner_part_are_a_place_or_refused(inner):
    try:
        place, consent = Place.decode(inner)
    except RecordRefusedError:
        return
    assert Place.decode(place.encode(consent)) == (place, consent)


def test_presence_point_that_did_not_agree_is_refused(user):
    other = SigningKey.generate(SeededEntropy("other"))
    outer, _ = record(user, signer=other)

    assert refusal_of(outer, user.credential) is Refusal.CONSENT


def test_consent_covers_the_head_and_the_whole_place(user):
    _, place = record(user)
    head = bytes(154)
    texts = {
        replace(place, **change).consent_text(TEST_NETWORK, head)
        for change in (
            {},
            {"node_id": bytes(32)},
            {"contact_key": bytes(32)},
            {"tag": bytes(16)},
            {"endpoints": (V6,)},
            {"endpoints": ()},
        )
    }

    assert len(texts | {place.consent_text(TEST_NETWORK, b"h" * 154)}) == 7


def test_unregistered_presence_point_is_refused(user):
    outer, _ = record(user)

    reason = refusal_of(outer, user.credential, is_relay=lambda _: False)

    assert reason is Refusal.RELAY


def test_endpoints_for_longer_than_half_an_hour_are_refused(user):
    online, _ = record(user, lifetime=1_801)
    absence, _ = record(user, (), lifetime=86_400)

    assert refusal_of(online, user.credential) is Refusal.LIFETIME
    assert opened(absence, user.credential).is_absence


def test_three_endpoints_do_not_fit(user):
    with pytest.raises(LocalProtocolError):
        record(user, (V4, V4, V4))


def read(raws, user, **settings):
    return read_records(
        raws,
        credential=user.credential,
        network=TEST_NETWORK,
        random_value=random_value,
        unix_now=NOON,
        is_relay=lambda node: node == RELAY.public,
        **settings,
    )


def test_reader_takes_the_newest_of_each_slot_from_any_mixture(user):
    old = record(user)[0]
    new = record(user)[0]
    other_slot = record(user, slot=2)[0]
    junk = [b"", bytes(450), old.raw[:-1], b"\xff" * 1_000]

    found = read([*junk, new.raw, old.raw, other_slot.raw, old.raw], user)

    assert [p.head for p in found] == [other_slot.head, new.head]


def test_reader_refuses_what_is_older_than_it_knows(user):
    old = record(user)[0]
    new = record(user)[0]

    floors = {0: new.head.sequence}

    assert read([old.raw], user, floors=floors) == []
    assert len(read([new.raw, old.raw], user, floors=floors)) == 1


def test_strangers_newer_record_does_not_hide_the_users_own(user):
    mallory = PresenceUser(SeededEntropy(2))
    mine = record(user)[0]
    mallory.sequence = mine.head.sequence + 10
    theirs = record(mallory)[0]

    assert [p.head for p in read([theirs.raw, mine.raw], user)] == [mine.head]


def test_unreadable_newer_record_of_a_slot_counts_as_none(user):
    record_without_consent = record(user, signer=SigningKey.from_seed(bytes(32)))[0]

    assert read([record_without_consent.raw], user) == []


def test_a_stored_records_repr_shows_no_bytes(user):
    outer, _ = record(user)

    assert isinstance(outer, OuterRecord)
    assert "raw" not in repr(outer)
