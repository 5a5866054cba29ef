"""Handing over: all of it, to everybody it belongs to, however they behave."""

import asyncio
from collections import Counter

import pytest

from presence.config import DhtConfig, PresenceConfig
from presence.dht.messages import (
    HandOver,
    Offer,
    Refused,
    Stored,
    Wanted,
    decode_request,
    encode,
)
from psp.testing.simloop import run_simulation
from psp.units import Seconds, UnixTime


class Change:
    """Ten relays are elected, and then ten others; a further ten never are."""

    def __init__(self, new_world, **settings):
        config = PresenceConfig(dht=DhtConfig(**settings))
        self.world = new_world(10, 20, config=config)
        self.links = self.world.links
        self.old, self.new = self.world.relays[:10], self.world.relays[10:20]
        self.point = self.world.relays[-1]
        self.asked: Counter[type] = Counter()
        for relay in self.world.relays:
            self.links.tampers[relay.node_id] = self.watch

    def watch(self, peer, request, answer):
        self.asked[type(decode_request(request))] += 1
        return answer

    async def publish(self, count=1):
        users = [self.world.user() for _ in range(count)]
        for user in users:
            await self.announce(user)
        return users

    async def announce(self, user):
        circuit = self.point.circuits.open()
        await user.appear(circuit, self.point.node_id, self.world.clock())

    async def elect(self, relays=None, *, within=8.0):
        since = UnixTime(int(self.world.clock()))
        relays = self.new if relays is None else relays
        self.world.registry.elect([relay.node_id for relay in relays], since)
        await asyncio.sleep(within)

    def kill(self, relays):
        self.links.dead |= {relay.node_id for relay in relays}

    def revive(self):
        self.links.dead.clear()

    def held(self, relays):
        return sum(len(relay.service.records) for relay in relays)

    def total(self, field):
        counts: Counter[str] = Counter()
        for relay in self.world.relays:
            counts += getattr(relay.service.stats, field)
        return counts


@pytest.fixture
def simulate(new_world):
    """Run a test on a change, in virtual time."""

    def run(test, **settings):
        async def main(hub):
            change = Change(new_world, **settings)
            await asyncio.sleep(0)  # every service has seen the first list
            await test(change)
            await change.world.close()

        run_simulation(main, within=Seconds(100_000.0))

    return run


def test_wholly_new_list_holds_everything_within_seconds(simulate):
    async def test(change):
        await change.publish(25)
        assert change.held(change.old) == 8 * 25

        await change.elect()

        assert change.held(change.new) == 8 * 25
        assert change.total("handovers") == {"done": 10}
        given = change.total("records_handed_over")
        assert given.keys() == {"stored"}
        assert given == change.total("records_taken_over")
        assert change.total("handover_failed") == {}

    simulate(test)


def test_each_record_is_given_about_once_though_eight_hold_it(simulate):
    async def test(change):
        await change.publish(40)

        await change.elect()

        # There are 64 pairs of holder and newcomer to each record.
        assert change.held(change.new) == 8 * 40
        assert change.asked[HandOver] < 1.1 * 8 * 40
        assert change.asked[Offer] <= 10 * 10 * 8

    simulate(test)


def test_one_surviving_holder_is_enough(simulate):
    async def test(change):
        await change.publish(20)
        change.kill(change.old[1:])

        await change.elect()

        held = len(change.old[0].service.records)
        assert change.held(change.new) == 8 * held > 0

    simulate(test)


def test_nodes_that_stay_hand_over_to_those_that_come(simulate):
    async def test(change):
        await change.publish(20)
        stay, come = change.old[7:], change.new[:7]
        at_first = change.held(stay)
        change.kill(change.old[:7])

        await change.elect(stay + come)

        known = {raw for relay in stay for raw in relay.service.records.raw_records()}
        assert change.held(stay + come) >= 8 * len(known) - 1
        assert change.held(stay) >= at_first
        assert [relay.service.stats.handovers for relay in stay] == [{"done": 1}] * 3

    simulate(test)


def test_nodes_that_were_near_before_are_not_offered_anything(simulate):
    async def test(change):
        await change.publish(20)

        await change.elect(list(reversed(change.old)))
        assert change.asked[Offer] == 0
        members = change.old[1:] + change.new[:1]
        await change.elect(members)

        # One left: somebody comes in as the eighth, and the one who came may be nearer.
        assert change.held(members) >= 8 * 20
        assert change.asked[HandOver] <= 2 * 20

    simulate(test)


def test_newcomer_that_does_not_answer_is_tried_until_it_does(simulate):
    async def test(change):
        await change.publish(20)
        change.kill(change.new[:3])
        await change.elect(within=60.0)
        offers = change.total("handover_failed")["silent"]
        assert 10 * 60 / 5 < offers < 10 * 60
        assert change.held(change.new[3:]) < 8 * 20

        change.revive()
        await asyncio.sleep(10)

        assert change.held(change.new) == 8 * 20
        assert change.total("handovers") == {"done": 10}

    simulate(test)


@pytest.mark.parametrize("reason", ["not_member", "too_often", "stranger", "x" * 16])
def test_newcomer_that_refuses_is_tried_again(simulate, reason):
    async def test(change):
        await change.publish(5)
        late = change.new[0]

        def refuse(peer, request, answer):
            return encode(Refused(reason))

        change.links.tampers[late.node_id] = refuse
        await change.elect(within=10.0)
        known = reason if len(reason) < 16 else "malformed"
        assert change.total("handover_failed").keys() == {known}

        change.links.tampers[late.node_id] = change.watch
        await asyncio.sleep(10)
        assert change.total("handovers") == {"done": 10}

    simulate(test)


NONSENSE = {
    "junk": b"\xff" * 30,
    "another kind": encode(Stored("")),
    "everything, twice": encode(Wanted((*range(60), *range(60)))),
    "nothing": encode(Wanted(())),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_newcomer_that_answers_nonsense_costs_the_others_nothing(simulate, kind):
    async def test(change):
        users = await change.publish(20)
        liar = change.new[0]

        def lie(peer, request, answer):
            is_offer = isinstance(decode_request(request), Offer)
            return NONSENSE[kind] if is_offer else encode(Stored(""))

        change.links.tampers[liar.node_id] = lie
        await change.elect()

        honest = change.held(change.new[1:])
        assert honest >= 8 * len(users) - len(users)
        # A holder gives each of its records once, whatever is wanted.
        given = max(
            relay.service.stats.records_handed_over.total() for relay in change.old
        )
        assert given <= 2 * 8 * len(users)

    simulate(test)


def test_what_comes_too_late_is_passed_on(simulate):
    async def test(change):
        (alice,) = await change.publish()
        await change.elect()
        change.kill(change.new)
        await change.announce(alice)
        newest = max(
            relay.service.records.raw_records()[0]
            for relay in change.old
            if relay.service.records.raw_records()
        )
        change.revive()

        await asyncio.sleep(4)

        held = [
            raw for relay in change.new for raw in relay.service.records.raw_records()
        ]
        assert held.count(newest) == 8

    simulate(test)


def test_further_election_ends_one_that_is_under_way(simulate):
    async def test(change):
        await change.publish(10)
        change.kill(change.new)
        await change.elect(within=20.0)

        third = change.world.relays[20:]
        await change.elect(third)

        assert change.held(third) == 8 * 10
        assert change.total("handovers") == {"superseded": 10, "done": 10}

    simulate(test)


def test_who_has_handed_over_does_not_do_so_again_at_the_next_election(simulate):
    async def test(change):
        await change.publish(10)
        await change.elect()
        given = sum(r.service.stats.handovers.total() for r in change.old)

        await change.elect(change.world.relays[20:])

        assert sum(r.service.stats.handovers.total() for r in change.old) == given == 10

    simulate(test)


def test_role_ends_when_its_time_is_over_and_the_store_is_emptied(simulate):
    async def test(change):
        await change.publish(10)
        gone, stays = change.old[0], change.old[1]
        await change.elect([*change.new[:9], stays])
        await asyncio.sleep(1_200 + 280)
        assert gone.service.dht.is_retiring
        assert len(gone.service.records) > 0
        await asyncio.sleep(30)

        assert not gone.service.dht.is_retiring
        assert len(gone.service.records) == 0
        assert len(stays.service.records) > 0
        assert stays.service.dht.is_elected

    simulate(test)


def test_what_nobody_takes_is_given_up_when_the_time_is_over(simulate):
    async def test(change):
        await change.publish(10)
        change.kill(change.new)

        await change.elect(within=1_600.0)

        assert change.total("handovers") == {"out_of_time": 10}
        assert change.held(change.old) == 0
        assert [r.service.dht.to_hand_over for r in change.old] == [0] * 10

    simulate(test)


def test_partners_nodes_hold_the_records_until_somebody_is_elected(simulate):
    async def test(change):
        partners = change.world.relays[20:23]
        change.world.registry.trusted = {relay.node_id for relay in partners}
        await change.elect([])
        await change.publish(10)
        assert change.held(partners) == 3 * 10

        await change.elect()

        assert change.held(change.new) == 8 * 10

    simulate(test)


def test_records_that_ended_are_not_handed_over(simulate):
    async def test(change):
        await change.publish(10)
        await asyncio.sleep(1_801)

        await change.elect()

        assert change.asked[Offer] == change.asked[HandOver] == 0

    simulate(test)


def test_pace_is_kept(simulate):
    async def test(change):
        times: dict[bytes, list[float]] = {}

        def note(peer, request, answer):
            if isinstance(decode_request(request), Offer | HandOver):
                now = asyncio.get_running_loop().time()
                times.setdefault(peer, []).append(now)
            return answer

        await change.publish(40)
        for relay in change.new:
            change.links.tampers[relay.node_id] = note
        await change.elect(within=60.0)

        assert change.held(change.new) == 8 * 40
        for sent in times.values():
            assert len(sent) >= 2
            assert (len(sent) - 1) / (sent[-1] - sent[0]) <= 8 + 1e-6

    simulate(test, handover_rate=8.0)


def test_nobody_hands_over_what_it_does_not_hold(simulate):
    async def test(change):
        await change.elect()

        assert change.total("handovers") == {}
        assert change.links.requests == 0

    simulate(test)
