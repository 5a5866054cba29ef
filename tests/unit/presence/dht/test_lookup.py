"""Crawls against played nodes: the newest wins, nobody breaks or stalls them."""

import asyncio

import pytest
from kademlia.node import Node

from presence.config import DhtConfig
from presence.dht.findings import Reply
from presence.dht.lookup import Lookup
from psp.crypto.keys import SigningKey
from psp.netdoc.presence_record import Refusal
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import NOON, PresenceUser, checked
from psp.testing.simloop import run_simulation

RELAY = SigningKey.generate(SeededEntropy("relay"))
TARGET = Node(bytes(20))


class Crowd:
    """Stands in for the protocol: numbered nodes, the lowest number the nearest."""

    soft_timeout = 0.1

    def __init__(self):
        self.replies = {}
        self.delays = {}
        self.asked = []
        self.tasks = set()

    def spawn(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    async def ask(self, node):
        number = int.from_bytes(node.id)
        self.asked.append(number)
        await asyncio.sleep(self.delays.get(number, 0.01))
        return self.replies.get(number, Reply())


def node(number):
    return Node(number.to_bytes(20))


def records(count):
    user = PresenceUser(SeededEntropy(1))
    return [user.agreed_record(RELAY, NOON) for _ in range(count)]


def new_lookup(crowd, seeds, *, wants_record=True, retiring=None, **limits):
    return Lookup(
        crowd,
        TARGET,
        [node(number) for number in seeds],
        config=DhtConfig(**limits),
        ask=crowd.ask,
        validate=checked if wants_record else None,
        is_retiring=retiring and (lambda each: int.from_bytes(each) in retiring),
    )


def crawl(crowd, seeds, **settings):
    async def main(hub):
        lookup = new_lookup(crowd, seeds, **settings)
        result = await lookup.find()
        now = asyncio.get_running_loop().time()
        for task in crowd.tasks:
            task.cancel()
        return result, now, lookup.agreed.done()

    return run_simulation(main)


def test_the_nearest_that_answer_are_asked_and_no_more():
    crowd = Crowd()

    result, _, _ = crawl(crowd, range(1, 21))

    assert sorted(crowd.asked) == list(range(1, 9))
    assert (result.answered, result.asked) == (8, 8)
    assert result.record is None


def test_nodes_that_are_named_are_followed_to_the_nearest():
    crowd = Crowd()
    for number in range(2, 100):
        crowd.replies[number] = Reply(contacts=(node(number // 2),))

    crawl(crowd, [99])

    assert 1 in crowd.asked


def test_newest_of_all_wins_over_the_many_that_are_stale():
    old, new = records(2)
    crowd = Crowd()
    crowd.replies = {n: Reply(old) for n in range(1, 8)} | {8: Reply(new)}

    result, _, agreed = crawl(crowd, range(1, 9))

    assert result.record.raw == new
    assert result.holders == 1
    assert agreed


def test_quorum_among_six_is_told_before_the_crawl_ends():
    (good,) = records(1)
    crowd = Crowd()
    crowd.replies = {n: Reply(good) for n in range(1, 9)}
    crowd.delays = dict.fromkeys(range(7, 9), 0.09)

    async def main(hub):
        lookup = new_lookup(crowd, range(1, 9))
        task = crowd.spawn(lookup.find())
        await lookup.agreed
        at = asyncio.get_running_loop().time()
        early = lookup.result()
        result = await task
        return at, early, result

    at, early, result = run_simulation(main)
    assert at == pytest.approx(0.01)
    assert early.record.raw == good
    assert early.holders == 6
    assert result.holders == 8


def test_two_voices_are_no_quorum():
    (good,) = records(1)
    crowd = Crowd()
    crowd.replies = {1: Reply(good), 2: Reply(good)}

    result, _, agreed = crawl(crowd, range(1, 9))

    assert result.record.raw == good
    assert not agreed


@pytest.mark.parametrize("junk", [b"", b"x", bytes(450), b"\xff" * 450])
def test_junk_records_are_refused_with_a_reason_and_stop_nothing(junk):
    (good,) = records(1)
    crowd = Crowd()
    crowd.replies = {n: Reply(junk) for n in range(1, 8)} | {8: Reply(good)}

    result, _, _ = crawl(crowd, range(1, 9))

    assert result.record.raw == good
    assert len(result.bad) == 1
    assert result.bad[0] in set(Refusal)


def test_each_different_record_is_checked_once():
    (good,) = records(1)
    crowd = Crowd()
    crowd.replies = {n: Reply(good) for n in range(1, 9)}
    calls = []

    def count(raw):
        calls.append(raw)
        return checked(raw)

    async def main(hub):
        lookup = Lookup(
            crowd,
            TARGET,
            [node(number) for number in range(1, 9)],
            config=DhtConfig(),
            ask=crowd.ask,
            validate=count,
        )
        return await lookup.find()

    assert run_simulation(main).holders == 8
    assert len(calls) == 1


def test_failed_nodes_are_replaced_by_the_next_nearest():
    crowd = Crowd()
    crowd.replies = dict.fromkeys(range(1, 9, 2))

    result, _, _ = crawl(crowd, range(1, 21))

    assert result.answered == 8
    assert result.asked == 12


def test_late_nodes_lose_their_place_but_may_still_answer():
    (good,) = records(1)
    crowd = Crowd()
    crowd.delays = dict.fromkeys(range(1, 9), 0.5)
    crowd.replies = {1: Reply(good)}

    result, took, _ = crawl(crowd, range(1, 13))

    assert result.record.raw == good
    assert set(range(9, 13)) <= set(crowd.asked)
    assert took < 0.8


def test_silent_nodes_are_not_waited_for_once_two_agree():
    (good,) = records(1)
    crowd = Crowd()
    crowd.delays = dict.fromkeys(range(1, 5), 30.0)
    crowd.replies = {n: Reply(good) for n in range(5, 13)}

    result, took, _ = crawl(crowd, range(1, 13))

    assert result.holders == 8
    assert took < 0.3


def test_answers_that_name_ever_nearer_nodes_do_not_swell_the_crawl():
    crowd = Crowd()
    for number in range(1, 1_000):
        nearer = (node(each) for each in range(max(number - 8, 1), number))
        crowd.replies[number] = Reply(contacts=tuple(nearer))

    result, _, _ = crawl(crowd, [999], max_requests=16)

    assert result.asked == 16


def test_a_liars_nodes_never_hide_the_seeds():
    (good,) = records(1)
    crowd = Crowd()
    crowd.replies = {n: Reply(contacts=(node(100),)) for n in range(1, 8)}
    crowd.replies[8] = Reply(good)

    result, _, _ = crawl(crowd, range(1, 9))

    assert result.record.raw == good


def test_nobody_to_ask_is_an_empty_result():
    result, took, _ = crawl(Crowd(), [])

    assert (result.record, result.answered, result.asked, took) == (None, 0, 0, 0.0)


def test_crawl_for_storing_counts_who_took_it():
    crowd = Crowd()
    crowd.replies = {2: None, 3: None}

    result, _, _ = crawl(
        crowd, range(1, 21), wants_record=False, replicas=4, parallelism=4
    )

    assert result.answered == 4
    assert sorted(crowd.asked) == [1, 2, 3, 4, 5, 6]


def test_own_record_is_one_voice():
    old, new = records(2)
    crowd = Crowd()
    crowd.replies = {n: Reply(new) for n in range(1, 3)}

    async def main(hub):
        lookup = new_lookup(crowd, range(1, 9))
        lookup.vote(checked(old), b"own")
        return await lookup.find()

    assert run_simulation(main).record.raw == new


class TestWhileAnElectionIsFresh:
    """Some of the nodes are asked only because they were elected before."""

    def test_twice_as_many_are_asked(self):
        crowd = Crowd()

        result, _, _ = crawl(crowd, range(1, 41), retiring=range(1, 41, 2))

        assert sorted(crowd.asked) == list(range(1, 17))
        assert (result.answered, result.retiring) == (16, 8)

    @pytest.mark.parametrize("retiring", [range(1, 21), range(21, 41)])
    def test_either_list_is_asked_however_near_the_other_is(self, retiring):
        crowd = Crowd()

        result, _, _ = crawl(crowd, range(1, 41), retiring=retiring)

        assert sorted(crowd.asked) == [*range(1, 17), *range(21, 29)]
        assert result.answered == 24

    def test_quorum_of_one_list_waits_for_the_other(self):
        # The elected ones were handed the old record; the new one lies with the retiring.
        old, new = records(2)
        crowd = Crowd()
        crowd.replies = {n: Reply(old) for n in range(1, 9)}
        crowd.replies |= {n: Reply(new) for n in range(9, 17)}
        crowd.delays = dict.fromkeys(range(9, 17), 0.09)

        async def main(hub):
            lookup = new_lookup(crowd, range(1, 17), retiring=range(9, 17))
            task = crowd.spawn(lookup.find())
            await lookup.agreed
            at = asyncio.get_running_loop().time()
            early = lookup.result()
            await task
            return at, early

        at, early = run_simulation(main)
        assert early.record.raw == new
        assert early.holders >= 3
        assert at > 0.09

    def test_late_retiring_nodes_are_waited_for(self):
        old, new = records(2)
        crowd = Crowd()
        crowd.replies = {n: Reply(old) for n in range(1, 9)}
        crowd.replies |= {n: Reply(new) for n in range(9, 17)}
        crowd.delays = dict.fromkeys(range(9, 17), 0.5)

        result, _, _ = crawl(crowd, range(1, 17), retiring=range(9, 17))

        assert result.record.raw == new

    def test_dead_retiring_nodes_delay_nobody_beyond_their_timeout(self):
        (good,) = records(1)
        crowd = Crowd()
        crowd.replies = {n: Reply(good) for n in range(1, 9)}
        crowd.replies |= dict.fromkeys(range(9, 17))
        crowd.delays = dict.fromkeys(range(9, 17), 1.0)

        result, took, agreed = crawl(crowd, range(1, 17), retiring=range(9, 17))

        assert result.holders == 8
        assert took < 1.3
        assert not agreed

    def test_few_that_retire_are_enough_to_be_heard(self):
        (good,) = records(1)
        crowd = Crowd()
        crowd.replies = {n: Reply(good) for n in range(1, 10)}

        result, _, agreed = crawl(crowd, range(1, 10), retiring={9})

        assert agreed
        assert result.retiring == 1

    def test_one_list_is_enough_when_the_other_knows_nothing_of_its_election(self):
        (good,) = records(1)
        crowd = Crowd()
        crowd.replies = dict.fromkeys(range(1, 9))
        crowd.replies |= {n: Reply(good) for n in range(9, 17)}

        result, _, agreed = crawl(crowd, range(1, 17), retiring=range(9, 17))

        assert agreed
        assert (result.answered, result.retiring) == (8, 8)
