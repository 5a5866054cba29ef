"""Sending from one account (discovery/transactions/sender.py, following.py)."""

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.transactions.call import Call
from discovery.transactions.client import Endpoints
from discovery.transactions.config import SenderConfig
from discovery.transactions.errors import (
    AccountBusyError,
    ChainUnreachableError,
    FeeLimitError,
    ForgottenError,
    InsufficientFundsError,
    NonceTakenError,
    RevertedError,
    StillPendingError,
    TransactionRefusedError,
    WrongChainError,
)
from discovery.transactions.fees import GWEI, FeeLimits
from discovery.transactions.journal import MAX_ATTEMPTS
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet
from psp.errors import ConfigError
from psp.runtime.rpc import RpcError
from psp.runtime.statefile import StateFile
from psp.testing.payments import GAS, PaymentChain, ProcessKilled
from psp.testing.simloop import run_simulation

WALLET = Wallet(b"\x01" * 32)
TARGET = b"t" * 20


class Rig:
    """A chain, its endpoints, and any number of processes that send."""

    def __init__(self, path, endpoints=1):
        self.chain = PaymentChain(WALLET.address)
        self.endpoints = [self.chain.endpoint() for _ in range(endpoints)]
        self.path = path / "operator.key"
        self.miner = None

    def sender(self, *, limits=None, chain_id=1337, **config):
        endpoints = Endpoints(self.endpoints, chain_id)
        return Sender(
            WALLET, endpoints, self.path, limits=limits, config=SenderConfig(**config)
        )

    async def something_waits(self):
        while not self.chain.pool:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)

    async def something_is_mined(self):
        while not self.chain.mined:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)

    def start_mining(self):
        self.miner = asyncio.create_task(self.chain.mine_for_ever())


def run(tmp_path, main, *, endpoints=1, is_mining=True):
    async def simulated(_):
        rig = Rig(tmp_path, endpoints)
        if is_mining:
            rig.start_mining()
        try:
            return await main(rig)
        finally:
            if rig.miner is not None:
                rig.miner.cancel()

    return run_simulation(simulated)


def call(number=1, value=5):
    return Call(TARGET, bytes([number]), value, f"do {number}")


def actions(chain):
    return [payment.data for payment in chain.mined]


def test_actions_are_mined_one_after_another(tmp_path):
    async def main(rig):
        sender = rig.sender()

        outcomes = [await sender.send(call(n)) for n in (1, 2, 3)]

        assert actions(rig.chain) == [b"\x01", b"\x02", b"\x03"]
        assert [o.receipt.hash for o in outcomes] == [p.hash for p in rig.chain.mined]
        assert outcomes[0].receipt.cost == GAS * (GWEI + GWEI // 10)
        assert not any(o.is_resumed or o.is_cancelled for o in outcomes)
        assert await sender.pending() is None

    run(tmp_path, main)


def test_tasks_of_one_process_send_in_turn(tmp_path):
    async def main(rig):
        sender = rig.sender()

        await asyncio.gather(*(sender.send(call(n)) for n in range(1, 6)))

        assert sorted(actions(rig.chain)) == [bytes([n]) for n in range(1, 6)]

    run(tmp_path, main)


def test_cost_is_shown_before_sending_and_nothing_is_sent(tmp_path):
    async def main(rig):
        cost = await rig.sender().estimate(call(value=7))
        dry = await rig.sender().dry_run(call(value=7))

        assert cost.gas == GAS
        assert cost.expected == GAS * (GWEI + GWEI // 10)
        assert cost.maximum == cost.gas_limit * (2 * GWEI + GWEI // 10)
        assert (cost.value, cost.balance) == (7, 10**18)
        assert dry.cost == cost
        assert dry.result == b""
        assert not rig.chain.pool

    run(tmp_path, main, is_mining=False)


def test_plain_payment_takes_what_payments_take(tmp_path):
    async def main(rig):
        outcome = await rig.sender().send(Call(TARGET, value=10**17))

        assert rig.chain.mined[0].gas == outcome.receipt.gas_used == 21_000

    run(tmp_path, main)


def test_too_little_money_is_said_before_anything_is_signed(tmp_path):
    async def main(rig):
        sender = rig.sender()
        rig.chain.balance = 10**9

        with pytest.raises(InsufficientFundsError) as for_fees:
            await sender.send(call(value=0))
        with pytest.raises(InsufficientFundsError) as for_value:
            await sender.send(call(value=10**18))

        assert for_fees.value.available == 10**9
        assert for_value.value.needed >= 10**18
        assert await sender.pending() is None

    run(tmp_path, main)


@pytest.mark.parametrize(
    ("limits", "which"),
    [
        (FeeLimits(max_fee_per_gas=GWEI), "max_fee_per_gas"),
        (FeeLimits(max_cost=1), "max_cost"),
        (FeeLimits(max_cost_per_period=1), "max_cost_per_period"),
    ],
)
def test_limits_on_fees_forbid_before_anything_is_signed(tmp_path, limits, which):
    async def main(rig):
        sender = rig.sender(limits=limits)

        with pytest.raises(FeeLimitError) as refused:
            await sender.send(call())

        assert refused.value.what == which
        assert await sender.pending() is None

    run(tmp_path, main)


def test_budget_of_a_period_counts_what_was_paid_by_any_process(tmp_path):
    async def main(rig):
        # Room for one at its highest, and what one costs in the end, but not for two.
        limits = FeeLimits(max_cost_per_period=250_000 * GWEI)
        await rig.sender(limits=limits).send(call(1), period=7)
        await rig.sender(limits=limits).send(call(2), period=7)

        with pytest.raises(FeeLimitError, match="max_cost_per_period"):
            await rig.sender(limits=limits).send(call(3), period=7)
        await rig.sender(limits=limits).send(call(3), period=8)

        assert len(rig.chain.mined) == 3

    run(tmp_path, main)


def test_refusal_of_the_contract_costs_nothing_when_it_shows_in_time(tmp_path):
    async def main(rig):
        rig.chain.refused[b"\x01"] = "stake"

        with pytest.raises(RevertedError, match="stake in an active node") as refused:
            await rig.sender().send(call())

        assert refused.value.hash is None
        assert not rig.chain.mined

    run(tmp_path, main)


def test_refusal_when_mined_names_reason_and_cost(tmp_path):
    async def main(rig):
        sender = rig.sender()
        task = asyncio.create_task(sender.send(call()))
        await rig.something_waits()
        rig.chain.refused[b"\x01"] = "outbid"

        with pytest.raises(RevertedError, match="fill all seats") as refused:
            await task

        assert refused.value.hash == rig.chain.mined[0].hash
        assert refused.value.cost > 0
        assert await sender.pending() is None

    run(tmp_path, main)


def test_more_gas_than_a_block_has_is_said_before_anything_is_signed(tmp_path):
    async def main(rig):
        rig.endpoints[0].answers["eth_estimateGas"] = hex(30_000_001)
        sender = rig.sender()

        with pytest.raises(TransactionRefusedError, match="more than a block has"):
            await sender.send(call())

        assert await sender.pending() is None

    run(tmp_path, main)


def test_wrong_chain_is_refused(tmp_path):
    async def main(rig):
        with pytest.raises(WrongChainError) as refused:
            await rig.sender(chain_id=1).send(call())

        assert (refused.value.expected, refused.value.found) == (1, 1337)

    run(tmp_path, main)


def test_dead_endpoints_are_named_as_such(tmp_path):
    async def main(rig):
        for endpoint in rig.endpoints:
            endpoint.is_dead = True

        with pytest.raises(ChainUnreachableError, match="none of 3 endpoints"):
            await rig.sender().send(call())

    run(tmp_path, main, endpoints=3)


def test_one_living_endpoint_is_enough(tmp_path):
    async def main(rig):
        rig.endpoints[0].is_dead = rig.endpoints[2].is_dead = True

        await rig.sender().send(call())

        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main, endpoints=3)


def test_endpoints_may_die_while_a_transaction_waits(tmp_path):
    async def main(rig):
        task = asyncio.create_task(rig.sender().send(call()))
        await rig.something_waits()
        rig.endpoints[0].is_dead = True
        await asyncio.sleep(100)
        rig.endpoints[0].is_dead = False

        await task

        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main)


def test_what_is_not_mined_in_time_is_taken_up_again(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError, match="do 1"):
            await rig.sender().send(call(1))
        pending = await rig.sender().pending()
        rig.start_mining()

        outcome = await rig.sender().resume()

        assert pending.call == call(1)
        assert outcome.is_resumed
        assert actions(rig.chain) == [b"\x01"]
        assert await rig.sender().resume() is None

    run(tmp_path, main, is_mining=False)


def test_same_action_again_is_the_one_under_way(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError):
            await rig.sender().send(call(1))
        rig.start_mining()

        outcome = await rig.sender().send(call(1))

        assert outcome.is_resumed
        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main, is_mining=False)


def test_another_action_waits_for_the_one_under_way(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError):
            await rig.sender().send(call(1))
        rig.start_mining()

        outcome = await rig.sender().send(call(2))

        assert not outcome.is_resumed
        assert actions(rig.chain) == [b"\x01", b"\x02"]

    run(tmp_path, main, is_mining=False)


def test_stuck_transaction_is_replaced_by_one_that_offers_more(tmp_path):
    async def main(rig):
        task = asyncio.create_task(rig.sender().send(call()))
        await rig.something_waits()
        first = rig.chain.pool[0]
        rig.chain.base_fee = 4 * GWEI

        outcome = await task

        assert actions(rig.chain) == [b"\x01"]
        assert outcome.receipt.hash != first.hash
        assert rig.chain.mined[0].nonce == first.nonce

    run(tmp_path, main)


def test_replacement_above_the_limit_is_not_made(tmp_path):
    async def main(rig):
        sender = rig.sender(limits=FeeLimits(max_fee_per_gas=2 * GWEI))
        task = asyncio.create_task(sender.send(call()))
        await rig.something_waits()
        first = rig.chain.pool[0]
        rig.chain.base_fee = 4 * GWEI
        await asyncio.sleep(500)
        assert rig.chain.pool[0] == first
        rig.chain.base_fee = GWEI

        await task

        assert rig.chain.mined == [first]

    run(tmp_path, main)


def test_endpoint_that_wants_more_is_offered_more_at_once(tmp_path):
    async def main(rig):
        rig.chain.floor = 3 * GWEI

        await rig.sender().send(call())

        assert rig.chain.mined[0].max_fee >= 3 * GWEI

    run(tmp_path, main)


def test_transaction_that_nobody_takes_stays_until_it_is_cancelled(tmp_path):
    async def main(rig):
        def refuse(*_):
            raise RpcError(-32000, "exceeds block gas limit")

        rig.endpoints[0].answers["eth_sendRawTransaction"] = refuse
        sender = rig.sender()
        for number in (1, 2):
            with pytest.raises(TransactionRefusedError, match="exceeds block gas"):
                await sender.send(call(number))
        assert (await sender.pending()).call == call(1)
        del rig.endpoints[0].answers["eth_sendRawTransaction"]

        outcome = await sender.cancel()

        assert outcome.is_cancelled
        assert outcome.call == call(1)
        assert actions(rig.chain) == [b""]
        await sender.send(call(1))
        assert actions(rig.chain) == [b"", b"\x01"]
        assert await sender.cancel() is None

    run(tmp_path, main)


def test_money_that_is_gone_when_it_is_sent_is_said(tmp_path):
    async def main(rig):
        sender = rig.sender()

        def spend(_):
            rig.chain.balance = 10**9

        with pytest.raises(InsufficientFundsError) as refused:
            await sender.send(call(), on_signed=spend)
        assert refused.value.available == 10**9
        rig.chain.balance = 10**18

        outcome = await sender.send(call())

        assert outcome.is_resumed
        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main)


def test_endpoint_that_complains_of_money_without_reason_is_quoted(tmp_path):
    async def main(rig):
        def refuse(*_):
            raise RpcError(-32000, "insufficient funds, I say")

        rig.endpoints[0].answers["eth_sendRawTransaction"] = refuse

        with pytest.raises(TransactionRefusedError, match="I say"):
            await rig.sender().send(call())

    run(tmp_path, main)


def test_endpoint_that_wants_more_than_allowed_is_not_given_it(tmp_path):
    async def main(rig):
        rig.chain.floor = 10**6 * GWEI
        sender = rig.sender(limits=FeeLimits(max_fee_per_gas=3 * GWEI))

        with pytest.raises(FeeLimitError, match="max_fee_per_gas"):
            await sender.send(call())
        pending = await sender.pending()
        assert pending.attempts[-1].fees.max_fee <= 3 * GWEI

    run(tmp_path, main)


def test_endpoint_that_always_wants_more_is_given_up_and_can_be_cancelled(tmp_path):
    async def main(rig):
        rig.chain.floor = 10**6 * GWEI
        rig.chain.balance = 10**24
        limits = FeeLimits(10**8 * GWEI, 10**8 * GWEI, 10**24, 10**24)
        sender = rig.sender(limits=limits)
        with pytest.raises(TransactionRefusedError, match="underpriced"):
            await sender.send(call())
        with pytest.raises(TransactionRefusedError, match="underpriced"):
            await sender.cancel()
        rig.chain.floor = 0

        outcome = await sender.cancel()

        assert outcome.is_cancelled
        assert actions(rig.chain) == [b""]

    run(tmp_path, main)


def test_nothing_is_added_to_what_was_tried_too_often(tmp_path):
    async def main(rig):
        rig.chain.floor = 10**6 * GWEI
        rig.chain.balance = 10**24
        limits = FeeLimits(10**8 * GWEI, 10**8 * GWEI, 10**24, 10**24)
        sender = rig.sender(limits=limits)
        for attempt in (sender.send(call()), sender.cancel(), sender.cancel()):
            with pytest.raises(TransactionRefusedError):
                await attempt

        assert len((await sender.pending()).attempts) == MAX_ATTEMPTS

    run(tmp_path, main)


def test_refusal_that_does_not_repeat_is_said_too(tmp_path):
    async def main(rig):
        task = asyncio.create_task(rig.sender().send(call()))
        await rig.something_waits()
        rig.chain.refused[b"\x01"] = "outbid"
        rig.endpoints[0].answers["eth_call"] = "0x"

        with pytest.raises(RevertedError, match="no reason given"):
            await task

    run(tmp_path, main)


def test_journal_of_another_form_is_named(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        (path,) = tmp_path.glob("*.nonces")
        file = StateFile(path, form="psp-nonces", version=1)
        file.save({"next_nonce": "many"})

        with pytest.raises(ConfigError, match=path.name):
            await rig.sender().pending()

    run(tmp_path, main)


def test_cancelling_may_come_too_late(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError):
            await rig.sender().send(call(1))
        rig.chain.mine()
        rig.start_mining()

        outcome = await rig.sender().cancel()

        assert not outcome.is_cancelled
        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main, is_mining=False)


def test_another_program_with_the_same_key_is_noticed(tmp_path):
    async def main(rig):
        with pytest.raises(StillPendingError):
            await rig.sender().send(call(1))
        rig.chain.pool.clear()
        (tmp_path / "other").mkdir(mode=0o700)
        other = Rig(tmp_path / "other")
        other.chain, other.endpoints = rig.chain, rig.endpoints
        rig.start_mining()
        await other.sender().send(call(9))

        outcome = await rig.sender().send(call(2))

        assert outcome.call == call(2)
        assert actions(rig.chain) == [b"\x09", b"\x02"]

    run(tmp_path, main, is_mining=False)


def test_nonce_that_another_program_takes_meanwhile_is_said(tmp_path):
    async def main(rig):
        task = asyncio.create_task(rig.sender().send(call(1)))
        await rig.something_waits()
        rig.chain.pool.clear()
        (tmp_path / "other").mkdir(mode=0o700)
        other = Rig(tmp_path / "other")
        other.chain, other.endpoints = rig.chain, rig.endpoints
        await other.sender().send(call(9))

        with pytest.raises(NonceTakenError):
            await task

        assert await rig.sender().pending() is None
        assert actions(rig.chain) == [b"\x09"]

    run(tmp_path, main)


def test_one_liar_cannot_make_us_believe_that_the_nonce_is_taken(tmp_path):
    async def main(rig):
        liar = rig.endpoints[0]
        liar.answers["eth_getTransactionCount"] = "0xffff"
        liar.answers["eth_getTransactionReceipt"] = None

        await rig.sender().send(call(1))
        await rig.sender().send(call(2))

        assert [payment.nonce for payment in rig.chain.mined] == [0, 1]

    run(tmp_path, main, endpoints=3)


def test_one_liar_cannot_make_us_believe_that_it_is_mined(tmp_path):
    async def main(rig):
        def receipt(transaction):
            return {
                "transactionHash": transaction,
                "blockNumber": "0x1",
                "gasUsed": "0x1",
                "effectiveGasPrice": "0x1",
                "status": "0x0",
                "logs": [],
                "contractAddress": None,
            }

        rig.endpoints[0].answers["eth_getTransactionReceipt"] = receipt

        outcome = await rig.sender().send(call(1))

        assert outcome.receipt.is_success
        assert actions(rig.chain) == [b"\x01"]

    run(tmp_path, main, endpoints=3)


def test_lagging_endpoint_does_not_give_a_nonce_twice(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        rig.endpoints[0].lag = 1

        await rig.sender().send(call(2))

        assert [payment.nonce for payment in rig.chain.mined] == [0, 1]

    run(tmp_path, main)


def test_mined_transaction_that_a_reorganisation_drops_is_sent_again(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        rig.miner.cancel()
        while rig.chain.mined:
            rig.chain.drop_block()
        rig.start_mining()

        await rig.sender().send(call(2))

        assert actions(rig.chain) == [b"\x01", b"\x02"]

    run(tmp_path, main)


def test_reorganisation_while_waiting_for_depth_is_waited_out(tmp_path):
    async def main(rig):
        sender = rig.sender(confirmations=3)
        task = asyncio.create_task(sender.send(call(1)))
        await rig.something_is_mined()
        rig.chain.drop_block()
        assert not rig.chain.mined

        outcome = await task

        assert actions(rig.chain) == [b"\x01"]
        assert rig.chain.blocks[-1].number - outcome.receipt.block + 1 >= 3

    run(tmp_path, main)


def test_chain_that_was_set_back_is_named(tmp_path):
    async def main(rig):
        for number in range(1, 12):
            await rig.sender().send(call(number))
        rig.chain.blocks = rig.chain.blocks[:1]

        with pytest.raises(ForgottenError, match=r"move .* away") as refused:
            await rig.sender().send(call(99))

        assert (refused.value.expected, refused.value.found) == (11, 0)

    run(tmp_path, main)


def test_chain_set_up_anew_has_a_journal_of_its_own(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        rig.chain.blocks = rig.chain.blocks[:1]
        block = {"hash": "0x" + "77" * 32}
        endpoint = rig.endpoints[0]

        def blocks(number, _):
            return (
                block if number == "0x0" else endpoint._eth_getBlockByNumber(number, _)
            )

        endpoint.answers["eth_getBlockByNumber"] = blocks

        await rig.sender().send(call(2))

        assert [payment.nonce for payment in rig.chain.mined] == [0]

    run(tmp_path, main)


def test_account_in_use_by_another_process_is_waited_for_and_then_said(tmp_path):
    async def main(rig):
        slow = asyncio.create_task(rig.sender().send(call(1)))
        await rig.something_waits()

        with pytest.raises(AccountBusyError):
            await rig.sender(lock_wait=30.0).send(call(2))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        rig.start_mining()
        await rig.sender(lock_wait=30.0).send(call(2))

        assert actions(rig.chain) == [b"\x01", b"\x02"]

    run(tmp_path, main, is_mining=False)


def test_damaged_journal_is_named(tmp_path):
    async def main(rig):
        await rig.sender().send(call(1))
        (file,) = tmp_path.glob("*.nonces")
        file.write_bytes(b"{}")

        with pytest.raises(ConfigError, match=file.name):
            await rig.sender().send(call(2))

    run(tmp_path, main)


def test_hash_is_told_before_the_transaction_leaves(tmp_path):
    async def main(rig):
        told = []

        def listen(transaction):
            assert not rig.chain.pool
            told.append(transaction)

        await rig.sender().send(call(1), on_signed=listen)

        assert told == [rig.chain.mined[0].hash]

    run(tmp_path, main)


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
