"""Sends for people: shows what it costs, asks, waits, says what became of it.

::

    estimate -> show -> dry run? end -> ask, unless told not to -> send -> wait -> Paid

The terminal gets all of that on standard error, so that standard output holds the result
alone. Nothing is signed before the question is answered.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import typer

from cli.chain_work.amounts import about, ether, fee, price
from cli.chain_work.chain import Chain
from cli.exit_codes import ExitCode
from cli.output import err, note, print_error, print_facts, progress
from discovery.transactions.call import Call
from discovery.transactions.costs import Cost, Outcome
from discovery.transactions.errors import ChainUnreachableError
from discovery.transactions.fees import FeeLimits
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet
from psp.errors import PspError

Facts = Sequence[tuple[str, str]]
"""Names and values to show beside the cost."""


class CancelledActionError(PspError):
    """Another command cancelled the action while this one waited for it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a command pays.

    Attributes:
        limits: The most that it pays.
        is_confirmed: Not to ask.
        is_dry: To show the cost and send nothing.
        is_quiet: To show nothing but a question: the result goes to a program.
    """

    limits: FeeLimits = field(default_factory=FeeLimits)
    is_confirmed: bool = False
    is_dry: bool = False
    is_quiet: bool = False


@dataclass(frozen=True, slots=True)
class Paid:
    """What was done, or would be.

    Attributes:
        cost: As shown before; None if the action was under way already.
        outcome: What became of it; None of a dry run.
    """

    cost: Cost | None
    outcome: Outcome | None

    @property
    def figures(self) -> dict[str, object]:
        """The same for programs; amounts in wei."""
        figures: dict[str, object] = {"sent": self.outcome is not None}
        if self.cost is not None:
            figures |= {
                "gas_estimate": self.cost.gas,
                "fee_expected_wei": self.cost.expected,
                "fee_maximum_wei": self.cost.maximum,
                "value_wei": self.cost.value,
                "balance_wei": self.cost.balance,
            }
        if self.outcome is not None:
            receipt = self.outcome.receipt
            figures |= {
                "transaction": f"0x{receipt.hash.hex()}",
                "block": receipt.block,
                "gas": receipt.gas_used,
                "fee_wei": receipt.cost,
            }
        return figures

    @property
    def sentence(self) -> str:
        """The same for people."""
        if self.outcome is None:
            return "Nothing was sent: this was a dry run."
        receipt = self.outcome.receipt
        return (
            f"Done in block {receipt.block} for {fee(receipt.cost)}, transaction "
            f"0x{receipt.hash.hex()}"
        )


class Payer:
    """One account that pays for what a command does.

    Attributes:
        wallet: The account.
        sender: Sends from it.
    """

    def __init__(self, chain: Chain, wallet: Wallet, files: Path, terms: Terms) -> None:
        """Nothing is asked or sent yet.

        Args:
            chain: Where.
            wallet: The account.
            files: Its key file; the journal of nonces lies beside it.
            terms: What it may cost, and whether to ask.
        """
        self.wallet = wallet
        self.sender = Sender(wallet, chain.endpoints, files, limits=terms.limits)
        self._chain = chain
        self._terms = terms

    @property
    def is_dry(self) -> bool:
        """Whether nothing will be sent."""
        return self._terms.is_dry

    async def pay(self, call: Call, title: str, facts: Facts = ()) -> Paid:
        """Show the cost, ask, send and wait.

        Args:
            call: What to do.
            title: What that is, for people.
            facts: What they should know before they say yes.

        Raises:
            ChainError: If it cannot be sent, or is refused.
            typer.Exit: If the answer is no.
        """
        pending = await self.sender.pending()
        if pending is not None and pending.call.is_same_action(call):
            self._note("this was sent by an earlier command; waiting for it")
            return Paid(None, await self._send(call))
        if pending is not None:
            self._note(f"an earlier action is finished first: {pending.call.what}")
        cost = await self.sender.estimate(call)
        await self.show(title, facts, cost)
        if self._terms.is_dry:
            return Paid(cost, None)
        self.confirm()
        return Paid(cost, await self._send(call))

    async def follow_up(self, call: Call, title: str) -> Paid:
        """Send what belongs to something that was agreed to already."""
        cost = await self.sender.estimate(call)
        self._note(f"{title}: about {fee(cost.expected)}")
        return Paid(cost, await self._send(call))

    async def show(self, title: str, facts: Facts, cost: Cost) -> None:
        """Show what something costs, on standard error."""
        if self._terms.is_quiet and self._terms.is_confirmed:
            return
        after = cost.balance - cost.value - cost.expected
        now, highest = price(cost.fees.price(cost.base_fee)), price(cost.fees.max_fee)
        rows = [
            *facts,
            ("chain", str(self._chain.target.chain_id)),
            ("account", self.wallet.address_text),
            ("gas", f"about {cost.gas:,}, at most {cost.gas_limit:,}"),
            ("price of gas", f"{now}, at most {highest}"),
            ("fee", f"about {fee(cost.expected)}"),
            ("", f"at most {fee(cost.maximum)}"),
            ("value", ether(cost.value) if cost.value else "none"),
            ("balance", f"{about(cost.balance)}, afterwards about {about(after)}"),
        ]
        print_facts(title, rows, err)

    def confirm(self) -> None:
        """Ask whether to send.

        Raises:
            typer.Exit: If the answer is no, or there is nobody to ask.
        """
        if self._terms.is_confirmed:
            return
        if not sys.stdin.isatty():
            print_error(
                "nothing was sent: there is no terminal to confirm on; add --yes to send "
                "without being asked, or --dry-run to see the cost alone"
            )
            raise typer.Exit(ExitCode.USAGE)
        if not typer.confirm("Send it?", default=False, err=True):
            err.print("Nothing was sent.", highlight=False)
            raise typer.Exit(ExitCode.FAILED)

    async def _send(self, call: Call) -> Outcome:
        signed: list[bytes] = []
        try:
            with self.waiting():
                outcome = await self.sender.send(call, on_signed=signed.append)
        except (asyncio.CancelledError, ChainUnreachableError):
            if signed:
                self._note(
                    f"0x{signed[0].hex()} may be under way; the next command of this "
                    "account takes it up, psp wallet cancel replaces it"
                )
            raise
        if outcome.is_cancelled:
            raise CancelledActionError(
                "nothing was done: another command cancelled this action"
            )
        return outcome

    def waiting(self) -> AbstractContextManager[object]:
        """Show that something is waited for, as long as the block lasts."""
        text = "waiting for the chain; Ctrl-C leaves it under way"
        return progress(text, is_quiet=self._terms.is_quiet)

    def _note(self, text: str) -> None:
        if not self._terms.is_quiet:
            note(text)
