"""psp wallet: accounts of a chain in key files."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.chain_work.amounts import ether, fee, parse_ether
from cli.chain_work.chain import open_chain
from cli.commands.chain_options import (
    ChainOptions,
    OutputOptions,
    PayOptions,
    bundled,
    open_wallet,
)
from cli.commands.passphrases import new_passphrase
from cli.output import note, out, print_facts, print_json
from discovery.transactions.call import Call, transfer
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet, address_text, parse_address
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy

app = typer.Typer(help="Accounts of a chain, in key files.", no_args_is_help=True)

WalletFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The account's key file.")
]


@app.command()
def create(
    wallet_file: WalletFile,
    dev_account: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Take this account of development chains, whose key everybody knows.",
        ),
    ] = None,
    *,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase.")
    ] = False,
) -> None:
    """Make an account and print its address.

    Who loses the file loses the money: keep a copy of it where nobody else comes.
    """
    secret = new_passphrase() if passphrase else None
    entropy = SystemEntropy()
    if dev_account is None:
        wallet = Wallet.create(wallet_file, entropy=entropy, passphrase=secret)
    else:
        key = _dev_key(dev_account)
        keyfiles.create(wallet_file, key, entropy=entropy, passphrase=secret)
        wallet = Wallet(key)
    out.out(wallet.address_text)


def _dev_key(name: str) -> bytes:
    try:
        from discovery.devchain.accounts import (  # noqa: PLC0415 - optional
            dev_account,
        )
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is missing; pip install 'psp[devchain]'"
        ) from None
    return dev_account(name).key


@app.command()
@bundled
def show(
    wallet_file: WalletFile,
    chain: ChainOptions,
    output: OutputOptions,
    wallet_passphrase_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A private file with its passphrase."),
    ] = None,
) -> None:
    """Print an account's address and, with a chain, its balance."""
    wallet = open_wallet(wallet_file, wallet_passphrase_file)
    figures: dict[str, object] = {"address": wallet.address_text}
    if chain.settings_file is None and not chain.rpc:
        output.report(wallet.address_text, figures)
        return
    target = chain.target()

    async def work() -> None:
        async with open_chain(target) as asked:
            sender = Sender(wallet, asked.endpoints, wallet_file)
            pending = await sender.pending()
            balance = await asked.endpoints.balance(wallet.address)
            count = await asked.endpoints.mined_nonce(wallet.address)
        under_way = None if pending is None else pending.call.what
        if output.json_output:
            figures.update(
                chain_id=target.chain_id,
                balance_wei=balance,
                transactions=count,
                under_way=under_way,
            )
            print_json(figures)
            return
        rows = [
            ["chain", str(target.chain_id)],
            ["balance", ether(balance)],
            ["transactions", str(count)],
            ["under way", under_way or "nothing"],
        ]
        print_facts(wallet.address_text, rows)

    asyncio.run(work())


@app.command()
@bundled
def send(
    to: Annotated[str, typer.Argument(metavar="ADDRESS", help="Who gets it.")],
    amount: Annotated[str, typer.Argument(metavar="ETHER", help="Such as 1.5.")],
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
) -> None:
    """Send money to another account."""
    call = transfer(parse_address(to), parse_ether(amount, "ETHER"))
    target, wallet = chain.target(), pay.open()

    async def work() -> None:
        async with open_chain(target) as asked:
            title = f"Send {ether(call.value)} to {address_text(_receiver(call))}"
            paid = await pay.payer(asked, wallet, output).pay(call, title)
        output.report(paid.sentence, paid.figures)

    asyncio.run(work())


def _receiver(call: Call) -> bytes:
    assert call.to is not None  # noqa: S101 - a payment has a receiver
    return call.to


@app.command()
@bundled
def cancel(chain: ChainOptions, pay: PayOptions, output: OutputOptions) -> None:
    """Have nothing mined in place of what is under way.

    It may still win: the outcome says which of the two was mined.
    """
    target, wallet = chain.target(), pay.open()

    async def work() -> None:
        async with open_chain(target) as asked:
            payer = pay.payer(asked, wallet, output)
            pending = await payer.sender.pending()
            if pending is None:
                output.report("Nothing is under way.", {"cancelled": False})
                return
            note(f"under way: {pending.call.what}")
            if payer.is_dry:
                output.report(
                    "Nothing was sent: this was a dry run.", {"cancelled": False}
                )
                return
            payer.confirm()
            with payer.waiting():
                outcome = await payer.sender.cancel()
        is_cancelled = outcome is not None and outcome.is_cancelled
        cost = 0 if outcome is None else outcome.receipt.cost
        said = "It was cancelled" if is_cancelled else "It was mined before that"
        output.report(
            f"{said}, for {fee(cost)}.", {"cancelled": is_cancelled, "fee_wei": cost}
        )

    asyncio.run(work())
