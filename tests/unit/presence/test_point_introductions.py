"""A presence point passes introductions on, each once and not too many."""

import pytest

from psp.wire.presence import IntroductionStatus
from tests.unit.presence.point_rig import RELAY, Setting


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
