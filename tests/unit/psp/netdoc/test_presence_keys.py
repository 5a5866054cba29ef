"""Keys made ahead: what they certify, how long, and that they hide themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keys import verify
from psp.errors import DecodeError
from psp.netdoc.presence_keys import (
    DAY_KEY_SIZE,
    GRANT_SIZE,
    MAX_KEY_LIFE,
    PRESENCE_KEY_SIZE,
    DayKey,
    Grant,
    PresenceKey,
    day_key_text,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, PresenceUser
from psp.units import UnixTime
from psp.wire.network import Network

NOW = UnixTime(20_000 * 86_400)
OTHER_NETWORK = Network(1, bytes(20))


@pytest.fixture
def user():
    return PresenceUser(SeededEntropy(1))


def test_day_key_is_certified_by_the_blinded_key(user):
    day = user.day_key(20_000)

    text = day_key_text(TEST_NETWORK, 20_000, day.blinded, day.key.public)

    assert verify(day.blinded, text, day.certificate)
    assert not verify(
        day.blinded,
        day_key_text(OTHER_NETWORK, 20_000, day.blinded, day.key.public),
        day.certificate,
    )


def test_keys_made_ahead_survive_storage(user):
    day, presence = user.day_key(20_005), user.presence_key(NOW)

    assert len(day.encode()) == DAY_KEY_SIZE == 132
    assert len(presence.encode()) == PRESENCE_KEY_SIZE == 144
    assert GRANT_SIZE == 112
    restored_day = DayKey.decode(day.encode())
    assert restored_day.encode() == day.encode()
    assert restored_day.key.public == day.key.public
    restored = PresenceKey.decode(presence.encode())
    assert restored.encode() == presence.encode()


def test_stored_keys_hold_nothing_of_the_identity_key(user):
    stored = user.day_key(20_000).encode() + user.presence_key(NOW).encode()

    assert user.identity.seed not in stored


@given(st.binary(max_size=300))
def test_any_bytes_are_keys_or_a_decode_error(data):
    for decode in (DayKey.decode, PresenceKey.decode, Grant.decode):
        try:
            key = decode(data)
        except DecodeError:
            continue
        assert key.encode() == data


def test_grant_for_another_key_is_not_taken(user):
    presence = user.presence_key(NOW)

    with pytest.raises(DecodeError):
        PresenceKey.decode(presence.grant.encode() + bytes(32))


def test_grant_is_in_force_for_its_life_and_the_skew_around_it(user):
    grant = user.presence_key(NOW).grant

    assert not grant.is_in_force(NOW - 121)
    assert grant.is_in_force(NOW - 119)
    assert grant.is_in_force(NOW + MAX_KEY_LIFE + 119)
    assert not grant.is_in_force(NOW + MAX_KEY_LIFE + 121)


@pytest.mark.parametrize("life", [MAX_KEY_LIFE + 1, 0, -10])
def test_grant_for_more_than_a_day_or_less_than_nothing_never_counts(user, life):
    grant = Grant(bytes(32), NOW, UnixTime(NOW + life), bytes(64))

    assert not grant.is_in_force(NOW)


def test_grant_counts_for_its_identity_network_and_times_only(user):
    grant = user.presence_key(NOW).grant
    longer = Grant(grant.public, NOW, UnixTime(grant.not_after + 1), grant.certificate)
    earlier = Grant(grant.public, UnixTime(NOW - 1), grant.not_after, grant.certificate)

    assert grant.is_certified_by(user.user_id, TEST_NETWORK)
    assert not grant.is_certified_by(user.user_id, OTHER_NETWORK)
    assert not grant.is_certified_by(grant.public, TEST_NETWORK)
    assert not longer.is_certified_by(user.user_id, TEST_NETWORK)
    assert not earlier.is_certified_by(user.user_id, TEST_NETWORK)


def test_secret_halves_do_not_show_in_a_repr(user):
    day, presence = user.day_key(20_000), user.presence_key(NOW)

    assert "key=" not in repr(day).replace("day_key=", "")
    assert "key=" not in repr(presence)
