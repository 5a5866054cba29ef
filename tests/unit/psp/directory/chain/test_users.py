"""The list of users."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey
from psp.directory.chain.users import (
    ListedUser,
    NotCounted,
    UserStatus,
    changed_users,
    join_users,
    merged,
    read_users,
    recall_users,
    split_users,
    user_signing_input,
)
from psp.errors import DecodeError
from psp.testing.chain import OWNER, impure_signature, user_words
from psp.testing.directory import LOOPBACK
from psp.wire.network import Network

ALICE, BOB = (SigningKey(bytes([n]) * 32) for n in (1, 2))
OTHER = b"\x0b" * 20


def read(*records, previous=None):
    return read_users(LOOPBACK, split_users(b"".join(records)), previous)


def test_signed_text_holds_network_owner_and_identity():
    text = user_signing_input(LOOPBACK, OWNER, ALICE.public)

    assert text == b"psp-user-v1" + LOOPBACK.encode() + OWNER + ALICE.public


def test_a_record_is_read_word_by_word():
    (user,) = split_users(user_words(ALICE, version=7, changed=99))

    assert (user.number, user.status, user.version) == (1, UserStatus.ACTIVE, 7)
    assert (user.owner, user.changed, user.identity) == (OWNER, 99, ALICE.public)
    assert user.summary == 7 << 8 | 1


def test_signed_users_count():
    users = read(user_words(ALICE), user_words(BOB))

    assert users.users == {ALICE.public, BOB.public}
    assert users.numbers == {1: ALICE.public, 2: BOB.public}
    assert not users.refused
    assert not users.revoked


@pytest.mark.parametrize("place", range(12, 128))
def test_no_byte_of_owner_identity_and_signature_can_be_changed(place):
    words = bytearray(user_words(ALICE))
    words[place] ^= 1

    assert read(bytes(words)).refused == {NotCounted.SIGNATURE: 1}


def test_a_user_of_another_network_does_not_count():
    assert not read(user_words(ALICE, network=Network(1, bytes(20)))).users


def test_a_revoked_identity_is_dead_under_every_owner():
    users = read(
        user_words(ALICE, owner=OTHER),
        user_words(ALICE, status=UserStatus.REVOKED),
        user_words(BOB),
    )

    assert users.users == {BOB.public}
    assert users.revoked == {ALICE.public}
    assert users.refused == {NotCounted.DEAD: 1, NotCounted.REVOKED: 1}


def test_nobody_else_can_revoke_an_identity():
    forged = bytearray(user_words(ALICE, status=UserStatus.REVOKED))
    forged[12:32] = OTHER

    users = read(bytes(forged), user_words(ALICE))

    assert users.users == {ALICE.public}
    assert not users.revoked


def test_an_identity_counts_once():
    users = read(user_words(ALICE), user_words(ALICE, owner=OTHER))

    assert users.numbers == {1: ALICE.public}
    assert users.refused == {NotCounted.DOUBLE: 1}


def test_a_key_of_small_order_does_not_count():
    words = user_words(ALICE)

    assert read(words[:32] + bytes(32) + words[64:]).refused == {
        NotCounted.SIGNATURE: 1
    }


def test_a_key_that_can_sign_but_has_no_x25519_form_does_not_count():
    def text(n, identity):
        return user_signing_input(LOOPBACK, n.to_bytes(20), identity)

    n, identity, signature = impure_signature(text)
    head = user_words(ALICE, owner=n.to_bytes(20))[:32]

    assert read(head + identity + signature).refused == {NotCounted.IDENTITY: 1}


def test_users_seen_before_are_not_verified_again(monkeypatch):
    first = read(user_words(ALICE), user_words(BOB, status=UserStatus.REVOKED))
    asked = []
    monkeypatch.setattr(
        "psp.directory.chain.counted.verify", lambda *args: asked.append(args) or True
    )

    again = read(
        user_words(ALICE),
        user_words(BOB, status=UserStatus.REVOKED),
        user_words(ALICE, version=2),
        previous=first,
    )

    assert (again.users, again.revoked) == (first.users, first.revoked)
    assert len(asked) == 1


def test_verdicts_can_be_kept():
    users = read(
        user_words(ALICE)[:-1] + b"x",
        user_words(ALICE),
        user_words(BOB, status=UserStatus.REVOKED),
    )

    recalled = recall_users(LOOPBACK, users.listed, users.flags)

    assert recalled == users
    assert (recalled.users, recalled.revoked) == (users.users, users.revoked)
    assert recalled.refused == users.refused
    with pytest.raises(DecodeError):
        recall_users(LOOPBACK, users.listed, users.flags + b"\0")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_a_decode_error(data):
    try:
        listed = split_users(data, first=401)
    except DecodeError:
        return

    assert join_users(listed) == data
    assert [user.number for user in listed] == [401, 402][: len(listed)]


def test_heads_that_the_contract_does_not_write_are_refused():
    for status in {*range(256)} - {1, 3}:
        words = bytearray(user_words(ALICE))
        words[11] = status
        with pytest.raises(DecodeError, match="status"):
            split_users(bytes(words))


def test_changes_are_found_and_merged():
    listed = split_users(user_words(ALICE) + user_words(BOB))
    changed = ListedUser(2, user_words(BOB, version=2))

    assert changed_users(listed, [listed[0].summary, changed.summary, 5]) == (2, 3)
    assert merged(listed, [changed], 2) == (listed[0], changed)
