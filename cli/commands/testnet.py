"""psp testnet: what only development chains can do."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.chain_work.amounts import ether, parse_ether
from cli.chain_work.chain import open_chain
from cli.chain_work.faucet import fill
from cli.commands.chain_options import (
    ChainOptions,
    OutputOptions,
    bundled,
    open_wallet,
)
from discovery.transactions.wallet import address_text, parse_address
from psp.errors import ConfigError

app = typer.Typer(help="What only development chains can do.", no_args_is_help=True)


@app.callback()
def testnet() -> None:
    """Keep the command's name, as there is only one."""


@app.command()
@bundled
def faucet(
    chain: ChainOptions,
    output: OutputOptions,
    address: Annotated[
        str | None,
        typer.Argument(metavar="ADDRESS", help="The account; or --wallet."),
    ] = None,
    wallet_file: Annotated[
        Path | None,
        typer.Option("--wallet", metavar="FILE", help="Or that of this key file."),
    ] = None,
    amount: Annotated[
        str, typer.Option(metavar="ETHER", help="How much it gets.")
    ] = "10",
) -> None:
    """Give an account money on a development chain. A real chain has no faucet."""
    if address is not None and wallet_file is None:
        account = parse_address(address)
    elif wallet_file is not None and address is None:
        account = open_wallet(wallet_file).address
    else:
        raise ConfigError("who gets it? give an address or --wallet FILE, one of them")
    wei = parse_ether(amount, "--amount")
    target = chain.target()

    async def work() -> int:
        async with open_chain(target) as asked:
            return await fill(asked, account, wei)

    balance = asyncio.run(work())
    name = address_text(account)
    output.report(
        f"{name} has {ether(balance)}", {"address": name, "balance_wei": balance}
    )
