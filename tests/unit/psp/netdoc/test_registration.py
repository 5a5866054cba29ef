"""Registrations: bound to node, circuit, network and time, and to every bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.netdoc.presence_keys import MAX_KEY_LIFE, PresenceKey
from psp.netdoc.registration import (
    REGISTRATION_SIZE,
    Registration,
    RegistrationRefusal,
    RegistrationRefusedError,
    sign_registration,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, PresenceUser
from psp.units import UnixTime
from psp.wire.network import Network

NOON = UnixTime(20_000 * 86_400 + 43_200)
CHANNEL = b"c" * 32


@pytest.fixture
def user():
    return PresenceUser(SeededEntropy(1))


def registration(user, *, signer=None, now=NOON, network=TEST_NETWORK, **head):
    day = user.day_key(20_000)
    return sign_registration(
        user.user_id,
        signer or user.presence_key(now),
        network=network,
        channel=CHANNEL,
        head=user.head(day, now, **head),
        place=user.place(b"n" * 32),
    )


def check(data, now=NOON):
    decoded = Registration.decode(data)
    decoded.check_time(now)
    decoded.check_signatures(TEST_NETWORK)
    return decoded


def refusal_of(data, now=NOON):
    with pytest.raises(RegistrationRefusedError) as caught:
        check(data, now)
    return caught.value.reason


def test_presence_key_registers_without_the_identity_key(user):
    data = registration(user)

    decoded = check(data)

    assert len(data) == REGISTRATION_SIZE == 474
    assert decoded.identity == user.user_id
    assert decoded.node_id == b"n" * 32
    assert decoded.channel == CHANNEL
    assert decoded.head.slot == 0
    assert decoded.grant is not None


def test_identity_key_may_register_itself(user):
    assert check(registration(user, signer=user.identity)).grant is None


@pytest.mark.parametrize("is_granted", [True, False])
def test_flipping_any_one_bit_makes_it_refused(user, is_granted):
    data = registration(user, signer=None if is_granted else user.identity)

    for bit in range(8 * REGISTRATION_SIZE):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RegistrationRefusedError):
            check(bytes(broken))


@given(st.binary(max_size=600) | st.binary(min_size=474, max_size=474))
def test_any_bytes_are_refused_with_a_reason(data):
    with pytest.raises(RegistrationRefusedError) as caught:
        check(data)

    assert isinstance(caught.value.reason, RegistrationRefusal)


def test_registration_of_another_network_is_refused(user):
    other = Network(1, bytes(20))
    by_identity = registration(user, signer=user.identity, network=other)
    granted_there = PresenceKey.make(user.identity, other, NOON, SeededEntropy(2))

    assert refusal_of(by_identity) is RegistrationRefusal.SIGNATURE
    assert refusal_of(registration(user, signer=granted_there)) is (
        RegistrationRefusal.GRANT
    )


def test_grant_by_somebody_else_is_refused(user):
    mallory = PresenceUser(SeededEntropy(2))

    data = registration(user, signer=mallory.presence_key(NOON))

    assert refusal_of(data) is RegistrationRefusal.GRANT


def test_somebody_elses_key_is_refused(user):
    mallory = PresenceUser(SeededEntropy(2))

    data = registration(user, signer=mallory.identity)

    assert refusal_of(data) is RegistrationRefusal.SIGNATURE


@pytest.mark.parametrize("start", [NOON - MAX_KEY_LIFE - 121, NOON + 121])
def test_grant_that_has_ended_or_not_begun_is_refused(user, start):
    data = registration(user, signer=user.presence_key(start))

    assert refusal_of(data) is RegistrationRefusal.GRANT


@pytest.mark.parametrize("off", [-121, 121, -86_400, 86_400])
def test_registration_of_another_time_is_refused(user, off):
    assert refusal_of(registration(user), NOON + off) is RegistrationRefusal.TIME


@pytest.mark.parametrize("off", [-120, 120])
def test_clocks_may_differ_by_two_minutes(user, off):
    assert check(registration(user), NOON + off)


@pytest.mark.parametrize("lifetime", [60, 100])
def test_head_that_has_ended_is_refused(user, lifetime):
    data = registration(user, lifetime=lifetime)

    assert refusal_of(data, NOON + lifetime) is RegistrationRefusal.TIME


def test_head_of_another_period_is_refused(user):
    data = registration(user, now=NOON + 2 * 86_400)

    assert refusal_of(data, NOON + 2 * 86_400) is RegistrationRefusal.TIME


@pytest.mark.parametrize(
    ("slot", "lifetime"), [(4, 60), (0, 0), (0, 86_401), (3, 1_801)]
)
def test_impossible_head_is_not_well_formed(user, slot, lifetime):
    data = registration(user, slot=slot, lifetime=lifetime)

    assert refusal_of(data) is RegistrationRefusal.FORM
