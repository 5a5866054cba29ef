"""A member while a new list takes over: retiring, or handed what others held."""

import pytest

from presence.dht.messages import (
    FindNode,
    FindValue,
    HandOver,
    Nodes,
    Offer,
    Ping,
    Pong,
    Refused,
    Store,
    Stored,
    Wanted,
)
from psp.ids import NodeId
from psp.testing.presence import NOON
from tests.unit.presence.dht.protocol_rig import NONCE, Setting, simulated


class TestRetiring:
    """This node is not on the new list; others of its list are."""

    @staticmethod
    def setting(**limits):
        setting = Setting(**limits)
        setting.elect(*setting.ids[1:40], setting.relay)
        return setting

    @simulated
    async def test_it_still_answers_and_stores(self):
        setting = self.setting()
        outer = setting.own_record_near()

        assert await setting.ask(Ping()) == Pong()
        assert isinstance(await setting.ask(FindNode(outer.location)), Nodes)
        stored = await setting.ask(Store(outer.location, outer.raw))
        assert stored == Stored("")
        value = await setting.ask(FindValue(outer.location, 255, NONCE))
        assert value.record == outer.raw
        assert list(setting.protocol.misplaced) == [outer.location]

    @simulated
    async def test_it_still_refuses_what_never_was_its_own(self):
        setting = self.setting()
        outer = setting.own_record_near(is_near=False)

        refused = await setting.ask(Store(outer.location, outer.raw))

        assert refused == Stored("far")
        assert setting.protocol.misplaced == {}

    @simulated
    async def test_when_its_time_is_over_it_is_nobody(self):
        setting = self.setting()
        setting.members.lay_down()

        assert await setting.ask(Ping()) == Refused("not_member")


class TestTakingOver:
    """A new list is in force; the peer is retiring, this node is elected."""

    @staticmethod
    def setting(**limits):
        setting = Setting(**limits)
        setting.peer = setting.ids[79]
        setting.elect(*setting.ids[:40])
        return setting

    @simulated
    async def test_offer_is_answered_with_what_is_lacking(self):
        setting = self.setting()
        outer = setting.record_near()
        far = setting.record_near(is_near=False)
        sequence = outer.head.sequence
        await setting.ask(Store(outer.location, outer.raw))

        answer = await setting.ask(
            Offer(
                (
                    (outer.location, ((0, sequence), (1, 5))),
                    (far.location, ((0, 5),)),
                    (outer.location, ((0, sequence + 1), (2, 0))),
                )
            )
        )

        assert answer == Wanted((1, 8, 10))

    @simulated
    async def test_record_is_kept_in_the_name_of_its_publisher(self):
        setting = self.setting()
        outer = setting.record_near()

        answer = await setting.ask(HandOver(outer.location, outer.raw, setting.relay))

        assert answer == Stored("")
        (held,) = setting.records.held(outer.location, NOON)
        assert held.raw == outer.raw
        assert (held.publisher, held.bringer) == (setting.relay, setting.peer)
        assert setting.stats.records_taken_over == {"stored": 1}
        assert setting.stats.stores == {}

    @pytest.mark.parametrize("brings", ["forged", "far", "stranger's"])
    @simulated
    async def test_records_are_checked_as_any_other(self, brings):
        setting = self.setting()
        outer = setting.record_near(is_near=brings != "far")
        raw, publisher, refusal = outer.raw, setting.relay, "far"
        if brings == "forged":
            raw, refusal = raw[:-1] + bytes([raw[-1] ^ 1]), "signature"
        elif brings == "stranger's":
            publisher, refusal = NodeId(b"x" * 32), "publisher"

        answer = await setting.ask(HandOver(outer.location, raw, publisher))

        assert answer == Stored(refusal)
        assert setting.stats.records_taken_over == {refusal: 1}
        assert len(setting.records) == 0

    @simulated
    async def test_who_was_never_elected_may_not_hand_over(self):
        setting = self.setting()
        outer = setting.record_near()
        requests = [
            Offer(((outer.location, ((0, 5),)),)),
            HandOver(outer.location, outer.raw, setting.relay),
        ]

        for stranger in (setting.relay, NodeId(b"x" * 32)):
            for request in requests:
                answer = await setting.ask(request, stranger)
                assert answer == Refused("stranger")

        assert len(setting.records) == 0

    @simulated
    async def test_nobody_may_when_no_list_has_changed(self):
        setting = Setting()
        outer = setting.record_near()

        answer = await setting.ask(HandOver(outer.location, outer.raw, setting.relay))
        assert answer == Refused("stranger")
        setting = self.setting()
        setting.now += 1_200 + 300
        answer = await setting.ask(Offer(()))
        assert answer == Refused("stranger")

    @simulated
    async def test_one_bringer_cannot_hand_over_without_end(self):
        setting = self.setting(handovers_per_second=2.0)

        answers = [await setting.ask(Offer(())) for _ in range(5)]

        assert answers == [Wanted(())] * 4 + [Refused("too_often")]
        assert await setting.ask(Ping()) == Pong()

    @simulated
    async def test_more_than_a_publisher_may_bring_at_once_comes_from_many(self):
        # 240 stores a minute are one publisher's; a bringer brings what many published.
        setting = self.setting(stores_per_minute=1.0)
        outer = setting.record_near()
        request = HandOver(outer.location, outer.raw, setting.relay)

        answers = [await setting.ask(request) for _ in range(5)]

        assert answers == [Stored("")] * 5

    @simulated
    async def test_what_belongs_to_us_is_not_passed_on(self):
        setting = self.setting(replicas=40)
        outer = setting.record_near()

        await setting.ask(Store(outer.location, outer.raw))

        assert setting.protocol.misplaced == {}
