"""A presence point while a user is away, and whom it tells of what changes."""

from dataclasses import replace

from presence.point_tables import TagState
from psp.netdoc.presence_record import STATUS_SLOT
from psp.netdoc.registration import RegistrationRefusal
from psp.wire.presence import IntroductionStatus
from psp.wire.watch import Change
from tests.unit.presence.point_rig import RELAY


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
