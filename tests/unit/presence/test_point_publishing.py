"""A presence point lets a circuit publish what was agreed to, and nothing else."""

from dataclasses import replace

from presence.point import PublicationRefusal
from tests.unit.presence.point_rig import NOON, Setting


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
