"""No action is mined twice, whoever is killed and whatever goes wrong."""

import asyncio
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.transactions.errors import (
    ChainUnreachableError,
    ForgottenError,
    StillPendingError,
)
from discovery.transactions.fees import GWEI
from psp.testing.payments import ProcessKilled
from tests.unit.discovery.transactions.rig import actions, call, run


def test_process_killed_at_any_question_never_pays_twice(tmp_path):
    """Kill before and after each single step of a sending, one run each."""

    def killed_at(step, directory):
        async def main(rig):
            steps = itertools.count()

            def count(_):
                if next(steps) == step:
                    raise ProcessKilled

            rig.endpoints[0].before = rig.endpoints[0].after = count
            was_killed = False
            try:
                await rig.sender().send(call(1))
            except ProcessKilled:
                was_killed = True
            rig.endpoints[0].before = rig.endpoints[0].after = lambda _: None
            if was_killed:
                await rig.sender().send(call(1))
            await rig.sender().send(call(2))

            assert actions(rig.chain) == [b"\x01", b"\x02"]
            return was_killed

        return run(directory, main)

    for step in itertools.count():
        directory = tmp_path / str(step)
        directory.mkdir(mode=0o700)
        if not killed_at(step, directory):
            break

    assert step > 20


MISHAPS = st.one_of(
    st.tuples(st.just("kill"), st.integers(0, 40)),
    st.tuples(st.just("mine"), st.integers(1, 6)),
    st.tuples(st.just("drop block"), st.just(0)),
    st.tuples(st.just("forget pool"), st.just(0)),
    st.tuples(st.just("base fee"), st.integers(1, 6)),
    st.tuples(st.just("die"), st.integers(0, 2)),
)


class Story:
    """Many processes send many actions while everything goes wrong."""

    def __init__(self, rig):
        self.rig = rig
        self.done = []
        self.number = 0

    async def suffer(self, mishap, amount):
        match mishap:
            case "kill":
                if not await self.send(kill_at=amount):
                    self.number -= 1  # whoever was killed does the same again
            case "mine":
                for _ in range(amount):
                    self.rig.chain.mine()
                await self.send()
            case "drop block":
                if len(self.rig.chain.blocks) > 1:
                    self.rig.chain.drop_block()
            case "forget pool":
                self.rig.chain.pool.clear()
            case "base fee":
                self.rig.chain.base_fee = amount * GWEI
            case "die":
                endpoint = self.rig.endpoints[amount]
                endpoint.is_dead = not endpoint.is_dead

    async def send(self, kill_at=None):
        steps = itertools.count()

        def step(_):
            if kill_at is not None and next(steps) == kill_at:
                raise ProcessKilled

        for endpoint in self.rig.endpoints:
            endpoint.before = endpoint.after = step
        self.number += 1
        sender = self.rig.sender(give_up_after=100.0, catch_up=20.0)
        try:
            await sender.send(call(self.number))
        except (StillPendingError, ChainUnreachableError, ForgottenError):
            return True
        except ProcessKilled:
            return False
        self.done.append(bytes([self.number]))
        return True


@settings(max_examples=40, deadline=None)
@given(st.lists(MISHAPS, max_size=14))
def test_no_action_is_ever_mined_twice_whatever_goes_wrong(tmp_path_factory, mishaps):
    async def main(rig):
        story = Story(rig)
        rig.miner = asyncio.create_task(rig.chain.mine_for_ever(40.0))
        for mishap, amount in mishaps:
            await story.suffer(mishap, amount)
        for endpoint in rig.endpoints:
            endpoint.is_dead = False
        rig.chain.base_fee = GWEI
        await story.send()

        made = actions(rig.chain)
        assert len(set(made)) == len(made)
        assert [payment.nonce for payment in rig.chain.mined] == list(range(len(made)))
        if bytes([story.number]) in story.done:
            assert set(story.done) <= set(made)

    run(tmp_path_factory.mktemp("story"), main, endpoints=3, is_mining=False)
