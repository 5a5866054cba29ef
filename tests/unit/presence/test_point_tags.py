"""The tags of a presence point: whose they are, how many, and until when."""

from dataclasses import replace

from psp.netdoc.registration import RegistrationRefusal
from psp.wire.presence import IntroductionStatus
from tests.unit.presence.point_rig import RELAY, Setting


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


def test_closing_everything_leaves_nothing(setting):
    for circuit in range(1, 4):
        setting.served(setting.user(circuit), circuit)
    for circuit in range(10):
        setting.point.circuit_closed(circuit)

    assert setting.point.tags_served == 0
