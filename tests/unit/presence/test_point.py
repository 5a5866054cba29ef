"""A presence point: what it agrees to, what it passes on, what it forgets."""

from dataclasses import replace

import pytest

from presence.config import MailboxConfig, PointConfig
from presence.mailboxes import Mailboxes
from presence.point import PresencePoint, PublicationRefusal
from presence.point_tables import TagState
from presence.stats import PresenceStats
from presence.turns import Turns
from psp.crypto.blinding import Credential
from psp.crypto.keys import SigningKey, verify
from psp.ids import NodeId, UserId
from psp.netdoc.presence_inner import Place
from psp.netdoc.presence_keys import DayKey
from psp.netdoc.presence_record import STATUS_SLOT, RecordHead
from psp.netdoc.registration import (
    RegistrationRefusal,
    RegistrationRefusedError,
    sign_registration,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, PresenceUser
from psp.units import Monotonic, UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from psp.wire.presence import IntroduceRequest, IntroductionStatus
from psp.wire.watch import Change

NOON = 20_000 * 86_400 + 43_200
RELAY = SigningKey.generate(SeededEntropy("relay"))
ENDPOINTS = tuple(Endpoint("192.0.2.1", port) for port in (443, 444, 445))
HASH = {circuit: bytes([circuit]) * 32 for circuit in range(256)}


class Setting:
    """A point, its users, and the clocks."""

    def __init__(self, **limits):
        self.stats = PresenceStats()
        self.users: set[UserId] = set()
        self.unix_now = float(NOON)
        config = PointConfig(**limits)
        self.mailboxes = Mailboxes(MailboxConfig(), self.stats)
        self.turns = Turns(config.max_introducing_circuits)
        self.changes = []
        self.point = PresencePoint(
            config,
            self.mailboxes,
            self.turns,
            network=TEST_NETWORK,
            identity=RELAY,
            has_user=self.users.__contains__,
            endpoints=lambda: ENDPOINTS,
            stats=self.stats,
        )
        self.point.on_tag_changed = lambda *change: self.changes.append(change)

    def close(self, circuit):
        self.point.circuit_closed(circuit)
        self.turns.forget(circuit)

    def user(self, seed=1):
        user = PresenceUser(SeededEntropy(seed))
        self.users.add(user.user_id)
        return user

    @property
    def now(self):
        return Monotonic(self.unix_now - NOON)

    def registration(self, user, circuit=1, *, place=None, period=20_000, **settings):
        day = user.day_key(period)
        options = {
            "signer": user.identity,
            "network": TEST_NETWORK,
            "channel": HASH[circuit],
            "head": user.head(day, self.unix_now),
            "place": place or user.place(RELAY.public),
            **settings,
        }
        return sign_registration(user.user_id, **options)

    def register(self, data, circuit=1):
        return self.point.register(
            circuit, HASH[circuit], data, now=self.now, unix_now=self.unix_now
        )

    def refusal_of(self, data, circuit=1):
        with pytest.raises(RegistrationRefusedError) as caught:
            self.register(data, circuit)
        assert self.stats.registrations_refused[caught.value.reason] > 0
        return caught.value.reason

    def route(self, circuit, tag, sealed=b"s" * 1_504):
        return self.point.route_introduction(
            circuit,
            IntroduceRequest(tag, sealed).encode(),
            now=self.now,
            unix_now=self.unix_now,
        )

    def served(self, user, circuit=1, **settings):
        """Register a new place and return its tag."""
        place = settings.pop("place", None) or user.place(RELAY.public)
        self.register(
            self.registration(user, circuit, place=place, **settings), circuit
        )
        return place.tag


@pytest.fixture
def setting():
    return Setting()


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


def test_heads_of_both_periods_may_be_published(setting):
    alice = setting.user()
    heads = []
    for period in (20_000, 20_001):
        setting.unix_now = 20_001 * 86_400.0 - 600
        day = alice.day_key(period)
        heads.append(alice.head(day, setting.unix_now))
        setting.register(setting.registration(alice, head=heads[-1]))

    for head in heads:
        record = head.encode() + bytes(296)
        assert setting.point.check_publication(1, record, now=0.0) is None


class TestPublishing:
    def test_only_the_agreed_head_is_published(self, setting):
        alice = setting.user()
        day = alice.day_key(20_000)
        head = alice.head(day, NOON)
        setting.register(setting.registration(alice, head=head))
        check = setting.point.check_publication

        agreed = head.encode() + bytes(296)
        longer = replace(head, lifetime=1_799).encode() + bytes(296)

        assert check(1, agreed, now=0.0) is None
        assert check(1, longer, now=0.0) is PublicationRefusal.NOT_AGREED
        assert check(2, agreed, now=0.0) is PublicationRefusal.NOT_AGREED
        assert check(1, b"", now=0.0) is PublicationRefusal.NOT_AGREED

    def test_where_and_how_a_user_is_are_agreed_to_side_by_side(self, setting):
        alice = setting.user()
        heads = [
            alice.head(day, NOON, slot=slot)
            for day in (alice.day_key(20_000), alice.day_key(20_001))
            for slot in (0, 3)
        ]
        heads = [replace(head, issued=NOON + 43_100) for head in heads]
        setting.unix_now = NOON + 43_100.0
        for head in heads:
            setting.register(setting.registration(alice, head=head))
        check = setting.point.check_publication

        refusals = [check(1, head.encode(), now=0.0) for head in heads]

        assert refusals == [None] * 4

    def test_only_the_newest_eight_heads_of_a_circuit_stay_agreed_to(self, setting):
        alice = setting.user()
        days = [alice.day_key(20_000) for _ in range(9)]
        blinded = [bytes([number]) * 32 for number in range(9)]
        heads = [
            replace(alice.head(day, NOON), blinded=key)
            for day, key in zip(days, blinded, strict=True)
        ]
        for head in heads:
            setting.register(setting.registration(alice, head=head))
        check = setting.point.check_publication

        refusals = [check(1, head.encode(), now=0.0) for head in heads]

        assert refusals == [PublicationRefusal.NOT_AGREED] + [None] * 8

    def test_a_renewed_head_ends_the_agreement_on_the_old_one(self, setting):
        alice = setting.user()
        day = alice.day_key(20_000)
        heads = [alice.head(day, NOON) for _ in range(2)]
        for head in heads:
            setting.register(setting.registration(alice, head=head))
        check = setting.point.check_publication

        assert check(1, heads[0].encode(), now=0.0) is PublicationRefusal.NOT_AGREED
        assert check(1, heads[1].encode(), now=0.0) is None

    def test_a_closed_circuit_publishes_nothing(self, setting):
        alice = setting.user()
        head = alice.head(alice.day_key(20_000), NOON)
        setting.register(setting.registration(alice, head=head))
        setting.point.circuit_closed(1)

        refusal = setting.point.check_publication(1, head.encode(), now=setting.now)

        assert refusal is PublicationRefusal.NOT_AGREED

    def test_publications_have_a_rate(self):
        setting = Setting(publications_per_minute=2)
        alice = setting.user()
        head = alice.head(alice.day_key(20_000), NOON)
        setting.register(setting.registration(alice, head=head))

        outcomes = [
            setting.point.check_publication(1, head.encode(), now=setting.now)
            for _ in range(3)
        ]

        assert outcomes == [None, None, PublicationRefusal.TOO_OFTEN]


class TestTags:
    def test_tag_of_another_user_cannot_be_taken(self, setting):
        alice, mallory = setting.user(1), setting.user(2)
        tag = setting.served(alice, 1)
        stolen = replace(mallory.place(RELAY.public), tag=tag)

        reason = setting.refusal_of(setting.registration(mallory, 2, place=stolen), 2)

        assert reason is RegistrationRefusal.TAG
        assert setting.route(3, tag) == 1

    def test_tag_moves_with_its_user_to_a_new_circuit(self, setting):
        alice = setting.user()
        place = alice.place(RELAY.public)
        setting.served(alice, 1, place=place)

        setting.served(alice, 2, place=place)
        setting.point.circuit_closed(1)

        assert setting.route(3, place.tag) == 2
        assert setting.point.tags_served == 1

    def test_tag_ends_with_its_circuit(self, setting):
        tag = setting.served(setting.user(), 1)

        setting.point.circuit_closed(1)
        setting.point.circuit_closed(1)

        assert setting.route(2, tag) is IntroductionStatus.NO_SUCH_TAG
        assert setting.point.tags_served == 0

    def test_tag_ends_with_its_registration(self, setting):
        tag = setting.served(setting.user(), 1)
        setting.unix_now += 1_800

        assert setting.route(2, tag) is IntroductionStatus.NO_SUCH_TAG
        setting.point.sweep(setting.unix_now)
        assert setting.point.tags_served == 0

    def test_ended_tag_is_free_for_others(self, setting):
        tag = setting.served(setting.user(1), 1)
        setting.unix_now += 1_801
        bob = setting.user(2)
        place = replace(bob.place(RELAY.public), tag=tag)

        setting.served(bob, 2, place=place)

        assert setting.route(3, tag) == 2

    def test_a_further_tag_ends_the_circuits_oldest(self):
        setting = Setting(tags_per_circuit=2)
        alice = setting.user()
        tags = [setting.served(alice, 1) for _ in range(3)]

        statuses = [
            setting.route(10 + i, tag, bytes([i]) * 1_504) for i, tag in enumerate(tags)
        ]

        assert statuses == [IntroductionStatus.NO_SUCH_TAG, 1, 1]

    def test_full_point_refuses_newcomers_but_renews_residents(self):
        setting = Setting(max_tags=2)
        people = [setting.user(seed) for seed in range(3)]
        places = [person.place(RELAY.public) for person in people]
        for circuit in (0, 1):
            setting.served(people[circuit], circuit, place=places[circuit])

        newcomer = setting.registration(people[2], 2, place=places[2])

        assert setting.refusal_of(newcomer, 2) is RegistrationRefusal.FULL
        setting.served(people[0], 0, place=places[0])
        setting.unix_now += 1_801
        setting.served(people[2], 2, place=places[2])
        assert setting.point.tags_served == 1


def test_one_user_cannot_fill_the_point():
    setting = Setting(max_tags=100, tags_per_user=3)
    greedy, other = setting.user(1), setting.user(2)

    for circuit in (1, 2, 3):
        setting.served(greedy, circuit)
        setting.unix_now += 1
    more = setting.registration(greedy, 4)
    assert setting.refusal_of(more, 4) is RegistrationRefusal.FULL
    setting.served(other, 5)

    setting.close(1)
    setting.served(greedy, 4)
    assert setting.point.tags_served == 4


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


class TestIntroductions:
    def test_introduction_goes_to_the_registered_circuit(self, setting):
        tag = setting.served(setting.user(), 1)

        assert setting.route(2, tag) == 1

    def test_unknown_tag_is_told(self, setting):
        assert setting.route(2, bytes(16)) is IntroductionStatus.NO_SUCH_TAG

    def test_replayed_introduction_is_refused(self, setting):
        tag = setting.served(setting.user(), 1)
        other = setting.served(setting.user(2), 4)
        setting.route(2, tag)

        assert setting.route(3, tag) is IntroductionStatus.REFUSED
        assert setting.route(5, other) is IntroductionStatus.REFUSED
        setting.unix_now += 179
        assert setting.route(6, tag) is IntroductionStatus.REFUSED
        assert setting.route(7, tag, b"t" * 1_504) == 1

    def test_one_circuit_introduces_once(self, setting):
        tag = setting.served(setting.user(), 1)
        setting.route(2, tag)

        again = setting.route(2, tag, b"t" * 1_504)

        assert again is IntroductionStatus.REFUSED
        setting.close(2)
        assert setting.route(2, tag, b"u" * 1_504) == 1

    def test_guessing_tags_costs_a_circuit_each(self, setting):
        tag = setting.served(setting.user(), 1)
        setting.route(2, bytes(16))

        assert setting.route(2, tag) is IntroductionStatus.REFUSED

    def test_registered_circuit_does_not_introduce(self, setting):
        tag = setting.served(setting.user(), 1)

        assert setting.route(1, tag) is IntroductionStatus.REFUSED

    @pytest.mark.parametrize("data", [b"", bytes(1_519), bytes(1_521)])
    def test_malformed_introduction_is_refused(self, setting, data):
        status = setting.point.route_introduction(
            2, data, now=0.0, unix_now=setting.unix_now
        )

        assert status is IntroductionStatus.REFUSED

    def test_a_tag_is_rung_so_often_a_minute_at_most(self):
        setting = Setting(introductions_per_minute=30)
        tag = setting.served(setting.user(), 1)

        def ring(i):
            return setting.route(2 + i, tag, i.to_bytes(2) * 752)

        rung = [ring(i) for i in range(31)]
        assert rung == [1] * 30 + [IntroductionStatus.BUSY]
        setting.unix_now += 60
        assert ring(31) == 1

    def test_moving_a_tag_does_not_reset_its_rate(self):
        setting = Setting(introductions_per_minute=1)
        alice = setting.user()
        place = alice.place(RELAY.public)
        tag = setting.served(alice, 1, place=place)
        setting.route(2, tag)
        setting.served(alice, 3, place=place)

        assert setting.route(4, tag, b"t" * 1_504) is IntroductionStatus.BUSY

    def test_introductions_under_way_are_bounded(self):
        setting = Setting(pending_introductions=1)
        tag = setting.served(setting.user(), 1)
        setting.route(2, tag)

        assert setting.route(3, tag, b"t" * 1_504) is IntroductionStatus.BUSY
        setting.point.introduction_ended()
        assert setting.route(4, tag, b"u" * 1_504) == 1

    def test_full_memory_of_replays_answers_busy_and_recovers(self):
        setting = Setting(remembered_introductions=1)
        tag = setting.served(setting.user(), 1)
        setting.route(2, tag)

        assert setting.route(3, tag, b"t" * 1_504) is IntroductionStatus.BUSY
        setting.unix_now += 180
        assert setting.route(4, tag, b"u" * 1_504) == 1

    def test_introducing_circuits_are_bounded(self):
        setting = Setting(max_introducing_circuits=1)
        tag = setting.served(setting.user(), 1)
        setting.route(2, tag)

        assert setting.route(3, tag, b"t" * 1_504) is IntroductionStatus.BUSY


def test_closing_everything_leaves_nothing(setting):
    for circuit in range(1, 4):
        setting.served(setting.user(circuit), circuit)
    for circuit in range(10):
        setting.point.circuit_closed(circuit)

    assert setting.point.tags_served == 0


class TestAbsence:
    def test_a_tag_is_here_then_away_then_nowhere(self, setting):
        alice = setting.user()
        place = alice.place(RELAY.public)
        states = [setting.point.tag_state(place.tag, setting.unix_now)]
        setting.served(alice, place=place)
        states.append(setting.point.tag_state(place.tag, setting.unix_now))
        self.sign_off(setting, alice, place)
        states.append(setting.point.tag_state(place.tag, setting.unix_now))
        setting.unix_now += 40_000
        states.append(setting.point.tag_state(place.tag, setting.unix_now))

        assert states == [TagState.NONE, TagState.HERE, TagState.AWAY, TagState.NONE]

    def test_introductions_for_who_has_signed_off_reach_no_circuit(self, setting):
        alice = setting.user()
        place = alice.place(RELAY.public)
        setting.served(alice, place=place)
        self.sign_off(setting, alice, place)

        assert setting.route(2, place.tag) is IntroductionStatus.ABSENT
        setting.close(1)
        assert setting.route(3, place.tag) is IntroductionStatus.ABSENT
        assert setting.point.tags_served == 0

    def test_a_mailbox_cannot_be_taken_by_another_user(self, setting):
        alice, mallory = setting.user(1), setting.user(2)
        place = alice.place(RELAY.public)
        self.sign_off(setting, alice, place)
        stolen = replace(mallory.place(RELAY.public), tag=place.tag)

        reason = setting.refusal_of(setting.registration(mallory, 2, place=stolen), 2)

        assert reason is RegistrationRefusal.TAG

    def test_who_comes_back_under_the_tag_is_reached_again(self, setting):
        alice = setting.user()
        place = alice.place(RELAY.public)
        self.sign_off(setting, alice, place)
        setting.served(alice, 3, place=place)

        assert setting.route(4, place.tag) == 3

    def test_absence_under_both_periods_is_told_of_once(self, setting):
        alice = setting.user()
        place = alice.place(RELAY.public)
        sequence = alice.head(alice.day_key(20_000), setting.unix_now).sequence
        for period in (20_000, 20_001):
            day = alice.day_key(period)
            head = alice.head(day, setting.unix_now, lifetime=50_000)
            head = replace(head, sequence=sequence)
            setting.register(setting.registration(alice, head=head, place=place))

        assert setting.changes == [(place.tag, Change.ABSENT, sequence)]

    def test_a_status_is_told_of_and_moves_nothing(self, setting):
        alice = setting.user()
        place = alice.place(RELAY.public)
        setting.served(alice, place=place)
        head = alice.head(alice.day_key(20_000), setting.unix_now)
        head = replace(head, slot=STATUS_SLOT)

        setting.register(setting.registration(alice, 5, head=head, place=place), 5)

        assert setting.changes == [(place.tag, Change.STATUS, head.sequence)]
        assert setting.route(2, place.tag) == 1

    def test_the_end_of_a_circuit_and_of_a_registration_is_told_of(self, setting):
        tags = [setting.served(setting.user(n), n) for n in (1, 2)]
        setting.point.circuit_closed(1)
        setting.unix_now += 1_801
        setting.point.sweep(setting.unix_now)

        assert [change[:2] for change in setting.changes] == [
            (tag, Change.GONE) for tag in tags
        ]

    @staticmethod
    def sign_off(setting, user, place, lifetime=40_000):
        day = user.day_key(20_000)
        head = user.head(day, setting.unix_now, lifetime=lifetime)
        setting.register(setting.registration(user, head=head, place=place))
