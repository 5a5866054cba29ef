"""A relay's part in elections, in virtual time (discovery/epochs/service.py)."""

import asyncio

import pytest
from structlog.testing import CapturingLogger

from discovery.election import draw_key
from discovery.epochs.config import EpochConfig
from discovery.epochs.driver import Reason
from discovery.epochs.service import EpochService, fee_limits, open_sender
from discovery.transactions.calls import Relays
from discovery.transactions.fees import GWEI
from discovery.transactions.wallet import Wallet
from psp.errors import ConfigError
from psp.runtime.rpc import RpcError
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation
from tests.unit.discovery.epochs.registry_chain import (
    ETHER,
    LENGTH,
    RELAYS,
    SEED,
    WALLET,
    RegistryChain,
)

CALLS = Relays(RELAYS)


class Rig:
    """One chain, one service, and what it said."""

    def __init__(self, directory, *, has_account=True, config=None, **sending):
        self.chain = RegistryChain()
        self.log = CapturingLogger()
        self.heard = []
        config = config or EpochConfig()
        limits = fee_limits(config)
        self.service = EpochService(
            config,
            endpoints=self.chain.endpoints,
            relays=RELAYS,
            number=lambda: 7,
            entropy=SeededEntropy(3),
            log=self.log,
            sender=self.chain.sender(directory, limits, **sending)
            if has_account
            else None,
            on_epoch=self.heard.append,
        )

    def lines(self, event):
        return [call.kwargs for call in self.log.calls if call.args == (event,)]

    @property
    def sent(self):
        return [payment.data for payment in self.chain.payments.mined]


def run(rig, seconds, meanwhile=None):
    async def main(_):
        miner = asyncio.create_task(rig.chain.mine_for_ever())
        rig.service.start()
        if meanwhile is not None:
            await meanwhile()
        await asyncio.sleep(seconds)
        await rig.service.close()
        miner.cancel()

    run_simulation(main)


def test_relay_requests_draws_and_nominates_in_one_epoch(tmp_path):
    rig = Rig(tmp_path)

    run(rig, LENGTH)

    steps = [CALLS.request_seed(), CALLS.reveal_seed(), CALLS.nominate(7)]
    assert rig.sent == [step.data for step in steps]
    assert rig.service.last.reason is Reason.NOMINATED
    assert rig.service.is_nominating
    assert rig.service.stats.fees_gwei == 3 * 50_000 * 11 // 10
    lines = rig.lines("epoch_action")
    assert [line["kind"] for line in lines] == list(rig.service.stats.sent)
    assert all(line["gas"] == 50_000 and line["epoch"] == 4 for line in lines)


def test_epochs_are_told_as_they_begin_and_have_one_line_each(tmp_path):
    rig = Rig(tmp_path)
    rig.chain.values["weights"] = ([0],)

    run(rig, 3 * LENGTH + 200)

    assert rig.heard == [4, 5, 6, 7]
    assert rig.service.epoch == 7
    assert rig.service.stats.epochs == 4
    assert rig.service.stats.idle == {Reason.TOO_LITTLE_STAKE: 4}
    ended = rig.lines("epoch_ended")
    assert [line["epoch"] for line in ended] == [4, 5, 6]
    assert {line["state"] for line in ended} == {Reason.TOO_LITTLE_STAKE}


def test_relay_without_an_account_only_follows(tmp_path):
    rig = Rig(tmp_path, has_account=False)

    run(rig, 2 * LENGTH + 200)

    assert rig.heard == [4, 5, 6]
    assert not rig.sent
    assert not rig.service.is_nominating
    assert rig.lines("epochs_followed") == [{"nominates": False}]
    assert set(rig.chain.endpoint.asked) == {
        "eth_chainId",
        "eth_call",
        "eth_getBlockByNumber",
    }


def test_dead_endpoints_are_borne(tmp_path):
    rig = Rig(tmp_path)
    rig.chain.endpoint.is_dead = True

    async def meanwhile():
        await asyncio.sleep(1_000)
        assert rig.service.epoch is None
        rig.chain.endpoint.is_dead = False

    run(rig, LENGTH - 1_000, meanwhile)

    assert rig.service.stats.unreachable > 10
    assert len(rig.sent) == 3


def test_somebody_elses_work_is_not_done_again(tmp_path):
    rig = Rig(tmp_path)
    rig.chain.values["seed_of"] = (1, SEED)

    run(rig, LENGTH)

    assert rig.sent == [CALLS.nominate(7).data]


def test_list_that_is_better_without_us_costs_nothing(tmp_path):
    rig = Rig(tmp_path)
    own = draw_key(SEED, 7, 5 * ETHER, sortition=True)
    rig.chain.values.update(seed_of=(1, SEED), elected=([own - 1, own - 2, own - 3],))

    run(rig, LENGTH)

    assert not rig.sent
    assert rig.service.last.reason is Reason.OUTBID
    assert rig.service.is_nominating


def test_refusals_of_the_contract_are_bounded_and_said(tmp_path):
    rig = Rig(tmp_path)
    rig.chain.payments.refused[CALLS.request_seed().data] = "set"

    run(rig, LENGTH)

    assert not rig.sent
    assert rig.service.stats.failed == {"RevertedError": 3}
    assert rig.service.stats.idle[Reason.TRIES_SPENT] == 1
    assert "asked for already" in rig.lines("epoch_action_failed")[0]["error"]
    assert {"kind": Reason.TRIES_SPENT} in rig.lines("not_nominated")


def test_account_without_money_is_said_once_an_epoch(tmp_path):
    rig = Rig(tmp_path)
    rig.chain.payments.balance = 1

    run(rig, 2 * LENGTH)

    assert not rig.sent
    assert rig.lines("not_nominated") == [{"kind": Reason.NO_MONEY}] * 2
    assert not rig.service.stats.failed


def test_budget_of_an_epoch_is_kept(tmp_path):
    # Room for one step at its highest fee, not for what one costs and another.
    rig = Rig(tmp_path, config=EpochConfig(max_cost_per_epoch_gwei=540_000.0))

    run(rig, LENGTH)

    assert rig.sent == [CALLS.request_seed().data]
    assert rig.service.stats.failed["FeeLimitError"] > 3


def test_epochs_go_on_while_a_transaction_is_stuck(tmp_path):
    rig = Rig(tmp_path, give_up_after=100_000.0)
    chain = rig.chain.payments

    async def meanwhile():
        while not chain.pool:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(1)
        chain.base_fee = 1_000 * GWEI

    run(rig, 2 * LENGTH, meanwhile)

    assert rig.heard == [4, 5, 6]
    assert chain.pool
    assert not rig.sent


def test_what_a_killed_process_had_sent_is_taken_up(tmp_path):
    first = Rig(tmp_path, give_up_after=100_000.0)
    first.chain.mine_for_ever = first.chain.payments.mine_for_ever

    def forget(*_):
        raise RpcError(-32000, "txpool is full")

    first.chain.endpoint.answers["eth_sendRawTransaction"] = forget
    run(first, LENGTH - 900)
    second = Rig(tmp_path)

    run(second, LENGTH)

    assert first.service.stats.failed["TransactionRefusedError"] > 0
    assert second.sent[0] == CALLS.request_seed().data
    assert second.lines("epoch_action")[0]["resumed"]
    assert len(second.sent) == 3


def test_settings_give_the_limits():
    config = EpochConfig(
        max_fee_gwei=1.5, max_tip_gwei=0.5, max_cost_per_epoch_gwei=1_000.0
    )

    limits = fee_limits(config)

    assert limits.max_fee_per_gas == 3 * GWEI // 2
    assert limits.max_tip_per_gas == GWEI // 2
    assert limits.max_cost == limits.max_cost_per_period == 1_000 * GWEI


def test_account_is_opened_from_its_file(tmp_path):
    chain = RegistryChain()
    key, passphrase = tmp_path / "operator.key", tmp_path / "passphrase"
    passphrase.write_text("word\n")
    passphrase.chmod(0o600)
    made = Wallet.create(key, entropy=SeededEntropy(1), passphrase="word")

    sender = open_sender(EpochConfig(key, passphrase), chain.endpoints)

    assert sender.address == made.address
    assert open_sender(EpochConfig(), chain.endpoints) is None
    with pytest.raises(ConfigError, match="missing"):
        open_sender(EpochConfig(tmp_path / "other.key"), chain.endpoints)


def test_account_is_the_hot_key():
    assert RegistryChain().values["operators"] == (WALLET.address,)
