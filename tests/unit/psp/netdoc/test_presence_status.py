"""How a user is, for those who can find the user (psp/netdoc/presence_status.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.blinding import Credential
from psp.crypto.keys import SigningKey
from psp.errors import LocalProtocolError
from psp.netdoc.presence_inner import open_record, read_records
from psp.netdoc.presence_record import (
    RECORD_SIZE,
    STATUS_SLOT,
    RecordRefusedError,
    Refusal,
)
from psp.netdoc.presence_status import (
    CAPABILITIES,
    Status,
    open_status,
    read_status,
    seal_status,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import NOON, TEST_NETWORK, PresenceUser, checked, random_value

RELAY = SigningKey.generate(SeededEntropy("relay"))
LUNCH = Status.of("at lunch, back at 2 🍜", ("audio", "app27"))


@pytest.fixture
def user():
    return PresenceUser(SeededEntropy(1))


def sealed(user, status=LUNCH, *, credential=None, slot=STATUS_SLOT, **settings):
    day = user.day_key(20_000)
    return seal_status(
        user.head(day, NOON, slot=slot, **settings).encode(),
        status,
        day=day,
        credential=credential or user.credential,
        network=TEST_NETWORK,
        entropy=SeededEntropy(2),
    )


def read(raws, user, **settings):
    options = {"unix_now": NOON, **settings}
    return read_status(
        raws,
        credential=user.credential,
        network=TEST_NETWORK,
        random_value=random_value,
        **options,
    )


def places(raws, user):
    return read_records(
        raws,
        credential=user.credential,
        network=TEST_NETWORK,
        random_value=random_value,
        unix_now=NOON,
        is_relay=lambda node: node == RELAY.public,
    )


def refusal_of(outer, credential):
    with pytest.raises(RecordRefusedError) as caught:
        open_status(outer, credential)
    return caught.value.reason


def test_contacts_read_what_was_said(user):
    status = open_status(checked(sealed(user)), user.credential)

    assert (status.text, status.capabilities) == (LUNCH.text, LUNCH.capabilities)
    assert status.sequence == user.sequence


def test_a_status_looks_like_any_record_but_for_its_slot(user):
    raw = sealed(user)

    assert len(raw) == RECORD_SIZE == len(user.agreed_record(RELAY, NOON))
    assert LUNCH.text.encode() not in raw


def test_who_has_no_secret_reads_nothing(user):
    outer = checked(sealed(user))

    assert refusal_of(outer, Credential.derive(user.user_id)) is Refusal.OTHER_USER
    other = PresenceUser(SeededEntropy(9))
    assert refusal_of(outer, other.credential) is Refusal.OTHER_USER


def test_a_status_sealed_under_another_secret_is_not_read(user):
    raw = sealed(user, credential=Credential.derive(user.user_id, b"o" * 32))

    assert refusal_of(checked(raw), user.credential) is Refusal.DECRYPTION


def test_a_status_is_no_place_and_a_place_is_no_status(user):
    status, place = sealed(user), user.agreed_record(RELAY, NOON)

    assert refusal_of(checked(place), user.credential) is Refusal.FORM
    with pytest.raises(RecordRefusedError) as caught:
        open_record(
            checked(status),
            credential=user.credential,
            network=TEST_NETWORK,
            is_relay=lambda _: True,
        )
    assert caught.value.reason is Refusal.FORM
    found = places([status, place], user)
    assert [presence.head.slot for presence in found] == [0]
    assert read([place], user) is None


def test_a_status_lives_as_long_as_a_place_at_most(user):
    assert checked(sealed(user, lifetime=1_800))

    with pytest.raises(RecordRefusedError) as caught:
        checked(sealed(user, lifetime=1_801))
    assert caught.value.reason is Refusal.LIFETIME


def test_the_newest_status_counts_and_none_below_the_floor(user):
    old = sealed(user)
    new = sealed(user, Status.of("back"))
    stranger = sealed(PresenceUser(SeededEntropy(5)), Status.of("stranger"))

    found = read([old, new, stranger, b"", bytes(RECORD_SIZE)], user)

    assert found is not None
    assert found.text == "back"
    assert read([old], user, floor=found.sequence) is None
    assert read([new], user, floor=found.sequence) == found
    assert read([old, new], user, unix_now=NOON + 1_800) is None


def test_a_newer_status_that_cannot_be_read_is_nothing(user):
    day = user.day_key(20_000)
    good = sealed(user)
    from_elsewhere = seal_status(
        user.head(day, NOON, slot=STATUS_SLOT).encode(),
        LUNCH,
        day=day,
        credential=Credential.derive(user.user_id, b"o" * 32),
        network=TEST_NETWORK,
        entropy=SeededEntropy(2),
    )

    assert read([good, from_elsewhere], user) is None


@pytest.mark.parametrize(
    "text",
    ["x" * 181, "ä" * 91, "two\nlines", "\x1b[2J", "nul\x00", "\x7f", "\x85", "\ud800"]
    + [f"a{turn}b" for turn in "\u2028\u2029\u202a\u202e\u2066\u2069"],
)
def test_what_cannot_be_said_is_refused_at_once(text):
    with pytest.raises(LocalProtocolError):
        Status.of(text)


def test_a_capability_without_a_name_is_refused():
    with pytest.raises(LocalProtocolError, match="app28"):
        Status.of("", ["app28"])


def test_every_capability_has_a_bit_of_its_own():
    inner = [Status.of("", [name]).encode() for name in CAPABILITIES]

    assert [int.from_bytes(part[1:5]) for part in inner] == [1 << b for b in range(32)]


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, b"\0"),
        (0, b"\2"),
        (5, b"\xb5"),
        (5, b"\xff"),
        (6, b"\n"),
        (6, b"\xff"),
        (6, "\u202e".encode()),
        (191, b"\1"),
    ],
)
def test_each_part_of_the_inner_is_checked(offset, value):
    inner = Status.of("hello").encode()
    changed = inner[:offset] + value + inner[offset + len(value) :]

    with pytest.raises(RecordRefusedError) as caught:
        Status.decode(changed)
    assert caught.value.reason is Refusal.INNER


@given(
    st.text(
        st.characters(
            exclude_categories=("Cc", "Cs", "Zl", "Zp"),
            exclude_characters=[
                chr(n) for n in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
            ],
        ),
        max_size=45,
    ),
    st.frozensets(st.sampled_from(CAPABILITIES)),
)
def test_whatever_is_said_comes_back(text, capabilities):
    assert Status.decode(Status.of(text, capabilities).encode()) == Status(
        text, capabilities
    )


@given(st.binary(max_size=200) | st.binary(min_size=192, max_size=192))
def test_any_bytes_are_a_status_or_refused_and_read_one_way(inner):
    try:
        status = Status.decode(inner)
    except RecordRefusedError:
        return
    assert status.encode() == inner
