"""Shown, asked, sent, waited for (cli/chain_work/paying.py), in virtual time."""

import asyncio
import io
import sys

import pytest
import typer

from cli.chain_work.chain import Chain
from cli.chain_work.paying import CancelledActionError, Payer, Terms
from cli.chain_work.target import find_target
from cli.exit_codes import ExitCode, exit_code
from discovery.transactions.call import Call, transfer
from discovery.transactions.errors import (
    FeeLimitError,
    InsufficientFundsError,
    RevertedError,
    StillPendingError,
)
from discovery.transactions.fees import GWEI, FeeLimits
from discovery.transactions.wallet import Wallet
from psp.testing.payments import PaymentChain
from psp.testing.simloop import run_simulation

WALLET = Wallet(b"\x01" * 32)
TARGET = b"t" * 20
CALL = Call(TARGET, b"data", 5 * 10**16, "do something")
YES = Terms(is_confirmed=True)


class Terminal(io.StringIO):
    """Somebody types this."""

    def isatty(self):
        return True


@pytest.fixture
def rig(tmp_path):
    tmp_path.chmod(0o700)
    return Rig(tmp_path)


class Rig:
    """A chain, and somebody who pays on it."""

    def __init__(self, folder):
        self.chain = PaymentChain(WALLET.address)
        self.folder = folder

    def pay(self, terms=YES, call=CALL, *, is_mining=True, facts=()):
        async def work(_):
            miner = asyncio.create_task(self.chain.mine_for_ever())
            if not is_mining:
                miner.cancel()
            try:
                return await self.payer(terms).pay(call, "Do it", facts)
            finally:
                miner.cancel()

        return run_simulation(work)

    def payer(self, terms=YES):
        target = find_target(None, rpc=("http://x",), chain_id=1337)
        chain = Chain(target, (self.chain.endpoint(),))
        return Payer(chain, WALLET, self.folder / "w.key", terms)


def test_what_it_costs_is_shown_and_what_it_cost_is_returned(rig, capsys):
    paid = rig.pay(facts=[("stake", "a lot")])

    shown = capsys.readouterr()
    assert shown.out == ""
    for text in ("Do it", "stake", "a lot", "1337", WALLET.address_text, "gwei"):
        assert text in shown.err
    assert "0.05 ether" in shown.err
    assert "balance" in shown.err
    assert [payment.to for payment in rig.chain.mined] == [TARGET]
    assert paid.figures["sent"] is True
    assert paid.figures["fee_wei"] == paid.outcome.receipt.cost
    assert paid.sentence.startswith("Done in block ")
    assert paid.figures["value_wei"] == CALL.value


def test_a_dry_run_shows_the_same_and_sends_nothing(rig, capsys):
    paid = rig.pay(Terms(is_dry=True))

    assert "balance" in capsys.readouterr().err
    assert (paid.outcome, paid.figures["sent"]) == (None, False)
    assert "dry run" in paid.sentence
    assert rig.chain.mined == []
    assert not list(rig.folder.iterdir())


@pytest.mark.parametrize(
    ("typed", "is_sent"), [("y\n", True), ("n\n", False), ("\n", False)]
)
def test_a_person_is_asked(rig, monkeypatch, capsys, typed, is_sent):
    monkeypatch.setattr(sys, "stdin", Terminal(typed))

    try:
        rig.pay(Terms())
        code = ExitCode.OK
    except typer.Exit as end:
        code = end.exit_code

    assert "Send it? [y/N]" in capsys.readouterr().err
    assert bool(rig.chain.mined) is is_sent
    assert code == (ExitCode.OK if is_sent else ExitCode.FAILED)


def test_without_a_person_nothing_is_sent_unasked(rig, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(typer.Exit) as end:
        rig.pay(Terms())

    assert end.value.exit_code == ExitCode.USAGE
    assert "add --yes" in capsys.readouterr().err
    assert rig.chain.mined == []


def test_a_program_gets_no_page(rig, capsys):
    rig.pay(Terms(is_confirmed=True, is_quiet=True))

    assert capsys.readouterr().err == ""


def test_a_person_who_has_to_say_yes_sees_the_page_even_then(rig, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))

    with pytest.raises(typer.Exit):
        rig.pay(Terms(is_quiet=True))

    assert "balance" in capsys.readouterr().err


def test_what_cannot_be_paid_or_is_refused_is_never_asked_about(rig, capsys):
    dear = FeeLimits(max_fee_per_gas=GWEI // 2)
    with pytest.raises(FeeLimitError):
        rig.pay(Terms(dear))
    rig.chain.refused[CALL.data] = "owner"
    with pytest.raises(RevertedError):
        rig.pay(Terms())
    rig.chain.balance = 10**16
    with pytest.raises(InsufficientFundsError):
        rig.pay(Terms())

    assert capsys.readouterr().err == ""
    assert rig.chain.mined == []


def test_what_is_not_mined_stays_under_way_and_is_taken_up(rig, capsys):
    with pytest.raises(StillPendingError) as pending:
        rig.pay(is_mining=False)

    again = rig.pay()

    assert exit_code(pending.value) == ExitCode.PENDING
    assert "sent by an earlier command" in capsys.readouterr().err
    assert again.cost is None
    assert again.figures["sent"] is True
    assert len(rig.chain.mined) == 1


def test_another_action_waits_for_the_one_under_way(rig, capsys):
    with pytest.raises(StillPendingError):
        rig.pay(is_mining=False)

    rig.pay(call=transfer(TARGET, 7))

    assert (
        "an earlier action is finished first: do something" in capsys.readouterr().err
    )
    assert [payment.value for payment in rig.chain.mined] == [CALL.value, 7]


def test_an_action_that_another_command_cancelled_was_not_done(rig):
    with pytest.raises(StillPendingError):
        rig.pay(is_mining=False)

    async def cancelled(_):
        payer = rig.payer()
        miner = asyncio.create_task(rig.chain.mine_for_ever())
        taken_up = asyncio.create_task(payer.sender.cancel())
        try:
            return await taken_up
        finally:
            miner.cancel()

    outcome = run_simulation(cancelled)

    assert outcome.is_cancelled
    assert exit_code(CancelledActionError("x")) == ExitCode.FAILED


def test_ctrl_c_says_what_is_under_way(rig, capsys):
    async def work(_):
        paying = asyncio.create_task(rig.payer().pay(CALL, "Do it"))
        while not rig.chain.pool:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)
        paying.cancel()
        await asyncio.gather(paying, return_exceptions=True)

    run_simulation(work)

    (waiting,) = rig.chain.pool.values()
    said = capsys.readouterr().err
    assert f"0x{waiting.hash.hex()} may be under way" in said
    assert "psp wallet cancel" in said


def test_what_follows_is_not_asked_about_again(rig, monkeypatch, capsys):
    async def work(_):
        miner = asyncio.create_task(rig.chain.mine_for_ever())
        try:
            return await rig.payer(Terms()).follow_up(CALL, "name its operator")
        finally:
            miner.cancel()

    paid = run_simulation(work)

    assert paid.outcome is not None
    assert "name its operator: about " in capsys.readouterr().err
