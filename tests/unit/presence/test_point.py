"""What a presence point agrees to, from whom and how often (presence/point.py)."""

import pytest

from psp.crypto.blinding import Credential
from psp.crypto.keys import SigningKey, verify
from psp.ids import NodeId
from psp.netdoc.presence_inner import Place
from psp.netdoc.presence_keys import DayKey
from psp.netdoc.presence_record import STATUS_SLOT, RecordHead
from psp.netdoc.registration import RegistrationRefusal
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, PresenceUser
from psp.units import UnixTime
from psp.wire.network import Network
from tests.unit.presence.point_rig import ENDPOINTS, HASH, NOON, RELAY, Setting


def test_point_co_signs_its_first_two_endpoints(setting):
    alice = setting.user()
    day = alice.day_key(20_000)
    head, place = alice.head(day, NOON), alice.place(RELAY.public)

    registered = setting.register(setting.registration(alice, head=head, place=place))

    assert registered.endpoints == ENDPOINTS[:2]
    agreed = Place(NodeId(RELAY.public), place.contact_key, place.tag, ENDPOINTS[:2])
    text = agreed.consent_text(TEST_NETWORK, head.encode())
    assert verify(RELAY.public, text, registered.cosignature)
    assert setting.stats.registered == 1


def test_absence_is_agreed_to_without_endpoints(setting):
    alice = setting.user()
    day = alice.day_key(20_000)
    head = alice.head(day, NOON, lifetime=40_000)

    registered = setting.register(setting.registration(alice, head=head))

    assert registered.endpoints == ()


def test_presence_key_registers_as_well(setting):
    alice = setting.user()

    data = setting.registration(alice, signer=alice.presence_key(NOON))

    assert setting.register(data)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"place": Place(NodeId(b"o" * 32), bytes(32), bytes(16), ())}, "other_node"),
        ({"channel": HASH[2]}, "other_circuit"),
        ({"network": Network(1, bytes(20))}, "signature"),
        ({"signer": SigningKey.from_seed(bytes(32))}, "signature"),
    ],
)
def test_registration_meant_for_elsewhere_is_refused(setting, settings, reason):
    data = setting.registration(setting.user(), **settings)

    assert setting.refusal_of(data) == reason
    assert setting.point.tags_served == 0


def test_registration_moved_to_another_circuit_is_refused(setting):
    data = setting.registration(setting.user(), 1)
    setting.register(data, 1)

    assert setting.refusal_of(data, 2) is RegistrationRefusal.OTHER_CIRCUIT


def test_unregistered_user_is_refused(setting):
    stranger = PresenceUser(SeededEntropy(9))

    reason = setting.refusal_of(setting.registration(stranger))

    assert reason is RegistrationRefusal.UNKNOWN_USER


def test_revoked_user_is_refused_at_the_next_renewal(setting):
    alice = setting.user()
    setting.served(alice)
    setting.users.clear()

    reason = setting.refusal_of(setting.registration(alice))

    assert reason is RegistrationRefusal.UNKNOWN_USER


@pytest.mark.parametrize("off", [-121, 121])
def test_registration_of_another_time_is_refused(setting, off):
    data = setting.registration(setting.user())
    setting.unix_now += off

    assert setting.refusal_of(data) is RegistrationRefusal.TIME


def test_malformed_registration_is_refused(setting):
    assert setting.refusal_of(b"") is RegistrationRefusal.FORM
    assert setting.refusal_of(bytes(474)) is RegistrationRefusal.FORM


def test_sequence_must_rise(setting):
    alice = setting.user()
    old = setting.registration(alice)
    new = setting.registration(alice)
    setting.register(new)

    assert setting.refusal_of(old) is RegistrationRefusal.OLD


def test_same_registration_again_is_answered_again(setting):
    data = setting.registration(setting.user())

    assert setting.register(data) == setting.register(data)


def test_replay_is_refused_long_after_the_sequence_was_forgotten(setting):
    alice = setting.user()
    old = setting.registration(alice)
    setting.register(old)
    setting.unix_now += 3_600
    setting.point.sweep(setting.unix_now)

    assert setting.refusal_of(old) is RegistrationRefusal.TIME


def test_both_periods_near_midnight_are_agreed_to(setting):
    setting.unix_now = 20_001 * 86_400.0 - 600
    alice = setting.user()
    place = alice.place(RELAY.public)

    for period in (20_000, 20_001):
        data = setting.registration(alice, place=place, period=period)
        setting.register(data)

    assert setting.point.tags_served == 1
    assert setting.route(2, place.tag) == 1


def test_one_user_cannot_fill_the_memory_of_sequences():
    """A discovery secret costs nothing, and each has sequences of its own."""
    setting = Setting(max_tags=100, tags_per_user=1)
    user, other = setting.user(1), setting.user(2)

    def status_under(secret):
        credential = Credential.derive(user.user_id, bytes([secret]) * 32)
        entropy = SeededEntropy(secret)
        day = DayKey.make(user.identity, credential, TEST_NETWORK, 20_000, entropy)
        head = RecordHead.under(day, STATUS_SLOT, secret, UnixTime(NOON), 1_800)
        return setting.registration(user, secret, head=head)

    for secret in range(1, 5):
        setting.register(status_under(secret), secret)
    assert setting.refusal_of(status_under(5), 5) is RegistrationRefusal.FULL
    setting.served(other, 6)


def test_registrations_have_a_rate_even_when_they_fail():
    setting = Setting(registrations_per_minute=2)
    alice = setting.user()
    forged = [
        setting.registration(alice, signer=SigningKey.from_seed(bytes(32)))
        for _ in range(3)
    ]

    reasons = [setting.refusal_of(data) for data in forged]

    assert reasons == ["signature", "signature", "too_often"]
    setting.unix_now += 60
    assert setting.register(setting.registration(alice))
